#include <algorithm>
#include <string>

#include "ecl/base/check.hpp"
#include "ecl/base/floats.hpp"
#include "ecl/contracts/solver.hpp"
#include "solvers/sgd_step.hpp"

/// RelaySGD: exact averaging on a tree, by sums that are passed on instead of mixed.
///
///     once per round   x_i <- ( x_i + sum_k m_{k->i} ) / ( 1 + sum_k n_{k->i} )
///     local step       x_i <- x_i - mu g_i                                        K times
///     message          m_{i->j} = x_i + sum_{k != j} m_{k->i}      the models on this side of the edge, summed
///                      n_{i->j} = 1 + sum_{k != j} n_{k->i}        and how many they are
///     start            m = 0, n = 0
///     exchange         R - 1 times more a round: x_i stays what its steps made of it, m and n are passed on, R hops
///                      in all
///
/// Once the counts are complete (after as many rounds as the tree is deep) every node takes the plain mean of all N
/// models, each ceil(hops / R) - 1 rounds old: no spectral gap, and with R not below the diameter a round is the exact
/// mean. At rest all agree, and for K = 1 sum_i g_i = 0 there: exact. For K > 1 it rests where federated averaging with
/// K local steps does, a bias by mu, K and heterogeneity.
///
/// A message is absolute: at rest it does not matter which ones were lost, late or repeated, and what has not arrived
/// yet is not counted. m and n belong together, so a message must be read whole, as ports do. The paper divides by N
/// and gives a node's own model the weight N - sum n; that is the same as soon as all are heard. Dividing by the count
/// also serves the parts of a broken tree: each goes on to the optimum of its own nodes.
///
/// Usual ranges: mu as for SGD; the delays along a deep tree ask for mu times depth below about 1 / L.
///
/// Source: Vogels, He, Koloskova, Karimireddy, Lin, Stich and Jaggi, NeurIPS 2021 (arXiv 2110.04175).
namespace ecl {
namespace {

class RelaySgd final : public Solver {
 public:
  explicit RelaySgd(const SolverSetup& setup)
      : size_(setup.initial.size() + 1), received_(setup.graph.degree(setup.node) * size_, 0.0f), total_(size_, 0.0f) {
    const std::size_t edges = setup.graph.edge_count(), nodes = setup.graph.size();
    if (edges + 1 != nodes)
      throw Error("solver relaysgd sums along the edges of a tree, and this topology has cycles (" +
                  std::to_string(edges) + " edges on " + std::to_string(nodes) +
                  " nodes); use --topology chain, tree or star");
  }

  std::size_t message_size() const override { return size_; }
  Delivery delivery() const override { return Delivery::newest_wins; }
  bool exchanges_again() const override { return true; }

  void receive(int e, CVec message) override { std::copy(message.begin(), message.end(), relayed(e).begin()); }

  void exchange(Vec) override {
    std::fill(total_.begin(), total_.end(), 0.0f);
    for (std::size_t at = 0; at < received_.size(); at += size_)
      for (std::size_t d = 0; d < size_; ++d) total_[d] += received_[at + d];
  }

  void combine(Vec x) override {
    exchange(x);
    const float share = 1 / (1 + total_[x.size()]);
    for (std::size_t d = 0; d < x.size(); ++d) x[d] = (x[d] + total_[d]) * share;
  }

  void descend(Vec x, CVec direction, double step_size) override { sgd_step(x, direction, step_size); }

  void send(int e, CVec x, Vec message) override {
    const Vec theirs = relayed(e);
    for (std::size_t d = 0; d < x.size(); ++d) message[d] = x[d] + (total_[d] - theirs[d]);
    message[x.size()] = 1 + (total_[x.size()] - theirs[x.size()]);
  }

  void drop(int e) override { std::fill(relayed(e).begin(), relayed(e).end(), 0.0f); }
  void archive(Archive& archive) override { archive(received_, total_); }

 private:
  Vec relayed(int e) { return {received_.data() + e * size_, size_}; }

  std::size_t size_;  ///< d + 1
  Floats received_;   ///< m and n of every edge, edge after edge
  Floats total_;      ///< their sums over the edges
};

}  // namespace

std::unique_ptr<Solver> make_relaysgd(const SolverSetup& setup, Params&) { return std::make_unique<RelaySgd>(setup); }

}  // namespace ecl
