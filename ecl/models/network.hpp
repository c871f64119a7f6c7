#pragma once

#include <string>

#include "ecl/contracts/model.hpp"
#include "ecl/models/layers/classifier.hpp"

namespace ecl {

/// A classifier whose layers are listed: the Model of softmax, mlp, cnn and resnet.
///
/// Parameters, flat: per layer the weight, then the bias, in the row-major shapes of PyTorch's layers.
class Network : public Model {
 public:
  /// Throws Error for data without classes, and where a layer does not fit. `who` is for messages.
  Network(const std::string& who, const ModelSetup& setup, const layers::Architecture& architecture);

  std::size_t dim() const override { return classifier_.dim(); }
  void init(Vec x, Random& random) const override { classifier_.init(x.data(), random); }
  std::vector<Slice> slices() const override { return classifier_.slices(); }
  const layers::Architecture& architecture() const { return architecture_; }
  double gradient(CVec x, const Batch& batch, Vec g) override;
  void meanwhile(std::function<void()> work) override { classifier_.meanwhile(std::move(work)); }
  bool takes_sparse() const override { return classifier_.takes_sparse(); }
  std::size_t scratch_bytes() const override { return classifier_.bytes() + rows_.size() * sizeof(float); }
  Score score(CVec x, const Dataset& data) override;
  int outputs() const override { return classifier_.classes(); }
  void predict(CVec x, const Dataset& data, float* out) override;

 private:
  /// Hands the samples of `data` to use(first, count, samples), part by part.
  template <class Use>
  void each_part(CVec x, const Dataset& data, Use use);

  layers::Architecture architecture_;
  layers::Classifier<float> classifier_;
  Floats rows_;  ///< features while scoring
  SparseRows sparse_rows_;
};

/// The picture that a model of convolutions wants; throws Error if the data are none.
layers::Shape picture(const std::string& who, const ModelSetup& setup);
/// Throws Error for data without classes.
int classes_of(const std::string& who, const ModelSetup& setup);

}  // namespace ecl
