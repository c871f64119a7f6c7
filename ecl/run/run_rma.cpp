#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <optional>
#include <thread>

#include "ecl/engines/evaluations.hpp"
#include "ecl/engines/mpi_port.hpp"
#include "ecl/mpi/session.hpp"
#include "ecl/run/run.hpp"
#include "ecl/run/summary.hpp"

namespace ecl {
namespace {

constexpr double kPoke_s = 0.5e-3;  // MPI's progress needs us about every millisecond

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
                     [this](const std::vector<MetricsRow>& rows) { finished(rows); }) {}

  /// `recorder`: of rank 0, else null.
  void train(Recorder* recorder) {
    recorder_ = recorder;
    if (rank_ == 0 && !experiment_.spec.quiet && experiment_.nodes() > 1)
      std::cerr << "exchange: " << node_.optimizer().port().exchange() << '\n';
    next_evaluation_ = experiment_.evaluation_step(1);
    Pause pause;
    while (!evaluations_.done()) {
      poke();
      if (!calling_off_ && must_end()) call_off();
      const bool done = steps_done() == steps_;
      const bool evaluates = due_ && !(done && node_.optimizer().awaits_clients());
      if (calling_off_ || (done && !evaluates) || !node_.ready()) {
        last_poke_s_ = 0;  // nothing else to do: poke at every look
        if (done) node_.serve();
        pause.wait();
        continue;
      }
      pause.reset();
      evaluates ? evaluate() : step();
    }
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
    summary.exchange_seconds = comm_.sum(optimizer.port().traffic().exchange_seconds);
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

  double now() const { return node_.optimizer().port().now(); }
  std::uint64_t steps_done() const { return node_.optimizer().steps(); }

  void poke() {
    const double now_s = now();
    if (now_s - last_poke_s_ < kPoke_s) return;
    last_poke_s_ = now_s;
    comm_.poke();
    node_.optimizer().port().poke();
    evaluations_.poke();
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
    return measure(node_, rank_, *experiment_.model, experiment_.test, experiment_.epochs_per_step, loss_.take());
  }

  /// Of the model that a round begins with: the neighbours' messages are in it.
  void evaluate() {
    due_ = false;
    node_.begin();
    evaluations_.begin(node_.x(), row());
    if (evaluations_.begun() < experiment_.evaluations())
      next_evaluation_ = experiment_.evaluation_step(evaluations_.begun() + 1);
  }

  /// Another rank ended the run, or this one has to before it has begun its last evaluation.
  bool must_end() const {
    return evaluations_.called_off() || (evaluations_.begun() < experiment_.evaluations() &&
                                         (stop_requested() || diverged_ || write_error_.has_value()));
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
    while (now() - start_s < debt_s_ && !must_end()) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      poke();
    }
    debt_s_ -= now() - start_s;
  }

  void finished(const std::vector<MetricsRow>& rows) {
    try {
      recorder_->write(rows);
    } catch (const Error& error) {  // this rank alone knows: end the run in good order, then tell everybody
      write_error_ = error;
    }
    double squares = 0;
    for (const MetricsRow& r : rows) squares += r.consensus_error * r.consensus_error;
    progress_.consensus(std::sqrt(squares / static_cast<double>(rows.size())));
    last_rows_ = rows;
  }

  const mpi::Comm& comm_;
  Experiment& experiment_;
  Recorder* recorder_ = nullptr;
  NodeId rank_;
  std::uint64_t steps_;
  double slowness_;
  /// Ranks that share a core take turns at every exchange: else a time slice is hundreds of steps on stale messages.
  bool share_cores_ = mpi::oversubscribed();
  Progress progress_;
  Workspace workspace_;
  Node<MpiPort> node_;
  Evaluations evaluations_;
  RunningLoss loss_;
  std::uint64_t next_evaluation_ = 0;
  std::vector<MetricsRow> last_rows_;  ///< rank 0 only
  double last_poke_s_ = 0, trained_s_ = 0, step_seconds_ = 0, debt_s_ = 0;
  bool due_ = false;  ///< an evaluation comes before the next step
  bool diverged_ = false, calling_off_ = false;
  std::optional<Error> write_error_;  ///< metrics.csv could not be written
};

/// Collective. Throws what `together` throws, on every rank.
Exit train_and_record(const mpi::Comm& comm, const Spec& spec, const Experiment& experiment, RankRun& run) {
  std::unique_ptr<RunDirectory> directory;  // last of all: whatever is refused leaves nothing behind
  std::unique_ptr<Recorder> recorder;
  comm.together([&] {
    if (comm.rank() != 0) return;
    directory = std::make_unique<RunDirectory>(spec, comm.size());
    recorder = std::make_unique<Recorder>(directory->path("metrics.csv"));
  });
  run.train(recorder.get());
  const Summary summary = run.summary();
  comm.together([&] {
    if (comm.rank() != 0) return;
    if (run.write_error()) throw *run.write_error();
    directory->finish(summary, experiment, run.mean());
    print(std::cout, summary, experiment);
  });
  return summary.exit_code();
}

}  // namespace

Exit run_rma(const mpi::Comm& comm, const Spec& spec) {
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
