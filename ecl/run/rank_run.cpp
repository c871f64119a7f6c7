#include "ecl/run/rank_run.hpp"

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <span>
#include <thread>
#include <utility>

#include "ecl/base/host.hpp"
#include "ecl/base/memory.hpp"
#include "ecl/mpi/pause.hpp"
#include "ecl/run/average_measures.hpp"
#include "ecl/run/directory/checkpoints.hpp"
#include "ecl/run/directory/events.hpp"
#include "ecl/run/directory/saved_models.hpp"
#include "ecl/run/edge_report.hpp"
#include "ecl/run/lost_ranks.hpp"
#include "ecl/run/mpi_sites.hpp"
#include "ecl/run/run.hpp"
#include "ecl/run/site_report.hpp"

namespace ecl {
namespace {

constexpr double kLauncher_s = 5;   // in which mpirun tells the others to end when a rank has died
constexpr double kPoke_s = 0.5e-3;  // MPI's progress needs us about every millisecond
constexpr double kStatus_s = 1;     // between two status.json
constexpr double kLongRun_s = 60;   // of training: shorter ones are soon made again, and paces chance
constexpr int kPartialSettle = 64;  // most exchanges of those who outlived others, after the last one's last step

}  // namespace

RankRun::RankRun(const mpi::Comm& comm, Survivors& survivors, Experiment& experiment)
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

void RankRun::resume() {
  if (checkpoints_.resume() == 0) return;
  rows_written_ = evaluations_.begun() * experiment_.nodes();
  evaluations_.resume();
  node_.restart_port();
  budget_.restart_port();
  plan();
}

void RankRun::write_to(Recorder& recorder, const RunDirectory& directory) {
  recorder_ = &recorder, directory_ = &directory;
  checkpoints_.write_beside(recorder, [this] { write_status(); });
  write_status();
}

void RankRun::record(const std::string& directory) {
  log_ = std::make_unique<DeliveryLog>(delivery_log_path(directory, rank_), experiment_.delivery_origin(rank_));
  node_.optimizer().observe(log_.get());
}

void RankRun::train() {
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

Summary RankRun::summary(Sites& sites) {
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
  const std::string slow = unequal_paces();
  if (rank_ == 0) judge(summary, experiment_, evaluations_.mean());
  if (!slow.empty() && summary.seconds >= kLongRun_s) summary.warnings.push_back(slow);
  if (comm_.max(summary.verdict == Verdict::diverged) > 0) summary.verdict = Verdict::diverged;
  return summary;
}

std::string RankRun::unequal_paces() const {
  const double mine = gradients_ > 0 ? slowness_ * gradient_s_ / static_cast<double>(gradients_) : 0;
  std::vector<double> all(experiment_.nodes());
  comm_.gather_all(&mine, sizeof mine, all.data());
  std::vector<std::uint64_t> samples, given;
  for (NodeId i = 0; i < experiment_.nodes(); ++i) {
    const std::uint64_t batch = experiment_.batch_sizes[i];
    samples.push_back(std::min<std::uint64_t>(batch, experiment_.data.shard_sizes()[i]));
    given.push_back(batch == experiment_.spec.batch ? 0 : batch);
  }
  return slow_nodes(all, samples, given);
}

void RankRun::check_written() const {
  if (log_) log_->check();
  if (write_error_) throw *write_error_;
  if (checkpoints_.error()) throw *checkpoints_.error();
}

Node<MpiPort> RankRun::make_node() {
  auto solver = experiment_.make_solver(rank_);
  MpiPort port(comm_, experiment_.graph, solver->message_size(), experiment_.mode,
               exchange_named(experiment_.spec.exchange));
  return experiment_.make_node(rank_, std::move(port), std::move(solver), workspace_);
}

bool RankRun::advance() {
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

bool RankRun::settle() {
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

bool RankRun::exchange_again() {
  if (!node_.ready()) return false;
  if (experiment_.mode == Mode::async && !budget_.over(now(), node_.optimizer())) return false;
  node_.exchange();
  budget_.begin(now(), node_.optimizer());
  return true;
}

bool RankRun::exchange() {
  const bool lock_step = experiment_.mode == Mode::lock_step;
  if (!lock_step && !pace_.due(node_.optimizer().heard_from_all(), now())) return false;
  node_.settle();
  pace_.made(now());
  if (share_cores_) std::this_thread::yield();
  return true;
}

void RankRun::poke() {
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

void RankRun::tell(double now_s) {
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

Standing RankRun::standing_at(double now_s) {
  const NeighbourWatch::Silence silence = neighbours_.longest(now_s);
  const double steps = static_cast<double>(steps_done() - std::exchange(told_steps_, steps_done()));
  return {.step = steps_done(),
          .steps_per_s = steps / (now_s - std::exchange(told_s_, now_s)),
          .message_age_s = silence.peer < 0 ? -1 : silence.seconds,
          .message_from = silence.peer,
          .silent = silence.warned};
}

void RankRun::show_progress(double now_s) {
  const std::vector<Standing>& nodes = standings_.nodes();
  const auto behind = slowest(nodes, lost_);
  progress_.show({.now_s = now_s,
                  .step = steps_done(),
                  .epoch = static_cast<double>(steps_done()) * experiment_.epochs_per_step,
                  .loss = last_loss_,
                  .samples_per_step = experiment_.samples_per_step *
                                      static_cast<double>(experiment_.nodes() - lost_.size()) / experiment_.nodes(),
                  .share_done = share_done(nodes, lost_, steps_),
                  .slowest = behind,
                  .slowest_step = behind ? nodes[*behind].step : 0});
}

void RankRun::move() {
  comm_.poke();
  node_.optimizer().port().poke();
  if (experiment_.spec.overlap && node_.exchanging()) exchange_again();
  if (node_.optimizer().outpaced()) node_.exchange();
}

void RankRun::step() {
  if (node_.optimizer().ends_round()) node_.optimizer().set_exchanges(budget_.exchanges());
  const double start_s = now(), exchanged_s = exchange_seconds();
  const double loss = make_step();
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

double RankRun::make_step() {
  node_.begin();
  const double start_s = now();
  const double loss = traced(
      TraceEvent::Kind::gradient, [&] { return node_.gradient(); }, steps_done() + 1);
  gradient_s_ += now() - start_s, ++gradients_;
  node_.apply();
  return loss;
}

void RankRun::end_wait() {
  if (waiting_since_s_ < 0) return;
  trace_->tracer()->add(
      {.start_s = std::exchange(waiting_since_s_, -1), .end_s = waited_until_s_, .kind = TraceEvent::Kind::wait});
}

MetricsRow RankRun::row() {
  MetricsRow row = measure(node_, rank_, *experiment_.model, experiment_.data.test_of(rank_),
                           experiment_.epochs_per_step, loss_.take());
  row.time_s += before_s_;
  if (log_) log_->evaluated(row.step, node_.optimizer().begun(), row.time_s, node_.x(), stopping_early_);
  return row;
}

MetricsRow RankRun::traced_row() {
  return traced(
      TraceEvent::Kind::evaluation, [&] { return row(); }, evaluations_.begun() + 1);
}

void RankRun::evaluate() {
  due_ = false;
  node_.begin();
  evaluations_.begin(node_.x(), traced_row());
  plan_evaluation();
}

void RankRun::plan_evaluation() {
  if (evaluations_.begun() < experiment_.evaluations())
    next_evaluation_ = experiment_.evaluation_step(evaluations_.begun() + 1);
}

void RankRun::plan() {
  plan_evaluation();
  due_ = evaluations_.begun() < experiment_.evaluations() && steps_done() == next_evaluation_ && steps_done() > 0;
}

void RankRun::archive(Archive& archive, std::uint64_t complete) {
  // In lock step the neighbours' messages of the round must be in the state: mailboxes are not saved.
  if (!archive.loading()) node_.begin();
  archive_models<MpiPort>(archive, {&node_, 1}, rank_, experiment_.epochs_per_step);
  double seconds = now();
  archive(seconds, trained_s_, step_seconds_, loss_, budget_, node_);
  evaluations_.archive(archive, complete);
  if (archive.loading()) before_s_ = seconds;
}

void RankRun::lose(int rank) {
  if (!survivors_.can_go_on() || experiment_.mode == Mode::lock_step)
    give_up(comm_, survivors_, experiment_.spec, rank, now());
  lost_.push_back(rank);
  lost_s_ = now();
  due_ = false;
  progress_.begin(lost_s_, steps_done());  // a rate since before would count the dead one's steps as unmade
  if (survivors_.leads()) {
    note_event(experiment_.spec.out, {now(), rank_, "died", rank});
    std::cerr << "ecl: node " + std::to_string(rank) + " has died; the others go on without it and its data\n";
  }
  const auto edges = experiment_.graph.edges(rank_);
  for (std::size_t e = 0; e < edges.size(); ++e)
    if (edges[e].peer == rank) node_.optimizer().drop(static_cast<int>(e));
}

void RankRun::stop_without_lost(double now_s) {
  if (stop_requested() && now_s - lost_s_ < kLauncher_s) give_up(comm_, survivors_, experiment_.spec, lost_.back());
  stopping_early_ = true;
  survivors_.show_stop();
}

void RankRun::finish_without_lost() {
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

void RankRun::settle_without_lost() {
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

void RankRun::write_status() {
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

bool RankRun::halts() {
  if (!lost_.empty()) return false;
  return saving([&] {
    return checkpoints_.halts(stop_requested() && evaluations_.begun() < experiment_.evaluations(), standing());
  });
}

bool RankRun::must_end() const {
  if (!lost_.empty()) return false;
  // A halt is of all ranks, those too that have begun their last evaluation.
  if (evaluations_.stopped_early() || checkpoints_.halted() || (checkpoints_.halting() && cannot_write())) return true;
  return evaluations_.begun() < experiment_.evaluations() &&
         ((stop_requested() && !checkpoints_.kept()) || diverged_ || cannot_write());
}

void RankRun::stop_early() {
  stopping_early_ = true;
  evaluations_.stop_early(node_.x(), traced_row());
}

void RankRun::fall_behind(double step_s) {
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

void RankRun::finished(const std::vector<MetricsRow>& rows) {
  try {
    recorder_->write(rows);
  } catch (const Error& error) {  // this rank alone knows: end the run in good order, then tell everybody
    write_error_ = error;
  }
  progress_.evaluated(consensus_error_of(rows), rows[0].average[0]);
  last_rows_ = rows;
  rows_written_ += rows.size();
}

}  // namespace ecl
