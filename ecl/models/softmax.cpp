#include <algorithm>

#include "ecl/models/network.hpp"
#include "ecl/models/softmax_prox.hpp"

namespace ecl {
namespace {

/// Softmax regression: d = classes * (features + 1). Convex: it starts at 0, and a node's local problem can be solved.
class Softmax final : public Network {
 public:
  explicit Softmax(const ModelSetup& setup)
      : Network("softmax", setup, {layers::Linear{"linear", classes_of("softmax", setup)}}) {}
  void init(Vec x, Random&) const override { std::ranges::fill(x, 0.0f); }
  ProximalStep proximal_step(const Shard& shard) const override { return softmax_proximal_step(shard); }
};

}  // namespace

std::unique_ptr<Model> make_softmax(const ModelSetup& setup, Params&) { return std::make_unique<Softmax>(setup); }

}  // namespace ecl
