#pragma once

#include <string>

#include "ecl/models/network.hpp"

namespace ecl {

/// One linear layer: softmax regression, or linear regression. d = outputs * (features + 1). Convex: it starts at 0,
/// and a node's local problem can be solved exactly for cross-entropy and mse.
class LinearModel final : public Network {
 public:
  LinearModel(const std::string& who, const ModelSetup& setup);
  void init(Vec x, Random& random) const override;
  /// Of mse, in closed form, where that takes a moment only and is unique.
  std::vector<float> optimum(const Dataset& data) const override;
  ProximalStep proximal_step(const Shard& shard) const override;

 private:
  Loss loss_;
  bool weighted_;
};

}  // namespace ecl
