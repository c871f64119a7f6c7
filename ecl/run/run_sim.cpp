#include <chrono>
#include <cmath>
#include <iostream>
#include <optional>

#include "ecl/base/random.hpp"
#include "ecl/metrics/local_evaluations.hpp"
#include "ecl/mpi/session.hpp"
#include "ecl/run/directory/checkpoints.hpp"
#include "ecl/run/directory/run_directory.hpp"
#include "ecl/run/directory/run_lock.hpp"
#include "ecl/run/run.hpp"
#include "ecl/run/summary.hpp"
#include "ecl/simulator/sim_port.hpp"

namespace ecl {
namespace {

constexpr const char* kStateName = "simulation";  // of the file in a checkpoint
constexpr double kStatus_s = 1;                   // between two status.json

/// One simulated run: nodes compute for a while, then step; messages fly meanwhile.
class SimRun {
 public:
  explicit SimRun(Experiment& experiment)
      : experiment_(experiment),
        solver_of_first_(experiment.make_solver(0)),
        network_(experiment.graph, solver_of_first_->message_size(), links(experiment.spec), experiment.mode),
        progress_(experiment.spec.quiet, mpi::stderr_is_terminal(), experiment.steps),
        evaluations_(experiment.nodes(), experiment.model->dim(),
                     [this](const std::vector<MetricsRow>& rows) { finished(rows); }),
        losses_(experiment.nodes()),
        next_evaluation_(experiment.nodes(), 1),
        computing_(experiment.nodes(), 0),
        checkpoints_(experiment.spec.out, experiment.spec.out.empty() ? "" : fingerprint(experiment)),
        times_(experiment.spec.checkpoint_every / experiment.epochs_per_step, experiment.spec.local_steps),
        next_checkpoint_(times_.after(0)) {
    nodes_.reserve(experiment.nodes());
    for (NodeId i = 0; i < experiment.nodes(); ++i) {
      auto solver = i == 0 ? std::move(solver_of_first_) : experiment.make_solver(i);
      nodes_.push_back(experiment.make_node(i, SimPort(network_, i), std::move(solver), workspace_));
    }
  }

  /// Takes up the latest checkpoint, if there is one; changes nothing on disk. Throws Error.
  void resume() {
    checkpoint_ = load_latest(checkpoints_, [this](std::uint64_t number) {
      Archive archive = checkpoints_.load(number, kStateName);
      archive(*this);
      archive.finish();
    });
    next_checkpoint_ = times_.after(steps_done_ / experiment_.nodes());
  }
  std::uint64_t checkpoint() const { return checkpoint_; }
  std::uint64_t rows_written() const { return evaluations_.done() * experiment_.nodes(); }

  void run(Recorder& recorder, const RunDirectory& directory) {
    recorder_ = &recorder;
    directory_ = &directory;
    if (checkpoints_.kept()) checkpoints_.forget_newer();
    start_ = std::chrono::steady_clock::now();
    write_status();
    if (checkpoint_ == 0)
      for (NodeId i = 0; i < experiment_.nodes(); ++i) compute_or_park(i);
    while (!diverged_ && !stop_requested()) {
      if (steps_done_ / experiment_.nodes() >= next_checkpoint_) save();
      const auto woken = network_.next();
      if (!woken) break;
      if (computing_[*woken]) step(*woken);
      compute_or_park(*woken);
    }
    const bool complete = evaluations_.done() == experiment_.evaluations();
    if (stop_requested() && !diverged_ && !complete && checkpoints_.kept()) save();
    if (!diverged_ && !stop_requested())
      for (NodeId i = 0; i < experiment_.nodes(); ++i)  // a server whose client's last message was lost
        if (due(i)) evaluate(i);
    progress_.finish();
  }

  Summary summary() {
    const bool complete = evaluations_.done() == experiment_.evaluations();
    if (!complete) evaluate_all_now();
    Summary summary;
    summary.verdict = diverged_ ? Verdict::diverged : complete ? Verdict::finished : Verdict::preempted;
    summary.seconds = last_step_s_;
    summary.wall_seconds = summary.gradient_seconds = wall_seconds();
    summary.cpu_seconds = cpu_seconds();
    summary.peak_memory_bytes = peak_memory_bytes();
    for (const auto& node : nodes_)
      summary.gradient_samples += static_cast<double>(node.optimizer().steps() * node.batch_size());
    summary.rows = last_rows_;
    score_consensus(summary, experiment_, mean());
    return summary;
  }

  const std::vector<double>& mean() const { return evaluations_.mean(); }

  /// Saves or loads all that changes in run(), between two events.
  void archive(Archive& archive) {
    archive(network_, next_evaluation_, computing_, evaluations_, last_step_s_, steps_done_);
    for (auto& node : nodes_) archive(node);
    for (auto& loss : losses_) archive(loss);
    archive.list(last_rows_);
    if (archive.loading()) check_loaded(archive);
  }

 private:
  static LinkModel links(const Spec& spec) {
    LinkModel links = spec.links;
    links.seed = spec.seed;
    return links;
  }

  double wall_seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

  double step_seconds(NodeId i) const {
    const Spec& spec = experiment_.spec;
    Random random(spec.seed, Purpose::step_time, i, nodes_[i].optimizer().steps());
    const double exponential = -std::log1p(-random.uniform());
    return spec.step_time_s * experiment_.slowness[i] * (1 - spec.links.jitter + spec.links.jitter * exponential);
  }

  /// The end of node i's computing.
  void step(NodeId i) {
    Node<SimPort>& node = nodes_[i];
    const double loss = node.step();
    last_step_s_ = network_.now();
    ++steps_done_;
    diverged_ |= !losses_[i].add(loss);
    const std::uint64_t steps = node.optimizer().steps();
    if (i == 0 && steps % 16 == 0)
      progress_.show(wall_seconds(), steps, static_cast<double>(steps) * experiment_.epochs_per_step, loss,
                     static_cast<double>(node.batch_size()) * experiment_.nodes());
  }

  /// Node i looks around before it computes: messages are taken here, and models evaluated.
  void compute_or_park(NodeId i) {
    Node<SimPort>& node = nodes_[i];
    computing_[i] = 0;
    if (!node.ready()) {
      network_.park(i);
      return;
    }
    node.begin();
    const std::uint64_t steps = node.optimizer().steps();
    if (due(i) && !(steps == experiment_.steps && node.optimizer().awaits_clients())) evaluate(i);
    if (steps < experiment_.steps) {
      computing_[i] = 1;
      network_.wake_at(network_.now() + step_seconds(i), i);
    } else if (node.serve()) {
      network_.park(i);
    }
  }

  bool due(NodeId i) const {
    const std::uint64_t steps = nodes_[i].optimizer().steps();
    return steps > 0 && steps == experiment_.evaluation_step(next_evaluation_[i]);
  }

  void evaluate(NodeId i) {
    evaluations_.add(
        next_evaluation_[i]++, nodes_[i].x(),
        measure(nodes_[i], i, *experiment_.model, experiment_.test, experiment_.epochs_per_step, losses_[i].take()));
  }

  void finished(const std::vector<MetricsRow>& rows) {
    double squares = 0;
    for (const MetricsRow& row : rows) squares += row.consensus_error * row.consensus_error;
    progress_.consensus(std::sqrt(squares / experiment_.nodes()));
    recorder_->write(rows);
    if (wall_seconds() - status_s_ > kStatus_s) write_status();
    last_rows_ = rows;
  }

  /// A checkpoint of the world as it is between two events.
  void save() {
    Archive archive;
    archive(*this);
    checkpoints_.save(checkpoint_ + 1, kStateName, archive);
    recorder_->sync();
    checkpoints_.publish(++checkpoint_);
    next_checkpoint_ = times_.after(steps_done_ / experiment_.nodes());
    write_status();
  }

  void check_loaded(const Archive& archive) const {
    bool good = evaluations_.done() <= experiment_.evaluations();
    for (const std::uint64_t k : next_evaluation_)
      good &= k > evaluations_.done() && k <= experiment_.evaluations() + 1;
    if (!good) archive.fail("does not fit the run's evaluations");
  }

  void write_status() {
    status_s_ = wall_seconds();
    directory_->write_status({"running", last_step_s_, nodes_[0].optimizer().steps(), checkpoint_}, experiment_);
  }

  /// A run that ends early is judged as it stands.
  void evaluate_all_now() {
    evaluations_.clear();
    for (NodeId i = 0; i < experiment_.nodes(); ++i) {
      next_evaluation_[i] = evaluations_.done() + 1;
      evaluate(i);
    }
  }

  Experiment& experiment_;
  Recorder* recorder_ = nullptr;
  const RunDirectory* directory_ = nullptr;
  std::unique_ptr<Solver> solver_of_first_;
  SimNetwork network_;
  Progress progress_;
  LocalEvaluations evaluations_;
  Workspace workspace_;
  std::vector<Node<SimPort>> nodes_;
  std::vector<RunningLoss> losses_;
  std::vector<std::uint64_t> next_evaluation_;  ///< per node, from 1
  std::vector<char> computing_;                 ///< per node: its wake-up is the end of a step, not a message
  std::vector<MetricsRow> last_rows_;
  std::chrono::steady_clock::time_point start_;
  double last_step_s_ = 0, status_s_ = 0;
  std::uint64_t steps_done_ = 0;  ///< of all nodes
  Checkpoints checkpoints_;
  CheckpointTimes times_;
  std::uint64_t checkpoint_ = 0, next_checkpoint_;  ///< number of the latest; mean steps of a node at the next
  bool diverged_ = false;
};

}  // namespace

Exit run_sim(const Spec& spec) {
  std::optional<RunLock> lock;
  if (spec.resume) lock.emplace(spec.out);
  Experiment experiment(spec, spec.nodes);
  if (spec.dry_run) {
    std::cout << experiment.footprint();
    return Exit::ok;
  }
  if (spec.verbose) std::cerr << experiment.describe();
  SimRun run(experiment);
  if (spec.resume) {
    run.resume();
    if (run.checkpoint() == 0) std::cerr << no_checkpoint_yet(spec.out);
  }
  const RunDirectory directory(spec, spec.nodes);  // last of all: whatever is refused leaves nothing behind
  if (!lock) lock.emplace(spec.out);
  Recorder recorder(directory.path("metrics.csv"), run.rows_written());
  run.run(recorder, directory);
  const Summary summary = run.summary();
  directory.finish(summary, experiment, run.mean(), run.checkpoint());
  print(std::cout, summary, experiment);
  return summary.exit_code();
}

}  // namespace ecl
