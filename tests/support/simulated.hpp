#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ecl/engines/recorder.hpp"
#include "ecl/engines/sim_port.hpp"
#include "ecl/run/experiment.hpp"

/// A training run in the simulator that a test can look into and interfere with.
namespace ecl::test {

/// Heterogeneous quadratics, one per node, full gradients; the learning rate is 0.1 of the largest eigenvalue's bound.
inline Spec quadratics(NodeId nodes, std::uint64_t steps) {
  Spec spec;
  spec.nodes = nodes;
  spec.dataset = "quadratic";
  spec.model = "quadratic";
  spec.batch = 1'000'000;  // the whole shard
  spec.learning_rate = 0.1;
  spec.steps = steps;
  spec.eval_every = 0;
  spec.quiet = true;
  return spec;
}

/// The topology that a solver is tested on.
inline std::string topology_for(const std::string& solver) {
  static const std::map<std::string, std::string> special = {
      {"relaysgd", "chain"}, {"allreduce", "star"}, {"fedavg", "star"}, {"fedprox", "star"},
      {"scaffold", "star"},  {"fedasync", "star"},  {"fedbuff", "star"}};
  const auto found = special.find(solver);
  return found == special.end() ? "ring" : found->second;
}

/// `spec` made fit for `solver`: its topology, and lock step where it needs that.
inline Spec for_solver(Spec spec, const std::string& solver) {
  spec.solver = solver;
  spec.topology = topology_for(solver);
  const Graph graph = make_graph(Choice::parse(spec.topology), 3, 1);
  const std::vector<float> initial(1);
  const auto probe = make_solver(Choice::parse(solver), {graph, 0, initial, spec.learning_rate, 1});
  spec.mode = probe->delivery() == Delivery::lock_step ? "lock-step" : "async";
  return spec;
}

class Simulation {
 public:
  explicit Simulation(const Spec& spec)
      : spec_(spec),
        experiment_(spec_, spec.nodes),
        network_(experiment_.graph, experiment_.make_solver(0)->message_size(), spec.links, experiment_.mode),
        alive_(spec.nodes, 1) {
    for (NodeId i = 0; i < spec.nodes; ++i)
      nodes_.push_back(experiment_.make_node(i, SimPort(network_, i), experiment_.make_solver(i), workspace_));
  }

  /// Every living node makes `steps` steps; periods are exponential with mean 1 times the node's slowness, or exactly
  /// that in lock step.
  void run(std::uint64_t steps) {
    std::vector<std::uint64_t> goal;
    for (NodeId i = 0; i < experiment_.nodes(); ++i) {
      goal.push_back(nodes_[i].optimizer().steps() + steps);
      if (alive_[i]) network_.wake_at(network_.now() + period(i), i);
    }
    while (const auto woken = network_.next()) {
      const NodeId i = *woken;
      if (!alive_[i]) continue;
      if (!nodes_[i].ready()) {
        network_.park(i);
        continue;
      }
      nodes_[i].begin();
      if (nodes_[i].optimizer().steps() == goal[i]) continue;
      nodes_[i].step();
      network_.wake_at(network_.now() + period(i), i);
    }
  }

  /// Node i stops for good; its neighbours are told.
  void kill(NodeId i) {
    alive_[i] = 0;
    for (const HalfEdge& edge : experiment_.graph.edges(i)) nodes_[edge.peer].optimizer().drop(edge.twin);
  }

  /// Largest distance of a living node to `x`, relative to |x|.
  double error(const std::vector<float>& x) const {
    const std::vector<double> reference(x.begin(), x.end());
    double largest = 0;
    for (NodeId i = 0; i < experiment_.nodes(); ++i) {
      const double distance = relative_distance(nodes_[i].x(), reference);
      if (alive_[i] && !(distance <= largest)) largest = distance;  // a NaN is not small
    }
    return largest;
  }

  const Experiment& experiment() const { return experiment_; }
  const std::vector<Node<SimPort>>& nodes() const { return nodes_; }
  SimNetwork& network() { return network_; }

 private:
  double period(NodeId i) const {
    if (experiment_.mode == Mode::lock_step) return experiment_.slowness[i];
    Random random(spec_.seed, Purpose::step_time, i, nodes_[i].optimizer().steps());
    return -std::log1p(-random.uniform()) * experiment_.slowness[i];
  }

  Spec spec_;
  Experiment experiment_;
  SimNetwork network_;
  Workspace workspace_;
  std::vector<Node<SimPort>> nodes_;
  std::vector<char> alive_;
};

}  // namespace ecl::test
