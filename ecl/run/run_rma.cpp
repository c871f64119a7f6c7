#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <iostream>
#include <optional>
#include <thread>

#include "ecl/engines/call_off.hpp"
#include "ecl/engines/evaluations.hpp"
#include "ecl/engines/mpi_port.hpp"
#include "ecl/mpi/session.hpp"
#include "ecl/run/checkpoints.hpp"
#include "ecl/run/run.hpp"
#include "ecl/run/run_directory.hpp"
#include "ecl/run/summary.hpp"

namespace ecl {
namespace {

constexpr double kPoke_s = 0.5e-3;  // MPI's progress needs us about every millisecond
constexpr double kStatus_s = 1;     // between two status.json

/// Waits that grow: a few looks that only give the core away, then short sleeps.
class Pause {
 public:
  void wait() {
    if (++looks_ < 200)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  void reset() { looks_ = 0; }

 private:
  int looks_ = 0;
};

/// One rank's training loop.
class RankRun {
 public:
  RankRun(const mpi::Comm& comm, Experiment& experiment)
      : comm_(comm),
        experiment_(experiment),
        rank_(comm.rank()),
        steps_(experiment.steps),
        slowness_(experiment.slowness[rank_]),
        progress_(experiment.spec.quiet || rank_ != 0, rank_ == 0 && mpi::stderr_is_terminal(), steps_),
        node_(make_node()),
        evaluations_(comm, experiment.model->dim(), experiment.evaluations(),
                     [this](const std::vector<MetricsRow>& rows) { finished(rows); }),
        checkpoints_(experiment.spec.out, experiment.spec.out.empty() ? "" : fingerprint(experiment)),
        times_(experiment.spec.checkpoint_every / experiment.epochs_per_step, experiment.spec.local_steps),
        saved_(comm),
        halt_(comm) {
    plan();
  }

  /// Takes up the latest checkpoint, if there is one; changes nothing on disk. Collective; throws Error, the same on
  /// every rank.
  void resume() {
    comm_.together([this] { checkpoints_.latest(); });
    checkpoint_ = published_ = load_latest(checkpoints_, [this](std::uint64_t number) {
      comm_.together([this, number] {
        Archive archive = checkpoints_.load(number, state_name());
        this->archive(archive);
        archive.finish();
      });
    });
    if (checkpoint_ == 0) return;
    rows_written_ = evaluations_.begun() * experiment_.nodes();
    evaluations_.resume();
    node_.restart_port();
    plan();
  }
  std::uint64_t checkpoint() const { return published_; }
  std::uint64_t rows_written() const { return rows_written_; }

  /// On rank 0, before train(): where results go. Throws Error.
  void write_to(Recorder& recorder, const RunDirectory& directory) {
    recorder_ = &recorder, directory_ = &directory;
    if (checkpoints_.kept()) checkpoints_.forget_newer();
    write_status();
  }

  void train() {
    if (rank_ == 0 && !experiment_.spec.quiet && experiment_.nodes() > 1)
      std::cerr << "exchange: " << node_.optimizer().port().exchange() << '\n';
    Pause pause;
    while (!evaluations_.done()) {
      poke();
      if (!calling_off_ && must_end()) call_off();
      const bool done = steps_done() == steps_;
      const bool evaluates = due_ && !(done && node_.optimizer().awaits_clients());
      if (calling_off_ || halts() || (done && !evaluates) || !node_.ready()) {
        last_poke_s_ = 0;  // nothing else to do: poke at every look
        if (done) node_.serve();
        pause.wait();
        continue;
      }
      pause.reset();
      if (evaluates)
        evaluate();
      else if (checkpoint_due())
        save_checkpoint(checkpoint_ + 1, steps_done(), evaluations_.begun());
      else
        step();
    }
    finish_checkpoints();
    progress_.finish();
  }

  Summary summary() {
    Summary summary;
    const Optimizer<MpiPort>& optimizer = node_.optimizer();
    const bool diverged = comm_.max(diverged_) > 0;
    summary.verdict = diverged ? Verdict::diverged : evaluations_.called_off() ? Verdict::preempted : Verdict::finished;
    summary.seconds = summary.wall_seconds = comm_.max(trained_s_);
    summary.cpu_seconds = comm_.sum(cpu_seconds());
    summary.peak_memory_bytes = comm_.max(peak_memory_bytes());
    summary.exchange_seconds = comm_.sum(optimizer.traffic().exchange_seconds);
    summary.exchange = optimizer.port().exchange();
    summary.gradient_seconds = comm_.sum(step_seconds_) - summary.exchange_seconds;
    summary.gradient_samples = comm_.sum(static_cast<double>(steps_done() * node_.batch_size()));
    summary.rows = last_rows_;
    if (rank_ == 0) score_consensus(summary, experiment_, evaluations_.mean());
    return summary;
  }

  const std::vector<double>& mean() const { return evaluations_.mean(); }
  const std::optional<Error>& write_error() const { return write_error_; }

 private:
  Node<MpiPort> make_node() {
    auto solver = experiment_.make_solver(rank_);
    MpiPort port(comm_, experiment_.graph, solver->message_size(), experiment_.mode,
                 exchange_named(experiment_.spec.exchange));
    return experiment_.make_node(rank_, std::move(port), std::move(solver), workspace_);
  }

  /// Seconds of training, those before a resumption included.
  double now() const { return before_s_ + node_.optimizer().port().now(); }
  std::uint64_t steps_done() const { return node_.optimizer().steps(); }

  void poke() {
    const double now_s = now();
    if (now_s - last_poke_s_ < kPoke_s) return;
    last_poke_s_ = now_s;
    comm_.poke();
    node_.optimizer().port().poke();
    evaluations_.poke();
    if (!checkpoints_.kept()) return;
    halt_heard_ = halt_.heard();
    saved_.poke();
    publish();
  }

  void step() {
    const double start_s = now();
    const double loss = node_.step();
    const double end_s = now();
    step_seconds_ += end_s - start_s;
    trained_s_ = end_s;
    diverged_ = !loss_.add(loss);
    if (slowness_ > 1) fall_behind(end_s - start_s);
    due_ = steps_done() == next_evaluation_;
    if (share_cores_ && steps_done() % experiment_.spec.local_steps == 0) std::this_thread::yield();
    const double network_samples = static_cast<double>(node_.batch_size()) * experiment_.nodes();
    progress_.show(end_s, steps_done(), static_cast<double>(steps_done()) * experiment_.epochs_per_step, loss,
                   network_samples);
  }

  MetricsRow row() {
    MetricsRow row =
        measure(node_, rank_, *experiment_.model, experiment_.test, experiment_.epochs_per_step, loss_.take());
    row.time_s += before_s_;
    return row;
  }

  /// Of the model that a round begins with: the neighbours' messages are in it.
  void evaluate() {
    due_ = false;
    node_.begin();
    evaluations_.begin(node_.x(), row());
    plan_evaluation();
  }

  void plan_evaluation() {
    if (evaluations_.begun() < experiment_.evaluations())
      next_evaluation_ = experiment_.evaluation_step(evaluations_.begun() + 1);
  }

  /// What is due next, at the start and after a resumption.
  void plan() {
    plan_evaluation();
    due_ = evaluations_.begun() < experiment_.evaluations() && steps_done() == next_evaluation_ && steps_done() > 0;
    next_checkpoint_ = times_.after(stood_);
  }

  // Checkpoints. Every rank writes a file of its own and tells rank 0; nobody waits. Rank 0 makes the checkpoint the
  // latest when all files are on disk, and the evaluations up to it in metrics.csv.

  std::string state_name() const { return "node-" + std::to_string(rank_); }

  /// All of this rank that changes in train(). `complete`: evaluations in which all ranks have begun their parts.
  void archive(Archive& archive, std::uint64_t complete = 0) {
    double seconds = now();
    archive(stood_, seconds, trained_s_, step_seconds_, loss_, node_);
    evaluations_.archive(archive, complete);
    if (archive.loading()) before_s_ = seconds;
  }

  bool checkpoint_due() const {
    return checkpoints_.kept() && steps_done() == next_checkpoint_ && steps_done() < steps_ && !calling_off_;
  }

  /// `stood`: a step that no rank's state is beyond, the same on all.
  /// `durable`: on disk when this returns, else soon to be.
  void save_checkpoint(std::uint64_t number, std::uint64_t stood, std::uint64_t complete, bool durable = true) {
    node_.begin();  // in lock step the neighbours' messages of the round must be in the state: mailboxes are not saved
    checkpoint_ = number, stood_ = stood;
    next_checkpoint_ = times_.after(stood_);
    Archive state;
    state.reserve(state_bytes_);
    archive(state, complete);
    state_bytes_ = state.bytes().size();
    try {
      checkpoints_.save(number, state_name(), state, durable);
      saved_.report(number);
      waiting_.push_back({number, complete * experiment_.nodes()});
    } catch (const Error& error) {
      write_error_ = error;
    }
  }

  /// Rank 0: makes checkpoints that are whole the latest, one after the other.
  void publish() {
    while (rank_ == 0 && !waiting_.empty() && saved_.complete(waiting_.front().number) &&
           rows_written_ >= waiting_.front().rows && !write_error_) {
      try {
        recorder_->sync();
        checkpoints_.publish(waiting_.front().number);
        published_ = waiting_.front().number;
        write_status();
      } catch (const Error& error) {
        write_error_ = error;
      }
      waiting_.pop_front();
    }
  }

  /// Collective, at the end: nothing is left under way, and what is there lasts.
  void finish_checkpoints() {
    halt_.finish({});
    saved_.finish();
    publish();
    if (halted_at_ == 0 || write_error_) return;
    try {
      checkpoints_.make_durable(halted_at_, state_name());
    } catch (const Error& error) {
      write_error_ = error;
    }
  }

  void write_status() {
    status_s_ = now();
    const bool preempted = halted_at_ != 0 && published_ == halted_at_;
    directory_->write_status({preempted ? "preempted" : "running", trained_s_, steps_done(), published_}, experiment_);
  }

  /// A stop signal ends a run that keeps checkpoints in three steps: the ranks agree where to stand (in lock step on
  /// the next boundary that all can reach), each saves itself there, and when the checkpoint is the latest rank 0 calls
  /// the run off. True while this rank must not step.
  bool halts() {
    if (!halt_.called()) {
      const bool told = stop_requested() && evaluations_.begun() < experiment_.evaluations();
      if (!checkpoints_.kept() || !(told || halt_heard_)) return false;
      halt_.call({next_boundary(), evaluations_.begun(), checkpoint_});
    }
    const bool lock_step = experiment_.mode == Mode::lock_step;
    if (!halt_.counted()) return !lock_step || steps_done() == next_boundary();
    if (halted_at_ != 0) return true;
    std::uint64_t stand = 0, begun = evaluations_.begun(), number = checkpoint_;
    for (const auto& [boundary, their_begun, their_number] : halt_.all()) {
      stand = std::max(stand, boundary);
      if (!lock_step) begun = std::min(begun, their_begun), number = std::max(number, their_number);
    }
    if (lock_step) {
      if (stand >= steps_) return false;  // the foremost is in its last round: the run ends by itself
      if (steps_done() < stand || due_ || checkpoint_due()) return false;
      if (!node_.ready()) return true;
    }
    save_checkpoint(halted_at_ = number + 1, stand, begun,
                    false);  // mpirun may leave us a second: write first, then sync
    return true;
  }

  /// The end of the round under way, in steps.
  std::uint64_t next_boundary() const {
    const std::uint64_t round = experiment_.spec.local_steps;
    return (steps_done() + round - 1) / round * round;
  }

  /// Another rank ended the run, or this one has to before it has begun its last evaluation.
  bool must_end() const {
    return evaluations_.called_off() || (evaluations_.begun() < experiment_.evaluations() &&
                                         ((stop_requested() && !checkpoints_.kept()) || diverged_ ||
                                          write_error_.has_value() || (halted_at_ != 0 && published_ == halted_at_)));
  }

  void call_off() {
    calling_off_ = true;
    evaluations_.call_off(node_.x(), row());
  }

  /// --node-speed: sleeps off what a slower machine would have taken longer for a step, serving MPI meanwhile. A rank
  /// of usual speed that shares its core takes `ranks_per_core` times the step's own seconds: the factor is upon that.
  void fall_behind(double step_s) {
    debt_s_ += (slowness_ * std::max(1.0, mpi::ranks_per_core()) - 1) * step_s;
    const double start_s = now();
    while (now() - start_s < debt_s_ && !must_end() && !stop_requested() && !halt_heard_) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      poke();
    }
    debt_s_ -= now() - start_s;
  }

  void finished(const std::vector<MetricsRow>& rows) {
    try {
      recorder_->write(rows);
      if (now() - status_s_ > kStatus_s) write_status();
    } catch (const Error& error) {  // this rank alone knows: end the run in good order, then tell everybody
      write_error_ = error;
    }
    double squares = 0;
    for (const MetricsRow& r : rows) squares += r.consensus_error * r.consensus_error;
    progress_.consensus(std::sqrt(squares / static_cast<double>(rows.size())));
    last_rows_ = rows;
    rows_written_ += rows.size();
  }

  const mpi::Comm& comm_;
  Experiment& experiment_;
  Recorder* recorder_ = nullptr;
  const RunDirectory* directory_ = nullptr;
  NodeId rank_;
  std::uint64_t steps_;
  double slowness_;
  /// Ranks that share a core take turns at every exchange: else a time slice is hundreds of steps on stale messages.
  bool share_cores_ = mpi::oversubscribed();
  Progress progress_;
  Workspace workspace_;
  Node<MpiPort> node_;
  Evaluations evaluations_;
  Checkpoints checkpoints_;
  CheckpointTimes times_;
  Tally saved_;   ///< by number of the checkpoint: whose files are on disk
  CallOff halt_;  ///< after a stop signal: step of the next boundary, evaluations begun, checkpoints made
  struct Waiting {
    std::uint64_t number, rows;  ///< of metrics.csv that must be there
  };
  std::deque<Waiting> waiting_;   ///< checkpoints that this rank has written, to be published
  std::uint64_t checkpoint_ = 0;  ///< number of the last that this rank has written
  std::uint64_t published_ = 0;   ///< and of the latest on disk; rank 0
  std::size_t state_bytes_ = 0;   ///< of the last checkpoint's file
  std::uint64_t stood_ = 0;       ///< step of the last checkpoint; of the foremost rank, if they differ
  std::uint64_t next_checkpoint_ = 0;
  bool halt_heard_ = false;
  std::uint64_t halted_at_ = 0;     ///< number of the checkpoint that a stop signal made; 0: none
  std::uint64_t rows_written_ = 0;  ///< of metrics.csv; rank 0
  RunningLoss loss_;
  std::uint64_t next_evaluation_ = 0;
  std::vector<MetricsRow> last_rows_;  ///< rank 0 only
  double before_s_ = 0;                ///< seconds of training before this process
  double status_s_ = 0, last_poke_s_ = 0, trained_s_ = 0, step_seconds_ = 0, debt_s_ = 0;
  bool due_ = false;  ///< an evaluation comes before the next step
  bool diverged_ = false, calling_off_ = false;
  std::optional<Error> write_error_;  ///< metrics.csv or a checkpoint could not be written
};

/// Collective. Throws what `together` throws, on every rank.
Exit train_and_record(const mpi::Comm& comm, const Spec& spec, const Experiment& experiment, RankRun& run) {
  if (spec.resume) {
    run.resume();
    if (run.checkpoint() == 0 && comm.rank() == 0) std::cerr << no_checkpoint_yet(spec.out);
  }

  std::unique_ptr<RunDirectory> directory;  // last of all: whatever is refused leaves nothing behind
  std::unique_ptr<Recorder> recorder;
  comm.together([&] {
    if (comm.rank() != 0) return;
    directory = std::make_unique<RunDirectory>(spec, comm.size());
    recorder = std::make_unique<Recorder>(directory->path("metrics.csv"), run.rows_written());
    run.write_to(*recorder, *directory);
  });
  run.train();
  const Summary summary = run.summary();
  comm.together([&] {
    if (run.write_error()) throw *run.write_error();
    if (comm.rank() != 0) return;
    directory->finish(summary, experiment, run.mean(), run.checkpoint());
    print(std::cout, summary, experiment);
  });
  return summary.exit_code();
}

}  // namespace

Exit run_rma(const mpi::Comm& comm, const Spec& spec) {
  if (spec.resume && spec.nodes != comm.size())
    throw Error("--resume " + spec.out + ": that run has " + std::to_string(spec.nodes) +
                " nodes; go on with mpirun -n " + std::to_string(spec.nodes));
  std::unique_ptr<Experiment> experiment;
  comm.together([&] {
    experiment = std::make_unique<Experiment>(spec, comm.size());
    experiment->keep_only(comm.rank());
  });
  if (spec.verbose && comm.rank() == 0)
    std::cerr << "MPI       " << mpi::library_version() << (mpi::oversubscribed() ? ", more ranks than cores" : "")
              << '\n'
              << experiment->describe();
  std::optional<Error> error;  // the same on every rank, so all of them leave the mailboxes behind in good order first
  {
    RankRun run(comm, *experiment);
    try {
      return train_and_record(comm, spec, *experiment, run);
    } catch (const Error& agreed) {
      error = agreed;
    }
  }
  throw *error;
}

}  // namespace ecl
