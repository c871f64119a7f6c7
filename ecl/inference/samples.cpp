#include "ecl/inference/samples.hpp"

namespace ecl {

std::unique_ptr<Samples> open_samples(const Predictor& predictor, const std::string& path, bool labelled) {
  const std::string dataset = Choice::parse(predictor.trained().dataset).name;
  return dataset == "csv" ? open_table(predictor, path, labelled) : open_stored(predictor, path, labelled);
}

}  // namespace ecl
