#include "ecl/models/network.hpp"

#include <algorithm>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

constexpr std::size_t kScoreRows = 256;  // samples per pass when scoring, at most

layers::Shape input(const ModelSetup& setup) {
  const auto& [channels, height, width] = setup.image;
  return channels > 0 ? layers::Shape{height, width, channels} : layers::Shape{1, 1, setup.features};
}

}  // namespace

int outputs_of(const std::string& who, const ModelSetup& setup) {
  if (is_regression(setup.loss)) return 1;
  if (setup.loss == Loss::logistic && setup.classes > 0) return setup.classes;
  if (setup.classes < 2)
    throw Error("model " + who + " classifies, and this data set has no classes; use --model quadratic");
  return setup.classes;
}

layers::Shape picture(const std::string& who, const ModelSetup& setup) {
  if (setup.image.channels == 0)
    throw Error("model " + who + " sees pictures, and the samples of this data set are none; use --model mlp");
  return input(setup);
}

Network::Network(const std::string& who, const ModelSetup& setup, const layers::Architecture& architecture)
    : architecture_(architecture), objective_(who, architecture, input(setup), setup.loss, setup.class_weights) {}

double Network::gradient(CVec x, const Batch& batch, Vec g) {
  const layers::Truth truth{batch.labels, batch.targets, batch.weights};
  if (batch.rows.size() > 0) return objective_.gradient(x.data(), batch.rows, truth, g.data());
  return objective_.gradient(x.data(), batch.features.data(), truth, g.data());
}

template <class Use>
void Network::each_part(CVec x, const Dataset& data, Use use) {
  const std::size_t part = std::min(kScoreRows, objective_.part());
  if (!data.sparse()) rows_.resize(part * data.features());
  objective_.load(x.data());
  for (std::size_t first = 0; first < data.size(); first += part) {
    const std::size_t rows = std::min(part, data.size() - first);
    if (data.sparse()) {
      sparse_rows_.clear();
      data.gather(first, rows, sparse_rows_);
      use(first, rows, layers::SparseSamples{&sparse_rows_});
    } else {
      data.gather(first, rows, rows_.data());
      use(first, rows, static_cast<const float*>(rows_.data()));
    }
  }
}

Score Network::score(CVec x, const Dataset& data) {
  const layers::Truth truth{data.labels(), data.targets(), data.weights()};
  layers::Objective<float>::Sum sum;
  each_part(x, data, [&](std::size_t first, std::size_t rows, auto samples) {
    const auto of_part = objective_.evaluate(x.data(), samples, truth.subspan(first, rows));
    sum.loss += of_part.loss, sum.hits += of_part.hits;
  });
  const double weight = data.total_weight();
  Score score{.loss = sum.loss / weight};
  if (!data.is_regression()) score.accuracy = 100.0 * sum.hits / weight;
  return score;
}

void Network::predict(CVec x, const Dataset& data, float* out) {
  each_part(x, data, [&](std::size_t first, std::size_t rows, auto samples) {
    objective_.outputs(x.data(), samples, rows, out + first * outputs());
  });
}

}  // namespace ecl
