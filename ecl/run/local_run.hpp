#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "ecl/base/archive.hpp"
#include "ecl/base/memory.hpp"
#include "ecl/metrics/consensus.hpp"
#include "ecl/metrics/local_evaluations.hpp"
#include "ecl/metrics/progress.hpp"
#include "ecl/metrics/standings.hpp"
#include "ecl/mpi/session.hpp"
#include "ecl/run/average_measures.hpp"
#include "ecl/run/directory/run_directory.hpp"
#include "ecl/run/edge_report.hpp"
#include "ecl/run/experiment.hpp"
#include "ecl/run/summary.hpp"

namespace ecl {

/// A run whose nodes are all in this process: what the simulator and the replay share. Whoever derives from it owns the
/// order of events.
template <Port P>
class LocalRun {
 public:
  const std::vector<double>& mean() const { return evaluations_.mean(); }
  CVec model_of(NodeId i) const { return nodes_[i].x(); }

 protected:
  explicit LocalRun(Experiment& experiment)
      : experiment_(experiment),
        progress_(experiment.spec.quiet, mpi::stderr_is_terminal(), experiment.steps),
        evaluations_(experiment.nodes(), experiment.model->dim(),
                     [this](std::vector<MetricsRow>& rows) {
                       note_average(rows, measure_shares(experiment_, mean()));
                       finished(rows);
                     }),
        losses_(experiment.nodes(), RunningLoss(experiment.data.largest_weight())) {
    nodes_.reserve(experiment.nodes());
  }
  virtual ~LocalRun() = default;
  LocalRun(const LocalRun&) = delete;
  LocalRun& operator=(const LocalRun&) = delete;

  /// Makes the nodes, each with its port on `network`.
  template <class Network>
  void place_nodes(Network& network) {
    for (NodeId i = 0; i < experiment_.nodes(); ++i)
      nodes_.push_back(experiment_.make_node(i, P(network, i), experiment_.make_solver(i), workspace_));
  }

  void start_clock() {
    start_ = std::chrono::steady_clock::now();
    progress_.begin(before_s_, steps_of(0));
  }
  /// Of training, those before a resumption included.
  double wall_seconds() const {
    return before_s_ + std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  void archive_clock(Archive& archive) {
    double seconds = archive.loading() ? 0 : wall_seconds();
    archive(seconds);
    if (archive.loading()) before_s_ = seconds;
  }
  std::uint64_t steps_of(NodeId i) const { return nodes_[i].optimizer().steps(); }

  void make_step(NodeId i) {
    const double loss = nodes_[i].step();
    diverged_ |= !losses_[i].add(loss);
    if (i == 0) last_loss_ = loss;
    if (const double now_s = wall_seconds(); progress_.due(now_s)) show_progress(now_s);
  }

  /// Where each node stands, for people.
  std::vector<Standing> standings(double now_s) const {
    std::vector<Standing> nodes(nodes_.size());
    for (std::size_t i = 0; i < nodes.size(); ++i) nodes[i] = {.step = nodes_[i].optimizer().steps(), .heard_s = now_s};
    return nodes;
  }

  void show_progress(double now_s) {
    const std::vector<Standing> nodes = standings(now_s);
    const auto behind = slowest(nodes, {});
    progress_.show({.now_s = now_s,
                    .step = nodes[0].step,
                    .epoch = static_cast<double>(nodes[0].step) * experiment_.epochs_per_step,
                    .loss = last_loss_,
                    .samples_per_step = experiment_.samples_per_step,
                    .share_done = share_done(nodes, {}, experiment_.steps),
                    .slowest = behind,
                    .slowest_step = behind ? nodes[*behind].step : 0});
  }

  /// From here on status.json is in `directory`; the first one is written.
  void show_in(const RunDirectory& directory, Status status) {
    directory_ = &directory;
    for (NodeId i = 0; i < experiment_.nodes(); ++i) told_steps_.push_back(steps_of(i));
    write_status(std::move(status));
  }
  bool status_is_old() const { return wall_seconds() - status_s_ > kStatus_s; }
  /// `status`: how far the run is, but for what each node has done. Steps per second are those of the wall clock.
  void write_status(Status status) {
    const double now_s = wall_seconds(), since_s = now_s - std::exchange(status_s_, now_s);
    status.seconds_now = now_s;
    status.step = steps_of(0);
    status.nodes = standings(now_s);
    for (std::size_t i = 0; i < status.nodes.size(); ++i) {
      Standing& node = status.nodes[i];
      node.steps_per_s = static_cast<double>(node.step - std::exchange(told_steps_[i], node.step)) / since_s;
    }
    status.rows = last_rows_;
    directory_->write_status(status, experiment_);
  }

  void finish_progress() {
    if (progress_.redraws()) show_progress(wall_seconds());
    progress_.finish();
  }

  MetricsRow row(NodeId i) {
    return measure(nodes_[i], i, *experiment_.model, experiment_.data.test_of(i), experiment_.epochs_per_step,
                   losses_[i].take());
  }
  /// Node i's part in evaluation k, as it stands.
  void evaluate(NodeId i, std::uint64_t k) { evaluations_.add(k, nodes_[i].x(), row(i)); }
  /// All nodes have made their parts in an evaluation.
  virtual void finished(const std::vector<MetricsRow>& rows) = 0;

  /// `seconds`: of training, by the run's own clock. `mean`: of the models that are judged.
  Summary summarise(Verdict verdict, double seconds, const std::vector<double>& mean) {
    Summary summary;
    summary.verdict = verdict;
    summary.seconds = seconds;
    summary.wall_seconds = summary.gradient_seconds = wall_seconds();
    summary.cpu_seconds = cpu_seconds();
    summary.peak_memory_bytes = peak_memory_bytes();
    for (const auto& node : nodes_)
      summary.gradient_samples += static_cast<double>(node.optimizer().steps() * node.batch_size());
    summary.settle_rounds = nodes_[0].optimizer().settled();
    summary.rows = last_rows_;
    if (experiment_.spec.own_data())
      for (NodeId i = 0; i < experiment_.nodes(); ++i)
        summary.sites.push_back(report_site(experiment_, i, mean, nodes_[i].x(), verdict == Verdict::finished));
    if (!experiment_.spec.out.empty()) {
      std::vector<std::string> edges;
      for (NodeId i = 0; i < experiment_.nodes(); ++i)
        edges.push_back(edge_lines(experiment_.graph, i, nodes_[i].optimizer()));
      summary.edges = edges_csv(edges);
    }
    judge(summary, experiment_, mean);
    return summary;
  }

  Experiment& experiment_;
  Progress progress_;
  LocalEvaluations evaluations_;
  Workspace workspace_;
  std::vector<Node<P>> nodes_;
  std::vector<RunningLoss> losses_;
  std::vector<MetricsRow> last_rows_;
  double last_loss_ = 0;  ///< node 0's
  bool diverged_ = false;

 private:
  static constexpr double kStatus_s = 1;  ///< between two status.json

  const RunDirectory* directory_ = nullptr;
  double status_s_ = 0;
  std::vector<std::uint64_t> told_steps_;  ///< per node, in the newest status.json
  std::chrono::steady_clock::time_point start_;
  double before_s_ = 0;  ///< seconds of training before this process
};

}  // namespace ecl
