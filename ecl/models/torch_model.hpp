#pragma once

#include <functional>
#include <memory>
#include <torch/torch.h>
#include <vector>

#include "ecl/contracts/model.hpp"

namespace ecl {

/// A LibTorch module as a Model: ecl trains it as it is. Built with -DECL_WITH_TORCH=ON, as the target ecl::torch.
///
/// The module's parameters lie in ecl's flat vector, in the module's order; nothing is copied. Torch is told to use one
/// thread. A module with buffers (batch norm's running statistics) is refused: they are no parameters, and nobody would
/// agree on them; use group norm.
class TorchModel final : public Model {
 public:
  using Forward = std::function<torch::Tensor(const torch::Tensor&)>;

  /// `forward`: from samples (rows x channels x height x width, or rows x features if the image is {}) to logits (rows
  /// x classes); usually [module](const auto& x) { return module->forward(x); }. Training starts from the values that
  /// the parameters have now: seed torch alike on all ranks. Throws Error for a module with buffers or other than
  /// floats.
  TorchModel(std::shared_ptr<torch::nn::Module> module, Forward forward, ImageShape image);

  std::size_t dim() const override { return initial_.size(); }
  std::vector<Slice> slices() const override;
  void init(Vec x, Random& random) const override;
  double gradient(CVec x, const Batch& batch, Vec g) override;
  Score score(CVec x, const Dataset& data) override;

 private:
  /// Makes x the module's parameters.
  void use(CVec x);
  torch::Tensor samples(Floats& features, std::size_t rows) const;

  std::shared_ptr<torch::nn::Module> module_;
  Forward forward_;
  ImageShape image_;
  std::vector<torch::Tensor> parameters_;
  std::vector<float> initial_;
  Floats rows_;
};

}  // namespace ecl
