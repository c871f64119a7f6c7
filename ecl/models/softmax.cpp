#include "ecl/models/network.hpp"

namespace ecl {

/// Softmax regression: d = classes * (features + 1). Convex.
std::unique_ptr<Model> make_softmax(const ModelSetup& setup, Params&) {
  return std::make_unique<Network>("softmax", setup, std::vector<int>{});
}

}  // namespace ecl
