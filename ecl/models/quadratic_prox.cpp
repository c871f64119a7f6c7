#include "ecl/models/quadratic_prox.hpp"

#include <Eigen/Cholesky>
#include <utility>

namespace ecl {

ProximalStep quadratic_proximal_step(Eigen::MatrixXd hessian, Eigen::VectorXd slope) {
  return [hessian = std::move(hessian), slope = std::move(slope), factor = Eigen::LDLT<Eigen::MatrixXd>(),
          factorised = -1.0](CVec pull, double curvature, Vec w) mutable {
    const Eigen::Index d = slope.size();
    if (curvature != factorised) factor.compute(hessian + curvature * Eigen::MatrixXd::Identity(d, d));
    factorised = curvature;
    const Eigen::VectorXd pulled = slope + Eigen::Map<const Eigen::VectorXf>(pull.data(), d).cast<double>();
    Eigen::Map<Eigen::VectorXf>(w.data(), d) = factor.solve(pulled).cast<float>();
  };
}

}  // namespace ecl
