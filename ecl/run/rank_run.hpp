#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "ecl/exchange/mpi_port.hpp"
#include "ecl/metrics/consensus_check.hpp"
#include "ecl/metrics/evaluations.hpp"
#include "ecl/metrics/progress.hpp"
#include "ecl/metrics/standings.hpp"
#include "ecl/mpi/hosts.hpp"
#include "ecl/mpi/session.hpp"
#include "ecl/node/exchange_budget.hpp"
#include "ecl/replay/delivery_log.hpp"
#include "ecl/run/directory/keepers.hpp"
#include "ecl/run/directory/rank_checkpoints.hpp"
#include "ecl/run/directory/run_directory.hpp"
#include "ecl/run/experiment.hpp"
#include "ecl/run/neighbour_watch.hpp"
#include "ecl/run/rank_trace.hpp"
#include "ecl/run/summary.hpp"
#include "ecl/termination/settling.hpp"
#include "ecl/termination/survivors.hpp"

namespace ecl {

/// One rank's training loop.
class RankRun {
 public:
  RankRun(const mpi::Comm& comm, Survivors& survivors, Experiment& experiment);
  ~RankRun() { experiment_.model->meanwhile({}); }
  RankRun(const RankRun&) = delete;
  RankRun& operator=(const RankRun&) = delete;

  /// Takes up the latest checkpoint, if there is one; changes nothing on disk. Collective; throws Error, the same on
  /// every rank.
  void resume();
  std::uint64_t checkpoint() const { return checkpoints_.published(); }
  /// Seconds of training up to there.
  double checkpoint_s() const { return before_s_; }
  std::uint64_t rows_written() const { return rows_written_; }

  /// Before train(): whose directories checkpoints go to. Collective.
  void keep_by(const Keepers& keepers) { checkpoints_.begin(keepers); }
  /// On rank 0, before train(): where results go. Throws Error.
  void write_to(Recorder& recorder, const RunDirectory& directory);

  /// Keeps the delivery order in `directory`, for ecl replay. Throws Error (io).
  void record(const std::string& directory);

  /// All steps of this node, its part in evaluations and checkpoints, and then exchanges until the nodes agree. Sooner
  /// at a stop signal, a loss that diverges or a file that cannot be written, of any rank. Ends the process where ranks
  /// died. Collective.
  void train();

  /// Collective.
  Summary summary(Sites& sites);

  /// With --trace: the events of all nodes, on rank 0. Collective.
  std::vector<NodeTrace> gather_trace() { return trace_->gather(); }
  const std::vector<double>& mean() const { return evaluations_.mean(); }
  CVec model() const { return node_.x(); }
  /// Throws Error (io) if something could not be written.
  void check_written() const;

 private:
  static constexpr double kTell_s = 0.5;  ///< between two words on where this rank stands

  Node<MpiPort> make_node();

  /// How many ranks take turns on a core: when all have had theirs, each has made a round.
  static double turns() { return std::max(1.0, mpi::ranks_per_core()); }

  /// Seconds of training, those before a resumption included.
  double now() const { return before_s_ + node_.optimizer().port().now(); }
  double exchange_seconds() const { return node_.optimizer().traffic().exchange_seconds; }
  std::uint64_t steps_done() const { return node_.optimizer().steps(); }
  bool done() const { return steps_done() == steps_; }

  /// The next thing that there is to do; false if there is none at the moment.
  bool advance();

  /// The steps are made. While neighbours still train, an asynchronous rank answers each round of theirs. When all
  /// have made their steps it exchanges as often as is planned, and looks with all others at the consensus
  /// error, which plans more or none. False if there is nothing to do at the moment.
  bool settle();

  /// What slow_nodes() says. Collective.
  std::string unequal_paces() const;

  /// One of the round's further exchanges; false if it waits for the neighbours.
  bool exchange_again();
  bool exchange();
  void poke();

  /// Where this rank stands goes to rank 0, which shows all.
  void tell(double now_s);

  /// Since the time before.
  Standing standing_at(double now_s);
  void show_progress(double now_s);

  /// Between two parts of a gradient.
  void move();
  void step();
  double make_step();

  /// What `task` gives; with --trace, an event of this kind.
  template <class Task>
  std::invoke_result_t<Task> traced(TraceEvent::Kind kind, Task task, std::uint64_t number = 0) {
    const double start_s = trace_ ? trace_->now() : 0;
    const auto result = task();
    if (trace_) trace_->add(kind, start_s, number);
    return result;
  }

  /// The same, where it may write a checkpoint: an event if it did.
  template <class Task>
  bool saving(Task task) {
    const std::uint64_t before = checkpoints_.written();
    const double start_s = trace_ ? trace_->now() : 0;
    const bool result = task();
    if (trace_ && checkpoints_.written() != before)
      trace_->add(TraceEvent::Kind::checkpoint, start_s, checkpoints_.written());
    return result;
  }

  void end_wait();
  MetricsRow row();
  MetricsRow traced_row();

  /// Of the model that a round begins with: the neighbours' messages are in it.
  void evaluate();
  void plan_evaluation();

  /// What is due next, at the start and after a resumption.
  void plan();

  /// All of this rank that changes in train(). `complete`: evaluations in which all ranks have begun their parts.
  void archive(Archive& archive, std::uint64_t complete);

  /// A rank has died. The others drop its edges, and with them what it wanted: the algorithm goes on as if the graph
  /// never had it. Collective calls would wait for the dead, so evaluations and checkpoints end here, but for the last
  /// evaluation. Where that is impossible all end at once; so in lock step, where each round needs all of the
  /// neighbours'.
  void lose(int rank);

  /// After a stop signal: where it follows at once it is mpirun's, which ends the job with a rank unless it is told
  /// otherwise (--enable-recovery). Else it is the user's, and the survivors' results are kept.
  void stop_without_lost(double now_s);

  /// The end of a run that lost ranks: the lowest survivor evaluates what is left. Does not return: MPI cannot be left
  /// in good order any more.
  [[noreturn]] void finish_without_lost();

  /// Nobody knows the consensus error here: sums would wait for the dead. The others exchange while any of them
  /// trains, and some more.
  void settle_without_lost();
  void write_status();

  RankCheckpoints::Standing standing() const {
    return {steps_done(), evaluations_.begun(), node_.ready() && !node_.exchanging(), due_};
  }

  /// After a stop signal, while the ranks agree on a checkpoint.
  bool halts();

  /// Another rank ended the run, or this one has to before it has begun its last evaluation.
  bool must_end() const;

  bool cannot_write() const { return write_error_ || checkpoints_.error() || (log_ && log_->failed()); }

  void stop_early();

  /// --node-speed: sleeps off what a slower machine would have taken longer for a step, as if it were the next one,
  /// serving MPI and neighbours meanwhile. A rank of usual speed that shares its core takes `ranks_per_core` times the
  /// step's own seconds: the factor is upon that.
  void fall_behind(double step_s);
  void finished(const std::vector<MetricsRow>& rows);

  const mpi::Comm& comm_;
  Survivors& survivors_;
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
  std::optional<RankTrace> trace_;  ///< --trace
  NeighbourWatch neighbours_;
  Standings standings_;
  std::vector<NodeId> lost_;          ///< ranks that died
  std::unique_ptr<DeliveryLog> log_;  ///< --record
  Evaluations evaluations_;
  ExchangeBudget budget_;
  Settling settling_;
  SettlingPace pace_;
  bool settled_;
  double settling_since_s_ = -1;
  ConsensusCheck consensus_;
  RankCheckpoints checkpoints_;
  std::uint64_t rows_written_ = 0;  ///< of metrics.csv; rank 0
  RunningLoss loss_;
  std::uint64_t next_evaluation_ = 0;
  std::vector<MetricsRow> last_rows_;  ///< rank 0 only
  double before_s_ = 0;                ///< seconds of training before this process
  double status_s_ = 0, last_poke_s_ = 0, trained_s_ = 0, step_seconds_ = 0, debt_s_ = 0, lost_s_ = 0;
  double gradient_s_ = 0;                             ///< in gradients of this process,
  std::uint64_t gradients_ = 0;                       ///< so many
  double waiting_since_s_ = -1, waited_until_s_ = 0;  ///< for trace_; -1: at work
  double told_s_ = -kTell_s, last_loss_ = 0;
  std::uint64_t told_steps_ = 0;  ///< when this rank last told where it stands
  bool due_ = false;              ///< an evaluation comes before the next step
  bool diverged_ = false, stopping_early_ = false;
  std::optional<Error> write_error_;  ///< metrics.csv could not be written
};

}  // namespace ecl
