#pragma once

#include <cstddef>

#include "ecl/base/types.hpp"

namespace ecl {

/// x <- x - mu g: the local step of those whose work is in the exchange.
inline void sgd_step(Vec x, CVec direction, double step_size) {
  const float mu = static_cast<float>(step_size);
  for (std::size_t d = 0; d < x.size(); ++d) x[d] -= mu * direction[d];
}

}  // namespace ecl
