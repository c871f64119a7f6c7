#pragma once

#include <string>

#include "ecl/contracts/model.hpp"
#include "ecl/models/layers/objective.hpp"

namespace ecl {

/// Layers that are listed, with a loss on top: the Model of softmax, linear, mlp, cnn and resnet.
///
/// Parameters, flat: per layer the weight, then the bias, in the row-major shapes of PyTorch's layers.
class Network : public Model {
 public:
  /// Throws Error where a layer does not fit. `who` is for messages.
  Network(const std::string& who, const ModelSetup& setup, const layers::Architecture& architecture);

  std::size_t dim() const override { return objective_.dim(); }
  void init(Vec x, Random& random) const override { objective_.init(x.data(), random); }
  std::vector<Slice> slices() const override { return objective_.slices(); }
  const layers::Architecture& architecture() const { return architecture_; }
  double gradient(CVec x, const Batch& batch, Vec g) override;
  void meanwhile(std::function<void()> work) override { objective_.meanwhile(std::move(work)); }
  bool takes_sparse() const override { return objective_.takes_sparse(); }
  std::size_t scratch_bytes() const override { return objective_.bytes() + rows_.size() * sizeof(float); }
  Score score(CVec x, const Dataset& data) override;
  int outputs() const override { return objective_.outputs(); }
  void predict(CVec x, const Dataset& data, float* out) override;

 private:
  /// Hands the samples of `data` to use(first, count, samples), part by part.
  template <class Use>
  void each_part(CVec x, const Dataset& data, Use use);

  layers::Architecture architecture_;
  layers::Objective<float> objective_;
  Floats rows_;  ///< features while scoring
  SparseRows sparse_rows_;
};

/// The picture that a model of convolutions wants; throws Error if the data are none.
layers::Shape picture(const std::string& who, const ModelSetup& setup);
/// A logit for each class, or one number. Throws Error for data that have neither.
int outputs_of(const std::string& who, const ModelSetup& setup);

}  // namespace ecl
