#include "ecl/models/network.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "ecl/words/check.hpp"

namespace ecl {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MapIn = Eigen::Map<const Matrix>;
using MapOut = Eigen::Map<Matrix>;
using RowIn = Eigen::Map<const Eigen::RowVectorXf>;
using RowOut = Eigen::Map<Eigen::RowVectorXf>;

constexpr std::size_t kMostParameters = (std::size_t{1} << 31) - 1;  // what MPI can count
constexpr int kScoreRows = 256;  // samples per pass when scoring: keeps activations in the cache

}  // namespace

Network::Network(const std::string& who, const ModelSetup& setup, const std::vector<int>& hidden) {
  if (setup.classes < 2)
    throw Error("model " + who + " classifies, and this data set has no classes; use --model quadratic");
  int inputs = setup.features;
  std::vector<int> widths = hidden;
  widths.push_back(setup.classes);
  for (const int outputs : widths) {
    const std::size_t weight = dim_, bias = weight + static_cast<std::size_t>(inputs) * outputs;
    layers_.push_back({inputs, outputs, weight, bias});
    dim_ = bias + outputs;
    if (dim_ > kMostParameters)
      throw Error("model " + who + " would have more than " + std::to_string(kMostParameters) +
                  " parameters; use a "
                  "smaller --hidden");
    inputs = outputs;
  }
  activations_.resize(layers_.size());
  errors_.resize(layers_.size() - 1);
}

void Network::init(Vec x, Random& random) const {
  std::fill(x.begin(), x.end(), 0.0f);
  if (layers_.size() == 1) return;
  for (const Layer& layer : layers_) {
    const double bound = std::sqrt(6.0 / layer.inputs);
    for (std::size_t at = layer.weight; at < layer.bias; ++at)
      x[at] = static_cast<float>(bound * (2 * random.uniform() - 1));
  }
}

void Network::forward(CVec x, const float* features, int rows) {
  const float* input = features;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const Layer& layer = layers_[l];
    activations_[l].resize(static_cast<std::size_t>(rows) * layer.outputs);
    MapOut output(activations_[l].data(), rows, layer.outputs);
    const MapIn weight(x.data() + layer.weight, layer.outputs, layer.inputs);
    output.noalias() = MapIn(input, rows, layer.inputs) * weight.transpose();
    output.rowwise() += RowIn(x.data() + layer.bias, layer.outputs);
    if (l + 1 < layers_.size()) output = output.cwiseMax(0.0f);
    input = activations_[l].data();
  }
}

void Network::softmax(const std::int32_t* labels, int rows, double& loss, int& hits) {
  const int classes = layers_.back().outputs;
  MapOut logits(activations_.back().data(), rows, classes);
  for (int r = 0; r < rows; ++r) {
    auto row = logits.row(r);
    int best = 0;
    const float top = row.maxCoeff(&best);
    hits += best == labels[r];
    const float at_label = row[labels[r]];
    row = (row.array() - top).exp();
    const float sum = row.sum();
    loss += std::log(sum) + top - at_label;
    row /= sum;
    row[labels[r]] -= 1;
  }
}

double Network::gradient(CVec x, const Batch& batch, Vec g) {
  const int rows = static_cast<int>(batch.labels.size());
  forward(x, batch.features.data(), rows);
  double loss = 0;
  int hits = 0;
  softmax(batch.labels.data(), rows, loss, hits);
  MapOut(activations_.back().data(), rows, layers_.back().outputs) /= static_cast<float>(rows);

  float* error = activations_.back().data();  // d loss / d (output of layer l before its ReLU)
  for (std::size_t l = layers_.size(); l-- > 0;) {
    const Layer& layer = layers_[l];
    const MapIn from(error, rows, layer.outputs);
    const MapIn input(l == 0 ? batch.features.data() : activations_[l - 1].data(), rows, layer.inputs);
    MapOut(g.data() + layer.weight, layer.outputs, layer.inputs).noalias() = from.transpose() * input;
    RowOut(g.data() + layer.bias, layer.outputs) = from.colwise().sum();
    if (l == 0) break;
    errors_[l - 1].resize(static_cast<std::size_t>(rows) * layer.inputs);
    MapOut below(errors_[l - 1].data(), rows, layer.inputs);
    below.noalias() = from * MapIn(x.data() + layer.weight, layer.outputs, layer.inputs);
    below.array() *= (input.array() > 0.0f).cast<float>();
    error = errors_[l - 1].data();
  }
  return loss / rows;
}

Score Network::score(CVec x, const Dataset& data) {
  double loss = 0;
  int hits = 0;
  rows_.resize(static_cast<std::size_t>(kScoreRows) * data.features());
  for (std::size_t first = 0; first < data.size(); first += kScoreRows) {
    const std::size_t rows = std::min<std::size_t>(kScoreRows, data.size() - first);
    data.gather(first, rows, rows_.data());
    forward(x, rows_.data(), static_cast<int>(rows));
    softmax(data.labels().data() + first, static_cast<int>(rows), loss, hits);
  }
  const double samples = static_cast<double>(data.size());
  return {loss / samples, 100.0 * hits / samples};
}

}  // namespace ecl
