#include "ecl/inference/samples.hpp"

namespace ecl {

std::unique_ptr<Samples> open_samples(const Predictor& predictor, const std::string& path, bool labelled) {
  const std::string dataset = Choice::parse(predictor.trained().dataset).name;
  if (dataset == "csv") return open_table(predictor, path, labelled);
  if (dataset == "npy" || dataset == "hdf5") return open_arrays(predictor, path, labelled);
  return open_stored(predictor, path, labelled);
}

std::vector<std::string> gap_notes(std::uint64_t dropped, std::uint64_t filled, std::uint64_t unlabelled) {
  std::vector<std::string> lines;
  const auto add = [&](std::uint64_t count, const char* one, const char* many, const char* what) {
    if (count > 0) lines.push_back(std::to_string(count) + (count == 1 ? one : many) + what);
  };
  add(dropped, " row", " rows", " with missing cells: left out, as in training (missing=drop)");
  add(filled, " missing cell was", " missing cells were", " filled with the training rows' mean");
  add(unlabelled, " row", " rows", " without a label: left out");
  return lines;
}

}  // namespace ecl
