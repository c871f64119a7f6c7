#include "ecl/models/network.hpp"
#include "ecl/models/softmax_prox.hpp"

namespace ecl {
namespace {

/// Softmax regression: d = classes * (features + 1). Convex, so that a node's local problem can be solved.
class Softmax final : public Network {
 public:
  explicit Softmax(const ModelSetup& setup) : Network("softmax", setup, {}) {}
  ProximalStep proximal_step(const Shard& shard) const override { return softmax_proximal_step(shard); }
};

}  // namespace

std::unique_ptr<Model> make_softmax(const ModelSetup& setup, Params&) { return std::make_unique<Softmax>(setup); }

}  // namespace ecl
