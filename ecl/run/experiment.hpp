#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "ecl/contracts/graph.hpp"
#include "ecl/contracts/model.hpp"
#include "ecl/contracts/sites.hpp"
#include "ecl/contracts/solver.hpp"
#include "ecl/inference/measures.hpp"
#include "ecl/node/exchange_budget.hpp"
#include "ecl/node/first_gradients.hpp"
#include "ecl/node/node.hpp"
#include "ecl/replay/delivery_log.hpp"
#include "ecl/run/run_data.hpp"
#include "ecl/run/spec.hpp"
#include "ecl/termination/settling.hpp"

namespace ecl {

/// A Spec made concrete for a number of nodes: what all runners share. The same on every rank, but for the data: a rank
/// holds its own node's.
class Experiment {
 public:
  /// Loads, splits and builds everything. `rank`: the node of this process; none: all nodes are here. `sites`: through
  /// whom the processes agree on what the data mean. Collective over them; throws Error, the same in all, for whatever
  /// is wrong with the spec.
  Experiment(const Spec& spec, NodeId nodes, Sites& sites, std::optional<NodeId> rank = std::nullopt);

  NodeId nodes() const { return graph.size(); }
  NodeId first_here() const { return rank_.value_or(0); }  ///< the lowest node of this process
  /// Evaluations of a run; the k-th (from 1) is due when a node has done evaluation_step(k) steps.
  std::uint64_t evaluations() const { return evaluations_; }
  std::uint64_t evaluation_step(std::uint64_t k) const;

  Loss loss() const;
  /// Of the test samples `data`, for a model x: all that tells how good it is. None where the model predicts nothing.
  std::optional<Measures> measure(CVec x, const Dataset& data) const;
  /// The same of no samples yet; the scores of two classes fall into so many bins.
  std::optional<Measures> no_measures(std::size_t bins) const;

  /// Steps of a round: K, or all of them if there are fewer. A run's last round may be shorter.
  int round_steps() const;
  /// Rounds of training: each ends with an exchange.
  std::uint64_t rounds() const { return (steps + round_steps() - 1) / round_steps(); }
  /// False if no node ever sends a message: there is one node, or the solver does not communicate.
  bool exchanges() const { return message_floats_ > 0 && graph.edge_count() > 0; }
  SettlingRule settling_rule() const {
    return {spec.consensus_error, exchanges() ? spec.settle : 0, spec.settle_s, rounds() == 1};
  }
  int exchanges_a_round() const { return exchanges_; }  ///< R; with --exchanges auto at first
  /// Whose number of exchanges it is that node i makes. `turns`: so many nodes share a core, and each needs its turn.
  ExchangeBudget exchange_budget(NodeId i, double turns = 1) const;
  std::size_t message_floats() const { return message_floats_; }

  std::unique_ptr<Solver> make_solver(NodeId i) const;
  template <Port P>
  Node<P> make_node(NodeId i, P port, std::unique_ptr<Solver> solver, Workspace& workspace) const {
    Optimizer<P> optimizer(std::move(port), std::move(solver), graph, i, rule(), mode);
    return Node<P>(std::move(optimizer), make_batches(i), initial, *model, workspace);
  }

  /// Node i as it would be without neighbours, on `single`, a graph of one node: SGD or Adam on its own samples.
  template <Port P>
  Node<P> make_lone_node(NodeId i, const Graph& single, P port, Workspace& workspace) const {
    Shard shard = data.shard(i);
    shard.weight = lone_weight(shard);
    Batches batches(std::move(shard), batch_sizes[i], spec.seed, i, augmentation_named(spec.augment));
    SolverSetup setup{single, 0, initial, rule().initial_step_size(), round_steps(), spec.momentum};
    setup.adam = spec.parsed_optimizer();
    setup.clip_norm = spec.clip_norm;
    auto solver = ecl::make_solver(Choice::parse("local"), setup);
    Optimizer<P> optimizer(std::move(port), std::move(solver), single, 0, rule(), Mode::lock_step);
    return Node<P>(std::move(optimizer), std::move(batches), initial, *model, workspace);
  }

  /// Whose log node i's recording is, and of what; on a rank only for its own node.
  DeliveryOrigin delivery_origin(NodeId i) const;

  /// A few lines on what was built, for --verbose.
  std::string describe() const;

  /// Nodes that this process runs.
  int nodes_here() const { return rank_ ? 1 : graph.size(); }
  /// The node that holds most samples.
  NodeId largest_node() const;
  /// What that node holds and sends, in bytes: for --dry-run, where it is in this process. Runs one batch through the
  /// model.
  std::string footprint() const;

  Batches make_batches(NodeId i) const;

  const Spec& spec;
  Mode mode;
  Graph graph;
  RunData data;
  /// Of every node. An epoch is as many samples as one pass over all the data, shared equally: so a decentralised run
  /// sees as many as a central one of the same epochs, and no node idles because its shard is small.
  std::uint64_t steps;
  double epochs_per_step;
  std::unique_ptr<Model> model;
  std::vector<float> initial;              ///< the same first model for all nodes
  std::vector<float> optimum;              ///< where the problem has a closed form, else empty
  std::vector<double> slowness;            ///< step time factor per node
  std::vector<std::uint64_t> batch_sizes;  ///< of every node; that of a smaller shard is the shard
  double samples_per_step;                 ///< of all nodes

 private:
  void build(NodeId nodes);
  std::vector<float> class_weights() const;
  void start_from(const TrainedModel& earlier);
  void count_steps();
  void agree_on_scale(Sites& sites);
  void see_first_gradients(NodeId i, FirstGradients& first);
  void choose_exchanges();
  std::string exchanges_text() const;
  StepRule rule() const;
  static double lone_weight(const Shard& shard);
  double peak_of_process(double state, double slots) const;
  ProximalStep proximal_step(NodeId i) const;  ///< of the node's loss, weight decay included

  std::optional<NodeId> rank_;
  std::vector<float> scale_;  ///< SolverSetup::scale; empty: 1
  std::uint64_t evaluations_ = 1;
  std::size_t message_floats_ = 0;
  int exchanges_ = 1;  ///< R, at first
};

/// The model as --model and --hidden say it together.
std::string model_name(const Spec& spec);

}  // namespace ecl
