#pragma once

#include <Eigen/Core>

#include "ecl/contracts/proximal_step.hpp"

namespace ecl {

/// The exact proximal step of w'Hw/2 - b'w. Factorises H, d^2 doubles, once for each curvature that is asked for.
ProximalStep quadratic_proximal_step(Eigen::MatrixXd hessian, Eigen::VectorXd slope);

}  // namespace ecl
