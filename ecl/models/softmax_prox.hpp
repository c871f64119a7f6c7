#pragma once

#include "ecl/contracts/dataset.hpp"
#include "ecl/contracts/proximal_step.hpp"

namespace ecl {

/// The exact proximal step of softmax regression on `shard`, parameters laid out as Network's: Newton's method, each
/// step solved by conjugate gradients (Nocedal and Wright, Numerical Optimization, 2006, section 7.1), in double.
///
/// Stops at a gradient below 1e-6 curvature max(1, |w|): as the problem is curved at least by `curvature`, w is then
/// within 1e-6 max(1, |w|) of the solution. A curvature below 1e-3 counts as that here; at 0 there may be no solution.
ProximalStep softmax_proximal_step(const Shard& shard);

}  // namespace ecl
