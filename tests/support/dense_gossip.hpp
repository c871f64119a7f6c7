#pragma once

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "tests/support/simulated.hpp"

/// What the exchanges of a round do to all nodes' vectors at once, as matrices: for reference recursions and closed
/// forms.
namespace ecl::test {

/// How often, and by which weights.
struct Averaging {
  int exchanges = 1;
  std::string gossip = "plain";

  std::string name() const { return gossip + std::to_string(exchanges); }
};

/// `spec` with it, for a solver that takes `gossip`, or plain for any that exchanges several times.
inline Spec with(Spec spec, const Averaging& averaging) {
  spec.exchanges = std::to_string(averaging.exchanges);
  if (averaging.gossip != "plain") spec.settings.push_back("gossip=" + averaging.gossip);
  return spec;
}

inline Averaging averaging_of(const Spec& spec) {
  Averaging averaging{std::max(1, spec.parsed_exchanges().number), "plain"};
  for (const std::string& setting : spec.settings)
    if (setting.rfind("gossip=", 0) == 0) averaging.gossip = setting.substr(7);
  return averaging;
}

/// The Metropolis weights, and on the diagonal what they leave.
inline Eigen::MatrixXd metropolis_matrix(const Graph& graph) {
  Eigen::MatrixXd w = Eigen::MatrixXd::Identity(graph.size(), graph.size());
  for (NodeId i = 0; i < graph.size(); ++i)
    for (const HalfEdge& edge : graph.edges(i)) {
      const double weight = metropolis_weight(graph, i, edge.peer);
      w(i, edge.peer) += weight;
      w(i, i) -= weight;
    }
  return w;
}

/// What R exchanges make of the mixing matrix w: w^R; A(r+1) = (1 + eta) w A(r) - eta A(r-1) from A(-1) = A(0); or
/// Chebyshev's polynomial of w / s, scaled to keep means.
inline Eigen::MatrixXd averaged(const Eigen::MatrixXd& w, const Averaging& averaging) {
  const auto identity = Eigen::MatrixXd::Identity(w.rows(), w.cols());
  const Eigen::VectorXd values = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(w).eigenvalues();
  const double s = std::max(std::abs(values[0]), std::abs(values[w.rows() - 2])), root = std::sqrt(1 - s * s);
  const double eta = averaging.gossip == "fast" && averaging.exchanges > 1 ? (1 - root) / (1 + root) : 0;
  Eigen::MatrixXd before = identity, now = identity;
  if (averaging.gossip == "chebyshev") {
    double scale_before = 1, scale = 1 / s;
    now = w / s;
    for (int r = 1; r < averaging.exchanges; ++r) {
      const Eigen::MatrixXd next = 2 / s * w * now - before;
      before = now, now = next;
      scale_before = std::exchange(scale, 2 / s * scale - scale_before);
    }
    return now / scale;
  }
  for (int r = 0; r < averaging.exchanges; ++r) {
    const Eigen::MatrixXd next = (1 + eta) * w * now - eta * before;
    before = now, now = next;
  }
  return now;
}

/// The same of a run's graph, exchanges and gossip.
inline Eigen::MatrixXd averaging_matrix(const Graph& graph, const Spec& spec) {
  return averaged(metropolis_matrix(graph), averaging_of(spec));
}

/// Whether `solver` has the parameter `gossip`.
inline bool takes_gossip(const std::string& solver) {
  try {
    probe(solver, {"gossip=plain"});
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace ecl::test
