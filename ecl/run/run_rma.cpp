#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

#include "ecl/base/build.hpp"
#include "ecl/base/host.hpp"
#include "ecl/base/memory.hpp"
#include "ecl/base/params.hpp"
#include "ecl/data/agreement.hpp"
#include "ecl/exchange/mpi_port.hpp"
#include "ecl/metrics/consensus_check.hpp"
#include "ecl/metrics/evaluations.hpp"
#include "ecl/metrics/progress.hpp"
#include "ecl/metrics/standings.hpp"
#include "ecl/mpi/hosts.hpp"
#include "ecl/mpi/pause.hpp"
#include "ecl/mpi/session.hpp"
#include "ecl/node/exchange_budget.hpp"
#include "ecl/replay/delivery_log.hpp"
#include "ecl/run/average_measures.hpp"
#include "ecl/run/directory/checkpoints.hpp"
#include "ecl/run/directory/events.hpp"
#include "ecl/run/directory/keepers.hpp"
#include "ecl/run/directory/rank_checkpoints.hpp"
#include "ecl/run/directory/run_directory.hpp"
#include "ecl/run/directory/run_lock.hpp"
#include "ecl/run/directory/saved_models.hpp"
#include "ecl/run/edge_report.hpp"
#include "ecl/run/lost_ranks.hpp"
#include "ecl/run/mpi_sites.hpp"
#include "ecl/run/neighbour_watch.hpp"
#include "ecl/run/rank_trace.hpp"
#include "ecl/run/run.hpp"
#include "ecl/run/summary.hpp"
#include "ecl/termination/settling.hpp"
#include "ecl/termination/survivors.hpp"

namespace ecl {
namespace {

constexpr double kLauncher_s = 5;   // in which mpirun tells the others to end when a rank has died
constexpr double kPoke_s = 0.5e-3;  // MPI's progress needs us about every millisecond
constexpr double kStatus_s = 1;     // between two status.json
constexpr double kTell_s = 0.5;     // between two words on where this rank stands
constexpr int kPartialSettle = 64;  // most exchanges of those who outlived others, after the last one's last step

/// One rank's training loop.
class RankRun {
 public:
  RankRun(const mpi::Comm& comm, Survivors& survivors, Experiment& experiment)
      : comm_(comm),
        survivors_(survivors),
        experiment_(experiment),
        rank_(comm.rank()),
        steps_(experiment.steps),
        slowness_(experiment.slowness[rank_]),
        progress_(experiment.spec.quiet || rank_ != 0, rank_ == 0 && mpi::stderr_is_terminal(), steps_),
        node_(make_node()),
        neighbours_(experiment.graph, rank_, experiment.spec.stall_warn_s, steps_, experiment.spec.out),
        standings_(comm),
        evaluations_(
            comm, experiment.model->dim(), experiment.evaluations(),
            [this](const std::vector<double>& mean) {
              return traced(TraceEvent::Kind::average, [&] { return share_as_bytes(experiment_, rank_, mean); });
            },
            [this](std::vector<MetricsRow>& rows, const std::vector<std::string>& shares) {
              note_average(rows, sum_of_shares(experiment_, shares));
              finished(rows);
            }),
        budget_(experiment.exchange_budget(rank_, turns())),
        settling_(experiment.settling_rule()),
        settled_(!settling_.wanted()),
        consensus_(comm, experiment.model->dim()),
        checkpoints_(comm, experiment,
                     [this](Archive& archive, std::uint64_t complete) { this->archive(archive, complete); }),
        loss_(experiment.data.largest_weight()) {
    plan();
    if (!experiment.spec.trace.empty()) {
      trace_.emplace(comm, experiment, [this] { return node_.optimizer().port().now(); });
      node_.optimizer().port().trace(trace_->tracer());
    }
    experiment.model->meanwhile([this] { move(); });
  }
  ~RankRun() { experiment_.model->meanwhile({}); }
  RankRun(const RankRun&) = delete;
  RankRun& operator=(const RankRun&) = delete;

  /// Takes up the latest checkpoint, if there is one; changes nothing on disk. Collective; throws Error, the same on
  /// every rank.
  void resume() {
    if (checkpoints_.resume() == 0) return;
    rows_written_ = evaluations_.begun() * experiment_.nodes();
    evaluations_.resume();
    node_.restart_port();
    budget_.restart_port();
    plan();
  }
  std::uint64_t checkpoint() const { return checkpoints_.published(); }
  /// Seconds of training up to there.
  double checkpoint_s() const { return before_s_; }
  std::uint64_t rows_written() const { return rows_written_; }

  /// Before train(): whose directories checkpoints go to. Collective.
  void keep_by(const Keepers& keepers) { checkpoints_.begin(keepers); }
  /// On rank 0, before train(): where results go. Throws Error.
  void write_to(Recorder& recorder, const RunDirectory& directory) {
    recorder_ = &recorder, directory_ = &directory;
    checkpoints_.write_beside(recorder, [this] { write_status(); });
    write_status();
  }

  /// Keeps the delivery order in `directory`, for ecl replay. Throws Error (io).
  void record(const std::string& directory) {
    log_ = std::make_unique<DeliveryLog>(delivery_log_path(directory, rank_), experiment_.delivery_origin(rank_));
    node_.optimizer().observe(log_.get());
  }

  void train() {
    if (rank_ == 0 && !experiment_.spec.quiet && experiment_.nodes() > 1)
      std::cerr << "exchange: " << node_.optimizer().port().exchange() << '\n';
    progress_.begin(now(), steps_done());
    mpi::Pause pause;
    while (!evaluations_.done()) {
      poke();
      if (waiting_since_s_ >= 0) waited_until_s_ = trace_->now();
      if (!lost_.empty() && (done() || stopping_early_ || diverged_ || evaluations_.stopped_early()))
        return finish_without_lost();
      if (!stopping_early_ && must_end()) stop_early();
      if (advance()) {
        pause.reset();
        end_wait();
        continue;
      }
      if (trace_ && waiting_since_s_ < 0) waiting_since_s_ = waited_until_s_ = trace_->now();
      last_poke_s_ = 0;  // nothing else to do: poke at every look
      if (done() && pace_.left() == 0) node_.serve();
      pause.wait();
    }
    end_wait();
    consensus_.finish(node_.x());
    checkpoints_.finish(rows_written_);
    const double end_s = now();
    standings_.finish(standing_at(end_s), end_s);
    if (progress_.redraws()) show_progress(end_s);
    progress_.finish();
  }

  /// Collective.
  Summary summary(Sites& sites) {
    Summary summary;
    const Optimizer<MpiPort>& optimizer = node_.optimizer();
    const bool diverged = comm_.max(diverged_) > 0;
    summary.verdict = diverged                       ? Verdict::diverged
                      : evaluations_.stopped_early() ? Verdict::preempted
                                                     : Verdict::finished;
    summary.seconds = summary.wall_seconds = comm_.max(trained_s_);
    summary.cpu_seconds = comm_.sum(cpu_seconds());
    summary.peak_memory_bytes = comm_.max(peak_memory_bytes());
    summary.exchange_seconds = comm_.sum(exchange_seconds());
    summary.exchange = optimizer.port().exchange();
    summary.gradient_seconds = comm_.sum(step_seconds_);
    summary.gradient_samples = comm_.sum(static_cast<double>(steps_done() * node_.batch_size()));
    summary.settle_rounds = optimizer.settled();
    summary.rows = last_rows_;
    if (experiment_.spec.own_data())
      summary.sites = gather_reports(
          sites, {report_site(experiment_, rank_, mean(), node_.x(), summary.verdict == Verdict::finished)});
    if (!experiment_.spec.out.empty())
      summary.edges = edges_csv(sites.gather({edge_lines(experiment_.graph, rank_, optimizer)}));
    if (rank_ == 0) judge(summary, experiment_, evaluations_.mean());
    if (comm_.max(summary.verdict == Verdict::diverged) > 0) summary.verdict = Verdict::diverged;
    return summary;
  }

  /// With --trace: the events of all nodes, on rank 0. Collective.
  std::vector<NodeTrace> gather_trace() { return trace_->gather(); }
  const std::vector<double>& mean() const { return evaluations_.mean(); }
  CVec model() const { return node_.x(); }
  /// Throws Error (io) if something could not be written.
  void check_written() const {
    if (log_) log_->check();
    if (write_error_) throw *write_error_;
    if (checkpoints_.error()) throw *checkpoints_.error();
  }

 private:
  Node<MpiPort> make_node() {
    auto solver = experiment_.make_solver(rank_);
    MpiPort port(comm_, experiment_.graph, solver->message_size(), experiment_.mode,
                 exchange_named(experiment_.spec.exchange));
    return experiment_.make_node(rank_, std::move(port), std::move(solver), workspace_);
  }

  /// How many ranks take turns on a core: when all have had theirs, each has made a round.
  static double turns() { return std::max(1.0, mpi::ranks_per_core()); }

  /// Seconds of training, those before a resumption included.
  double now() const { return before_s_ + node_.optimizer().port().now(); }
  double exchange_seconds() const { return node_.optimizer().traffic().exchange_seconds; }
  std::uint64_t steps_done() const { return node_.optimizer().steps(); }
  bool done() const { return steps_done() == steps_; }

  /// The next thing that there is to do; false if there is none at the moment.
  bool advance() {
    if (stopping_early_) return false;
    const bool halt = halts();  // asked of those who exchange too: their neighbours may stand, and wait for the answer
    if (node_.exchanging() && exchange_again()) return true;
    if (node_.exchanging() && !experiment_.spec.overlap) return false;
    if (halt || !node_.ready()) return false;
    if (done() && node_.optimizer().awaits_clients()) return false;
    if (done() && !settled_) return settle();
    if (due_)
      evaluate();
    else if (done())
      return false;
    else if (lost_.empty() && checkpoints_.due(steps_done()))
      saving([&] { return checkpoints_.save(standing()), true; });
    else
      step();
    return true;
  }

  /// The steps are made. While neighbours still train, an asynchronous rank answers each round of theirs. When all
  /// have made their steps it exchanges as often as is planned, and looks with all others at the consensus
  /// error, which plans more or none. False if there is nothing to do at the moment.
  bool settle() {
    if (pace_.left() > 0) return exchange();
    const bool others_train = settling_since_s_ < 0, lock_step = experiment_.mode == Mode::lock_step;
    if (!consensus_.running()) {
      if (others_train) pace_.start(node_.optimizer().rounds(), trained_s_);
      node_.begin();
      consensus_.begin(node_.x(), others_train ? 0 : now() - settling_since_s_);
    }
    const auto result = consensus_.poke();
    if (!result) {
      if (!others_train || lock_step || !node_.optimizer().heard_from_training()) return false;
      node_.settle();
      return true;
    }
    trained_s_ = now();
    if (others_train) settling_since_s_ = now();
    if (others_train && !lock_step) return true;  // the models have moved since: look again
    const int exchanges = settling_.next(result->error, result->seconds);
    pace_.plan(exchanges, now());
    settled_ = exchanges == 0;
    return true;
  }

  /// One of the round's further exchanges; false if it waits for the neighbours.
  bool exchange_again() {
    if (!node_.ready()) return false;
    if (experiment_.mode == Mode::async && !budget_.over(now(), node_.optimizer())) return false;
    node_.exchange();
    budget_.begin(now(), node_.optimizer());
    return true;
  }

  bool exchange() {
    const bool lock_step = experiment_.mode == Mode::lock_step;
    if (!lock_step && !pace_.due(node_.optimizer().heard_from_all(), now())) return false;
    node_.settle();
    pace_.made(now());
    if (share_cores_) std::this_thread::yield();
    return true;
  }

  void poke() {
    const double now_s = now();
    if (now_s - last_poke_s_ < kPoke_s) return;
    last_poke_s_ = now_s;
    for (const int rank : survivors_.newly_dead()) lose(rank);
    if (!lost_.empty() && (stop_requested() || survivors_.any_stopped())) stop_without_lost(now_s);
    neighbours_.look(node_.optimizer(), now_s);
    tell(now_s);
    comm_.poke();
    node_.optimizer().port().poke();
    evaluations_.poke();
    checkpoints_.poke(rows_written_);
  }

  /// Where this rank stands goes to rank 0, which shows all.
  void tell(double now_s) {
    if (now_s - told_s_ >= kTell_s) standings_.tell(standing_at(now_s), now_s);
    standings_.poke(now_s);
    if (progress_.redraws() && steps_done() > 0 && progress_.due(now_s)) show_progress(now_s);
    if (!directory_ || write_error_ || now_s - status_s_ < kStatus_s) return;
    try {
      write_status();
    } catch (const Error& error) {  // this rank alone knows: end the run in good order, then tell everybody
      write_error_ = error;
    }
  }

  /// Since the time before.
  Standing standing_at(double now_s) {
    const NeighbourWatch::Silence silence = neighbours_.longest(now_s);
    const double steps = static_cast<double>(steps_done() - std::exchange(told_steps_, steps_done()));
    return {.step = steps_done(),
            .steps_per_s = steps / (now_s - std::exchange(told_s_, now_s)),
            .message_age_s = silence.peer < 0 ? -1 : silence.seconds,
            .message_from = silence.peer,
            .silent = silence.warned};
  }

  void show_progress(double now_s) {
    const std::vector<Standing>& nodes = standings_.nodes();
    const auto behind = slowest(nodes, lost_);
    progress_.show({.now_s = now_s,
                    .step = steps_done(),
                    .epoch = static_cast<double>(steps_done()) * experiment_.epochs_per_step,
                    .loss = last_loss_,
                    .samples_per_step = static_cast<double>(node_.batch_size()) * experiment_.nodes(),
                    .share_done = share_done(nodes, steps_),
                    .slowest = behind,
                    .slowest_step = behind ? nodes[*behind].step : 0});
  }

  /// Between two parts of a gradient.
  void move() {
    comm_.poke();
    node_.optimizer().port().poke();
    if (experiment_.spec.overlap && node_.exchanging()) exchange_again();
    if (node_.optimizer().outpaced()) node_.exchange();
  }

  void step() {
    if (node_.optimizer().ends_round()) node_.optimizer().set_exchanges(budget_.exchanges());
    const double start_s = now(), exchanged_s = exchange_seconds();
    const double loss = trace_ ? traced_step() : node_.step();
    const double end_s = now();
    step_seconds_ += end_s - start_s - (exchange_seconds() - exchanged_s);
    budget_.add_step(end_s - start_s);
    if (node_.exchanging()) budget_.begin(end_s, node_.optimizer());
    trained_s_ = end_s;
    diverged_ = !loss_.add(loss);
    if (slowness_ > 1) traced(TraceEvent::Kind::slowed, [&] { return fall_behind(end_s - start_s), 0; });
    due_ = steps_done() == next_evaluation_ && lost_.empty();
    if (share_cores_ && steps_done() % experiment_.round_steps() == 0) std::this_thread::yield();
    last_loss_ = loss;
    if (progress_.due(end_s)) show_progress(end_s);
  }

  double traced_step() {
    node_.begin();
    const double loss = traced(
        TraceEvent::Kind::gradient, [&] { return node_.gradient(); }, steps_done() + 1);
    node_.apply();
    return loss;
  }

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

  void end_wait() {
    if (waiting_since_s_ < 0) return;
    trace_->tracer()->add(
        {.start_s = std::exchange(waiting_since_s_, -1), .end_s = waited_until_s_, .kind = TraceEvent::Kind::wait});
  }

  MetricsRow row() {
    MetricsRow row = measure(node_, rank_, *experiment_.model, experiment_.data.test_of(rank_),
                             experiment_.epochs_per_step, loss_.take());
    row.time_s += before_s_;
    if (log_) log_->evaluated(row.step, node_.optimizer().begun(), row.time_s, node_.x(), stopping_early_);
    return row;
  }

  MetricsRow traced_row() {
    return traced(
        TraceEvent::Kind::evaluation, [&] { return row(); }, evaluations_.begun() + 1);
  }

  /// Of the model that a round begins with: the neighbours' messages are in it.
  void evaluate() {
    due_ = false;
    node_.begin();
    evaluations_.begin(node_.x(), traced_row());
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
  }

  /// All of this rank that changes in train(). `complete`: evaluations in which all ranks have begun their parts.
  void archive(Archive& archive, std::uint64_t complete) {
    // In lock step the neighbours' messages of the round must be in the state: mailboxes are not saved.
    if (!archive.loading()) node_.begin();
    archive_models<MpiPort>(archive, {&node_, 1}, rank_, experiment_.epochs_per_step);
    double seconds = now();
    archive(seconds, trained_s_, step_seconds_, loss_, budget_, node_);
    evaluations_.archive(archive, complete);
    if (archive.loading()) before_s_ = seconds;
  }

  /// A rank has died. The others drop its edges, and with them what it wanted: the algorithm goes on as if the graph
  /// never had it. Collective calls would wait for the dead, so evaluations and checkpoints end here, but for the last
  /// evaluation. Where that is impossible all end at once; so in lock step, where each round needs all of the
  /// neighbours'.
  void lose(int rank) {
    if (!survivors_.can_go_on() || experiment_.mode == Mode::lock_step)
      give_up(comm_, survivors_, experiment_.spec, rank, now());
    lost_.push_back(rank);
    lost_s_ = now();
    due_ = false;
    if (survivors_.leads()) {
      note_event(experiment_.spec.out, {now(), rank_, "died", rank});
      std::cerr << "ecl: node " + std::to_string(rank) + " has died; the others go on without it and its data\n";
    }
    const auto edges = experiment_.graph.edges(rank_);
    for (std::size_t e = 0; e < edges.size(); ++e)
      if (edges[e].peer == rank) node_.optimizer().drop(static_cast<int>(e));
  }

  /// After a stop signal: where it follows at once it is mpirun's, which ends the job with a rank unless it is told
  /// otherwise (--enable-recovery). Else it is the user's, and the survivors' results are kept.
  void stop_without_lost(double now_s) {
    if (stop_requested() && now_s - lost_s_ < kLauncher_s) give_up(comm_, survivors_, experiment_.spec, lost_.back());
    stopping_early_ = true;
    survivors_.show_stop();
  }

  /// The end of a run that lost ranks: the lowest survivor evaluates what is left. Does not return: MPI cannot be left
  /// in good order any more.
  [[noreturn]] void finish_without_lost() {
    if (done() && !stopping_early_ && !diverged_) settle_without_lost();
    progress_.finish();
    stopping_early_ = true;
    const FinalReport mine{traced_row(),
                           cpu_seconds(),
                           peak_memory_bytes(),
                           node_.optimizer().traffic().exchange_seconds,
                           step_seconds_,
                           trained_s_,
                           static_cast<double>(steps_done() * node_.batch_size()),
                           static_cast<double>(node_.optimizer().settled()),
                           diverged_};
    const auto report = std::as_bytes(std::span(&mine, 1));
    std::vector<std::byte> words(report.begin(), report.end());
    if (trace_) trace_->append_last_words(words);
    const auto all = survivors_.gather(words, node_.x());
    if (!all.empty()) {
      try {
        write_partial(all, node_.optimizer().port().exchange(), experiment_);
        if (trace_) finish_trace(experiment_, trace_->of_survivors(last_words_of(all, experiment_.nodes())));
      } catch (const Error& error) {
        std::cerr << std::string("ecl: ") + error.what() + "\n";
      }
      std::cout.flush();
      survivors_.release();
    }
    std::_Exit(static_cast<int>(Exit::rank_lost));
  }

  /// Nobody knows the consensus error here: sums would wait for the dead. The others exchange while any of them
  /// trains, and some more.
  void settle_without_lost() {
    survivors_.show_end();
    pace_.start(node_.optimizer().rounds(), trained_s_);
    const auto most = static_cast<int>(std::min<std::uint64_t>(experiment_.spec.settle, kPartialSettle));
    const bool exchanges = experiment_.exchanges() && most > 0;
    mpi::Pause pause;
    for (bool ended = false; !stopping_early_ && (!ended || (exchanges && pace_.left() > 0));) {
      poke();
      if (!ended && survivors_.all_ended()) ended = true, pace_.plan(most, now());
      if (exchanges && exchange())
        pause.reset();
      else
        pause.wait();
    }
    node_.begin();
  }

  void write_status() {
    status_s_ = now();
    directory_->write_status({.state = checkpoints_.halted() ? "preempted" : "running",
                              .seconds = trained_s_,
                              .seconds_now = status_s_,
                              .step = steps_done(),
                              .checkpoint = checkpoints_.published(),
                              .exchange = node_.optimizer().port().exchange(),
                              .nodes = standings_.nodes(),
                              .lost = lost_,
                              .rows = last_rows_},
                             experiment_);
  }

  RankCheckpoints::Standing standing() const {
    return {steps_done(), evaluations_.begun(), node_.ready() && !node_.exchanging(), due_};
  }

  /// After a stop signal, while the ranks agree on a checkpoint.
  bool halts() {
    if (!lost_.empty()) return false;
    return saving([&] {
      return checkpoints_.halts(stop_requested() && evaluations_.begun() < experiment_.evaluations(), standing());
    });
  }

  /// Another rank ended the run, or this one has to before it has begun its last evaluation.
  bool must_end() const {
    if (!lost_.empty()) return false;
    // A halt is of all ranks, those too that have begun their last evaluation.
    if (evaluations_.stopped_early() || checkpoints_.halted() || (checkpoints_.halting() && cannot_write()))
      return true;
    return evaluations_.begun() < experiment_.evaluations() &&
           ((stop_requested() && !checkpoints_.kept()) || diverged_ || cannot_write());
  }

  bool cannot_write() const { return write_error_ || checkpoints_.error() || (log_ && log_->failed()); }

  void stop_early() {
    stopping_early_ = true;
    evaluations_.stop_early(node_.x(), traced_row());
  }

  /// --node-speed: sleeps off what a slower machine would have taken longer for a step, as if it were the next one,
  /// serving MPI and neighbours meanwhile. A rank of usual speed that shares its core takes `ranks_per_core` times the
  /// step's own seconds: the factor is upon that.
  void fall_behind(double step_s) {
    debt_s_ += (slowness_ * turns() - 1) * step_s;
    const double start_s = now();
    while (now() - start_s < debt_s_ && !must_end() && !stop_requested() && !stopping_early_ && !checkpoints_.heard()) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      poke();
      if (!node_.optimizer().answers_faster() || done()) continue;
      if (node_.exchanging())
        exchange_again();
      else
        node_.begin(), move();
    }
    debt_s_ -= now() - start_s;
  }

  void finished(const std::vector<MetricsRow>& rows) {
    try {
      recorder_->write(rows);
    } catch (const Error& error) {  // this rank alone knows: end the run in good order, then tell everybody
      write_error_ = error;
    }
    progress_.evaluated(consensus_error_of(rows), rows[0].average[0]);
    last_rows_ = rows;
    rows_written_ += rows.size();
  }

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
  double waiting_since_s_ = -1, waited_until_s_ = 0;  ///< for trace_; -1: at work
  double told_s_ = -kTell_s, last_loss_ = 0;
  std::uint64_t told_steps_ = 0;  ///< when this rank last told where it stands
  bool due_ = false;              ///< an evaluation comes before the next step
  bool diverged_ = false, stopping_early_ = false;
  std::optional<Error> write_error_;  ///< metrics.csv could not be written
};

std::string place_of(const mpi::Comm& comm) { return "rank " + std::to_string(comm.rank()) + " on " + host_name(); }

/// What the ranks make together, and so must take apart together.
struct Job {
  explicit Job(const mpi::Comm& parent) : hosts(parent), survivors(parent, hosts), comm(parent.duplicate()) {}

  /// Opens the run's directory, one on each file system: makes a new run's. Collective.
  void open_directories(const Spec& spec);

  const mpi::Hosts hosts;
  Survivors survivors;
  mpi::Comm comm;
  Keepers keepers;
  std::unique_ptr<RunDirectory> directory;  ///< of a keeper, and of rank 0
  std::optional<RunLock> lock;
  std::unique_ptr<Experiment> experiment;
  std::optional<RankRun> run;
};

/// While any of the ranks lives, no other job trains there.
void Job::open_directories(const Spec& spec) {
  const auto open = [&] {
    directory = std::make_unique<RunDirectory>(spec, comm.size());
    lock.emplace(spec.out);
  };
  const auto at_this_rank = [&](auto task) {
    try {
      task();
    } catch (const Error& error) {
      if (comm.rank() == 0) throw;
      throw Error(place_of(comm) + ": " + error.what(), error.code());
    }
  };
  comm.together([&] {
    if (hosts.here().rank() == 0) at_this_rank([&] { RunDirectory::check(spec); });
    if (comm.rank() == 0 && !spec.trace.empty()) check_trace_path(spec.trace, spec.out);
  });
  if (!spec.out.empty())
    keepers = Keepers(comm, hosts, spec.out, [&] { at_this_rank(open); });
  else if (comm.rank() == 0)
    open();
  comm.together([&] {
    if (lock) lock->share();
  });
  comm.together([&] {
    if (!lock) at_this_rank([&] { lock.emplace(spec.out, RunLock::Kind::shared); });
  });
}

/// What must be the same on all ranks. Data of each rank's own may lie anywhere.
std::string settings_of(const Spec& spec) {
  std::string text = "ecl " + version() + "\n";
  for (const std::string& line : split(spec.config, '\n'))
    if (!spec.own_data() || line.rfind("data = ", 0) != 0) text += line + '\n';
  text += "out = " + spec.out + "\nexchange = " + spec.exchange + "\ntrace = " + spec.trace + '\n';
  for (const auto& [name, given] :
       {std::pair{"resume", spec.resume}, std::pair{"record", spec.record}, std::pair{"dry-run", spec.dry_run}})
    if (given) text += std::string(name) + '\n';
  return text;
}

/// Collective. Throws what Comm::together throws, on every rank.
Exit carry_out(Job& job, const Spec& spec) {
  Survivors& survivors = job.survivors;
  mpi::Comm& comm = job.comm;
  std::unique_ptr<Experiment>& experiment = job.experiment;
  comm.watch([&] {  // outside the training loop there is no going on
    for (const int rank : survivors.newly_dead()) give_up(comm, survivors, spec, rank);
  });
  MpiSites sites(comm);
  agree_on_settings(sites, place_of(comm), settings_of(spec));
  if (spec.resume) job.open_directories(spec);
  experiment = std::make_unique<Experiment>(spec, comm.size(), sites, comm.rank());
  if (spec.dry_run && comm.rank() == experiment->largest_node()) std::cout << experiment->footprint();
  if (spec.dry_run) return Exit::ok;
  if (spec.verbose && comm.rank() == 0)
    std::cerr << "MPI       " << mpi::library_version() << (mpi::oversubscribed() ? ", more ranks than cores" : "")
              << '\n'
              << experiment->describe();
  RankRun& run = job.run.emplace(comm, survivors, *experiment);
  if (spec.resume) {
    run.resume();
    if (run.checkpoint() == 0 && comm.rank() == 0) std::cerr << no_checkpoint_yet(spec.out);
  }

  if (!spec.resume) job.open_directories(spec);  // last of all: whatever is refused leaves nothing behind
  run.keep_by(job.keepers);
  const std::vector<std::string> hosts = sites.gather({host_name()});
  comm.together([&] {
    if (job.directory) job.directory->begin(*experiment, hosts, run.checkpoint_s());
  });
  std::unique_ptr<Recorder> recorder;
  comm.together([&] {
    write_own_inputs(*experiment);
    if (comm.rank() != 0) return;
    recorder = std::make_unique<Recorder>(job.directory->path("metrics.csv"), run.rows_written());
    run.write_to(*recorder, *job.directory);
  });
  if (spec.record) comm.together([&] { run.record(spec.out); });
  run.train();
  const Summary summary = run.summary(sites);
  comm.together([&] {
    run.check_written();
    write_node_model(*experiment, comm.rank(), run.model());
  });
  comm.together([&] {
    if (comm.rank() != 0) {
      if (job.directory) job.directory->write_model(*experiment, run.mean());
      return;
    }
    job.directory->finish(summary, *experiment, run.mean(), run.checkpoint());
    print(std::cout, std::cerr, summary, *experiment);
  });
  if (!spec.trace.empty()) {
    const auto nodes = run.gather_trace();
    comm.together([&] {
      if (comm.rank() == 0) finish_trace(*experiment, nodes);
    });
  }
  return summary.exit_code();
}

}  // namespace

Exit run_rma(const mpi::Comm& parent, const Spec& spec) {
  if (spec.resume && spec.nodes != parent.size())
    throw Error("--resume " + spec.out + ": that run has " + std::to_string(spec.nodes) +
                " nodes; go on with mpirun -n " + std::to_string(spec.nodes));
  std::optional<Error> error;  // of all ranks: they free their windows first, without which MPICH does not end well
  {
    Job job(parent);
    try {
      return carry_out(job, spec);
    } catch (const Error& agreed) {
      error = agreed;
    }
  }
  throw *error;
}

}  // namespace ecl
