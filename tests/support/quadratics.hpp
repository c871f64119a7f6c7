#pragma once

#include <Eigen/Core>
#include <vector>

#include "tests/support/simulated.hpp"

/// The heterogeneous quadratics of a simulation once more, in double: for reference recursions and closed forms.
namespace ecl::test {

/// Hessian and minimiser of each node's quadratic, in double.
struct Quadratics {
  std::vector<Eigen::MatrixXd> hessian;
  std::vector<Eigen::VectorXd> minimiser;

  explicit Quadratics(const Spec& spec) {
    const Dataset data = load_dataset(Choice::parse(spec.dataset), {"", spec.nodes, spec.seed}).train;
    const Partition partition = make_partition(Choice::parse(spec.partition), data, spec.nodes, spec.seed);
    const int d = data.features() / 3;
    for (NodeId i = 0; i < spec.nodes; ++i) {
      std::vector<float> row(3 * d);
      data.gather(partition[i].at(0), 1, row.data());
      const Eigen::VectorXd all = Eigen::Map<Eigen::VectorXf>(row.data(), 3 * d).cast<double>();
      const Eigen::VectorXd v = all.segment(d, d);
      const Eigen::MatrixXd reflection = Eigen::MatrixXd::Identity(d, d) - 2 * v * v.transpose();
      hessian.emplace_back(reflection * all.head(d).asDiagonal() * reflection);
      minimiser.emplace_back(all.tail(d));
    }
  }

  int nodes() const { return static_cast<int>(hessian.size()); }
  Eigen::VectorXd gradient(NodeId i, const Eigen::VectorXd& x) const { return hessian[i] * (x - minimiser[i]); }
};

}  // namespace ecl::test
