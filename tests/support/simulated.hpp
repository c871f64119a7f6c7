#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ecl/metrics/consensus.hpp"
#include "ecl/metrics/recorder.hpp"
#include "ecl/run/experiment.hpp"
#include "ecl/simulator/sim_port.hpp"
#include "solvers/forwarding.hpp"

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
  spec.schedule = "constant";
  spec.steps = steps;
  spec.local_steps = 8;
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

/// Solvers that at a constant step size rest in lock step only, without losses, and why.
inline bool restless(const std::string& solver) {
  static const std::map<std::string, const char*> why = {
      {"sgp", "how much of the mass a node holds follows the chances of time and of losses"},
      {"fedasync", "the server follows the client that came last"},
      {"fedbuff", "the server follows the M updates that came last"}};
  return why.contains(solver);
}

/// Solvers that solve a node's whole problem in one step: K = 1, and not every model allows it.
inline bool takes_exact_steps(const std::string& solver) { return solver == "pdmm" || solver == "admm"; }

/// Node 0's part of `solver` on a small graph, to be asked what kind it is.
inline std::unique_ptr<Solver> probe(const std::string& solver, const std::vector<std::string>& settings = {}) {
  const Graph graph = make_graph(Choice::parse(topology_for(solver)), 3, 1);
  const std::vector<float> initial(1);
  SolverSetup setup{graph, 0, initial, 0.1, 1};
  setup.proximal_step = [] { return [](CVec, double, Vec) {}; };
  return make_solver(Choice::parse(solver), setup, settings);
}

/// `spec` made fit for `solver`: its topology, one local step or lock step where it needs that.
inline Spec for_solver(Spec spec, const std::string& solver) {
  spec.solver = solver;
  spec.topology = topology_for(solver);
  if (takes_exact_steps(solver)) spec.local_steps = 1;
  spec.mode = probe(solver)->delivery() == Delivery::lock_step ? "lock-step" : "async";
  return spec;
}

/// Puts something between node i and its solver.
using Wrap = std::function<std::unique_ptr<Solver>(NodeId, std::unique_ptr<Solver>)>;

class Simulation {
 public:
  explicit Simulation(const Spec& spec, const Wrap& wrap = {})
      : spec_(spec),
        experiment_(spec_, spec.nodes, sites_),
        network_(experiment_.graph, experiment_.make_solver(0)->message_size(), spec.links, experiment_.mode),
        alive_(spec.nodes, 1) {
    for (NodeId i = 0; i < spec.nodes; ++i) {
      auto solver = experiment_.make_solver(i);
      if (wrap) solver = wrap(i, std::move(solver));
      nodes_.push_back(experiment_.make_node(i, SimPort(network_, i), std::move(solver), workspace_));
    }
  }

  /// From here on `choose` says how many exchanges node i's round has that ends with its next step.
  void choose_exchanges(std::function<int(NodeId i, std::uint64_t step)> choose) { exchanges_ = std::move(choose); }

  /// Every living node makes `steps` steps; periods are exponential with mean 1 times the node's slowness, or exactly
  /// that in lock step.
  void run(std::uint64_t steps) {
    std::vector<std::uint64_t> goal;
    for (const auto& node : nodes_) goal.push_back(node.optimizer().steps() + steps);
    run_until([&](NodeId i) { return nodes_[i].optimizer().steps() == goal[i]; });
  }

  /// Every node makes `rounds` exchanges after its last step; lock step.
  void settle(int rounds) {
    for (int round = 0; round < rounds; ++round) {
      for (auto& node : nodes_) node.begin(), node.settle();
      while (network_.next()) {
      }
    }
    for (auto& node : nodes_) node.begin();
  }

  /// Every living node goes on for that long, so that none is left to train alone.
  void run_for(double seconds) {
    const double end = network_.now() + seconds;
    run_until([&](NodeId) { return network_.now() >= end; });
  }

  /// Node i stops for good; its neighbours are told.
  void kill(NodeId i) {
    alive_[i] = 0;
    for (const HalfEdge& edge : experiment_.graph.edges(i)) nodes_[edge.peer].optimizer().drop(edge.twin);
  }

  /// Largest distance of a living node to `x`, relative to |x|; infinite if some model is not finite.
  double error(const std::vector<float>& x) const {
    const std::vector<double> reference(x.begin(), x.end());
    double largest = 0;
    for (NodeId i = 0; i < experiment_.nodes(); ++i) {
      if (!alive_[i]) continue;
      const double distance = relative_distance(nodes_[i].x(), reference);
      if (!std::isfinite(distance)) return std::numeric_limits<double>::infinity();
      largest = std::max(largest, distance);
    }
    return largest;
  }

  /// The optimum of what the living nodes hold.
  std::vector<float> optimum_of_the_living() const {
    const Dataset all = load_dataset(Choice::parse(spec_.dataset), {"", spec_.nodes, spec_.seed}).train;
    const Partition partition = make_partition(Choice::parse(spec_.partition), all, spec_.nodes, spec_.seed);
    std::vector<std::int32_t> rows;
    for (NodeId i = 0; i < spec_.nodes; ++i)
      if (alive_[i]) rows.insert(rows.end(), partition[i].begin(), partition[i].end());
    return experiment_.model->optimum(all.subset(rows));
  }

  /// Saves or loads the nodes and their network.
  void archive(Archive& archive) {
    archive(network_);
    for (auto& node : nodes_) archive_whole(node, archive);
  }
  /// The nodes as `other` saved them, over the network of this simulation, which has seen no message yet.
  void take_nodes_of(Simulation& other) {
    for (NodeId i = 0; i < experiment_.nodes(); ++i) {
      Archive saved;
      archive_whole(other.nodes_[i], saved);
      Archive loaded(saved.bytes(), "node");
      archive_whole(nodes_[i], loaded);
      loaded.finish();
      nodes_[i].restart_port();
    }
  }

  const Experiment& experiment() const { return experiment_; }
  const std::vector<Node<SimPort>>& nodes() const { return nodes_; }
  SimNetwork& network() { return network_; }

 private:
  static void archive_whole(Node<SimPort>& node, Archive& archive) {
    node.archive_model(archive);
    archive(node);
  }

  template <class Done>
  void run_until(Done done) {
    for (NodeId i = 0; i < experiment_.nodes(); ++i)
      if (alive_[i]) network_.wake_at(network_.now() + period(i), i);
    while (const auto woken = network_.next()) {
      const NodeId i = *woken;
      if (!alive_[i]) continue;
      while (nodes_[i].exchanging() && nodes_[i].ready()) {
        nodes_[i].exchange();
        if (spec_.overlap) break;  // one between two steps, what is left at the round's end
      }
      if (!nodes_[i].ready()) {
        network_.park(i);
        continue;
      }
      nodes_[i].begin();
      if (done(i)) {
        if (nodes_[i].serve()) network_.park(i);
        continue;
      }
      Optimizer<SimPort>& optimizer = nodes_[i].optimizer();
      if (exchanges_ && optimizer.ends_round()) optimizer.set_exchanges(exchanges_(i, optimizer.steps()));
      nodes_[i].step();
      network_.wake_at(network_.now() + period(i), i);
    }
  }

  double period(NodeId i) const {
    if (experiment_.mode == Mode::lock_step) return experiment_.slowness[i];
    Random random(spec_.seed, Purpose::step_time, i, nodes_[i].optimizer().steps());
    return -std::log1p(-random.uniform()) * experiment_.slowness[i];
  }

  Spec spec_;
  LocalSites sites_;
  Experiment experiment_;
  SimNetwork network_;
  Workspace workspace_;
  std::vector<Node<SimPort>> nodes_;
  std::vector<char> alive_;
  std::function<int(NodeId, std::uint64_t)> exchanges_;  ///< empty: those of the spec
};

}  // namespace ecl::test
