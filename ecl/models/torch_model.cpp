#include "ecl/models/torch_model.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

constexpr std::size_t kScoreRows = 256;

torch::Tensor labels(const std::int32_t* first, std::size_t count) {
  return torch::from_blob(const_cast<std::int32_t*>(first), {static_cast<std::int64_t>(count)}, torch::kInt32)
      .to(torch::kInt64);
}

}  // namespace

TorchModel::TorchModel(std::shared_ptr<torch::nn::Module> module, Forward forward, ImageShape image)
    : module_(std::move(module)), forward_(std::move(forward)), image_(image), parameters_(module_->parameters()) {
  if (!module_->buffers().empty())
    throw Error(
        "model torch: the module has buffers, as batch norm's running statistics, which nodes cannot agree on; use "
        "group norm");
  at::set_num_threads(1);
  for (const torch::Tensor& parameter : parameters_) {
    if (parameter.scalar_type() != torch::kFloat32) throw Error("model torch: the module's parameters are not floats");
    const torch::Tensor values = parameter.detach().contiguous();
    initial_.insert(initial_.end(), values.data_ptr<float>(), values.data_ptr<float>() + values.numel());
  }
}

std::vector<Slice> TorchModel::slices() const {
  std::vector<Slice> all;
  for (const auto& parameter : module_->named_parameters()) {
    const auto sizes = parameter.value().sizes();
    all.push_back({parameter.key(), {sizes.begin(), sizes.end()}});
  }
  return all;
}

void TorchModel::init(Vec x, Random&) const { std::ranges::copy(initial_, x.begin()); }

void TorchModel::use(CVec x) {
  float* at = const_cast<float*>(x.data());  // torch does not write to them
  for (torch::Tensor& parameter : parameters_) {
    parameter.set_data(torch::from_blob(at, parameter.sizes()));
    at += parameter.numel();
  }
}

torch::Tensor TorchModel::samples(Floats& features, std::size_t rows) const {
  const auto count = static_cast<std::int64_t>(rows);
  if (image_.channels == 0)
    return torch::from_blob(features.data(), {count, static_cast<std::int64_t>(features.size()) / count});
  return torch::from_blob(features.data(), {count, image_.channels, image_.height, image_.width});
}

double TorchModel::gradient(CVec x, const Batch& batch, Vec g) {
  if (!batch.targets.empty() || !batch.weights.empty())
    throw Error("a LibTorch module is trained on classes, by cross-entropy without weights of samples");
  use(x);
  std::ranges::fill(g, 0.0f);
  float* at = g.data();
  for (torch::Tensor& parameter : parameters_) {  // torch adds to what is there
    parameter.mutable_grad() = torch::from_blob(at, parameter.sizes());
    at += parameter.numel();
  }
  const torch::Tensor input = samples(const_cast<Floats&>(batch.features), batch.labels.size());
  const torch::Tensor loss =
      torch::nn::functional::cross_entropy(forward_(input), labels(batch.labels.data(), batch.labels.size()));
  loss.backward();
  return loss.item<double>();
}

Score TorchModel::score(CVec x, const Dataset& data) {
  const torch::NoGradGuard no_gradients;
  use(x);
  double loss = 0, hits = 0;
  for (std::size_t first = 0; first < data.size(); first += kScoreRows) {
    const std::size_t rows = std::min(kScoreRows, data.size() - first);
    rows_.resize(rows * data.features());
    data.gather(first, rows, rows_.data());
    const torch::Tensor logits = forward_(samples(rows_, rows)), truth = labels(data.labels().data() + first, rows);
    loss += torch::nn::functional::cross_entropy(logits, truth).item<double>() * static_cast<double>(rows);
    hits += logits.argmax(1).eq(truth).sum().item<double>();
  }
  const auto samples = static_cast<double>(data.size());
  return {loss / samples, 100 * hits / samples};
}

}  // namespace ecl
