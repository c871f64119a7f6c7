#pragma once

#include <vector>

#include "ecl/contracts/model.hpp"

namespace ecl {

/// Fully connected classifier: linear layers with ReLU between them, softmax cross-entropy on top. No hidden layer
/// makes it softmax regression.
///
/// Parameters, flat: per layer the weight (outputs x inputs, row-major) and the bias (outputs), as PyTorch's
/// nn.Linear keeps them. Initial weights are uniform in +- sqrt(6 / inputs) (He et al., ICCV 2015), biases 0; the
/// output layer of a network without hidden layers starts at 0 (its problem is convex).
class Network : public Model {
 public:
  /// Throws Error for data without classes. `who` is for that message.
  Network(const std::string& who, const ModelSetup& setup, const std::vector<int>& hidden);

  std::size_t dim() const override { return dim_; }
  void init(Vec x, Random& random) const override;
  double gradient(CVec x, const Batch& batch, Vec g) override;
  Score score(CVec x, const Dataset& data) override;

 private:
  struct Layer {
    int inputs, outputs;
    std::size_t weight, bias;  ///< where they start in the flat vector
  };

  /// Runs `rows` samples forward; activations_ then holds each layer's output, the last one the logits.
  void forward(CVec x, const float* features, int rows);
  /// Turns logits into probabilities minus one-hot labels, in place; adds up loss and hits.
  void softmax(const std::int32_t* labels, int rows, double& loss, int& hits);

  std::vector<Layer> layers_;
  std::size_t dim_ = 0;
  std::vector<Floats> activations_;  ///< per layer: rows x outputs, row-major
  std::vector<Floats> errors_;       ///< per hidden layer: the same, for the backward pass
  Floats rows_;                      ///< features while scoring
};

}  // namespace ecl
