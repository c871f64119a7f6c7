#pragma once

#include <memory>
#include <vector>

#include "ecl/contracts/dataset.hpp"
#include "ecl/contracts/graph.hpp"
#include "ecl/contracts/model.hpp"
#include "ecl/contracts/solver.hpp"
#include "ecl/data/placement.hpp"
#include "ecl/node/node.hpp"
#include "ecl/replay/delivery_log.hpp"
#include "ecl/run/spec.hpp"

namespace ecl {

/// A Spec made concrete for a number of nodes: what both runners share. The same on every rank.
class Experiment {
 public:
  /// Loads, splits and builds everything; throws Error for whatever is wrong with the spec.
  Experiment(const Spec& spec, NodeId nodes);

  NodeId nodes() const { return graph.size(); }
  /// Evaluations of a run; the k-th (from 1) is due when a node has done evaluation_step(k) steps.
  std::uint64_t evaluations() const { return evaluations_; }
  std::uint64_t evaluation_step(std::uint64_t k) const;

  /// Steps of a round: K, or all of them if there are fewer. A run's last round may be shorter.
  int round_steps() const;
  /// Rounds of training: each ends with an exchange.
  std::uint64_t rounds() const { return (steps + round_steps() - 1) / round_steps(); }
  /// False if no node ever sends a message: there is one node, or the solver does not communicate.
  bool exchanges() const { return message_floats_ > 0 && graph.edge_count() > 0; }
  std::size_t message_floats() const { return message_floats_; }

  std::unique_ptr<Solver> make_solver(NodeId i) const;
  template <Port P>
  Node<P> make_node(NodeId i, P port, std::unique_ptr<Solver> solver, Workspace& workspace) const {
    Optimizer<P> optimizer(std::move(port), std::move(solver), graph, i, rule(), mode);
    return Node<P>(std::move(optimizer), make_batches(i), initial, *model, workspace);
  }

  /// Whose log node i's recording is, and of what; on a rank only for its own node.
  DeliveryOrigin delivery_origin(NodeId i) const;

  /// A few lines on what was built, for --verbose.
  std::string describe() const;

  /// CRC-32 of the samples that are held: what to train and to test on.
  std::uint32_t data_checksum() const { return test.checksum(train_->checksum()); }

  /// What a node holds and sends, in bytes, and all of them together: for --dry-run. Runs one batch through the model.
  std::string footprint() const;

  /// Forgets all training samples but node i's.
  void keep_only(NodeId i);

  const Spec& spec;
  Mode mode;
  Graph graph;
  std::size_t train_samples;
  PlacedData placed;  ///< its partition: emptied for other nodes by keep_only()
  /// Of every node. An epoch is as many samples as one pass over all the data, shared equally: so a decentralised run
  /// sees as many as a central one of the same epochs, and no node idles because its shard is small.
  std::uint64_t steps;
  double epochs_per_step;
  Dataset test;
  std::unique_ptr<Model> model;
  std::vector<float> initial;    ///< the same first model for all nodes
  std::vector<float> optimum;    ///< where the problem has a closed form, else empty
  std::vector<double> slowness;  ///< step time factor per node

 private:
  StepRule rule() const;
  Shard shard(NodeId i) const;
  Batches make_batches(NodeId i) const;
  /// Nodes that this process runs.
  int nodes_here() const { return spec.simulated ? graph.size() : 1; }
  double peak_of_process(double state, double samples, double slots) const;
  ProximalStep proximal_step(NodeId i) const;  ///< of the node's loss, weight decay included

  std::shared_ptr<const Dataset> train_;
  std::vector<std::size_t> shard_sizes_;
  std::uint64_t evaluations_ = 1;
  std::size_t message_floats_ = 0;
};

}  // namespace ecl
