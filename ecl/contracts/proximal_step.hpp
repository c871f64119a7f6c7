#pragma once

#include <functional>

#include "ecl/base/types.hpp"

namespace ecl {

/// A node's exact local step, for solvers that take no gradients:
///
///     w <- argmin_w  f_i(w) - <pull, w> + curvature/2 |w|^2,    curvature >= 0
///
/// with f_i the mean loss over all samples of the node times the shard's weight N n_i / n. `pull` and `w` have d
/// floats; `w` comes in as the point to start from. It may keep scratch memory: one object serves one node. The model
/// that made it outlives it.
using ProximalStep = std::function<void(CVec pull, double curvature, Vec w)>;

}  // namespace ecl
