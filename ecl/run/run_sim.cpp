#include <algorithm>
#include <cmath>
#include <iostream>
#include <optional>
#include <string>
#include <utility>

#include "ecl/base/host.hpp"
#include "ecl/base/random.hpp"
#include "ecl/node/exchange_budget.hpp"
#include "ecl/run/directory/checkpoints.hpp"
#include "ecl/run/directory/run_directory.hpp"
#include "ecl/run/directory/run_lock.hpp"
#include "ecl/run/directory/saved_models.hpp"
#include "ecl/run/local_run.hpp"
#include "ecl/run/rank_trace.hpp"
#include "ecl/run/run.hpp"
#include "ecl/simulator/sim_port.hpp"
#include "ecl/termination/settling.hpp"
#include "ecl/trace/event_ring.hpp"
#include "ecl/trace/trace_file.hpp"

namespace ecl {
namespace {

constexpr const char* kStateName = "simulation";  // of the file in a checkpoint

/// One simulated run: nodes compute for a while, then step; messages fly meanwhile.
class SimRun final : public LocalRun<SimPort> {
 public:
  explicit SimRun(Experiment& experiment)
      : LocalRun(experiment),
        network_(experiment.graph, experiment.message_floats(), links(experiment.spec), experiment.mode),
        next_evaluation_(experiment.nodes(), 1),
        computing_(experiment.nodes(), 0),
        step_ends_(experiment.nodes(), 0),
        exchange_at_(experiment.nodes(), 0),
        since_s_(experiment.nodes(), 0),
        settling_(experiment.settling_rule()),
        settled_(!settling_.wanted()),
        paces_(experiment.nodes()),
        agreeing_(experiment.nodes(), 0),
        checkpoints_(experiment.spec.out, experiment.spec.out.empty() ? "" : fingerprint(experiment)),
        times_(experiment.spec.checkpoint_every / experiment.epochs_per_step, experiment.round_steps()),
        next_checkpoint_(times_.after(0)) {
    place_nodes(network_);
    for (NodeId i = 0; i < experiment.nodes(); ++i) budgets_.push_back(experiment.exchange_budget(i));
    if (!experiment.spec.trace.empty()) trace();
  }

  /// Takes up the latest checkpoint, if there is one; changes nothing on disk. Throws Error.
  void resume() {
    checkpoint_ = load_latest(checkpoints_, checkpoints_.last_two(), [this](std::uint64_t number) {
      Archive archive = checkpoints_.load(number, kStateName);
      archive(*this);
      archive.finish();
    });
    next_checkpoint_ = times_.after(steps_done_ / experiment_.nodes());
  }
  std::uint64_t checkpoint() const { return checkpoint_; }
  /// Seconds of training up to there.
  double checkpoint_s() const { return network_.now(); }
  std::uint64_t rows_written() const { return evaluations_.done() * experiment_.nodes(); }

  void run(Recorder& recorder, const RunDirectory& directory) {
    recorder_ = &recorder;
    if (checkpoints_.kept()) checkpoints_.go_on_from(checkpoint_);
    std::fill(since_s_.begin(), since_s_.end(), network_.now());
    start_clock();
    show_in(directory, status());
    if (checkpoint_ == 0)
      for (NodeId i = 0; i < experiment_.nodes(); ++i) compute_or_park(i);
    while (!diverged_ && !stop_requested()) {
      if (steps_done_ / experiment_.nodes() >= next_checkpoint_) save();
      if (const auto woken = network_.next()) {
        if (!computing_[*woken] || finish_computing(*woken)) compute_or_park(*woken);
      } else if (!settled_ && steps_done_ == experiment_.steps * experiment_.nodes()) {
        look_at_consensus();  // a server waits for a client's last message, which was lost
      } else {
        break;
      }
    }
    const bool complete = evaluations_.done() == experiment_.evaluations();
    if (stop_requested() && !diverged_ && !complete && checkpoints_.kept()) save();
    if (!diverged_ && !stop_requested()) evaluate_all_due();
    for (NodeId i = 0; i < experiment_.nodes(); ++i)
      if (!computing_[i]) tell_span(i, TraceEvent::Kind::wait);
    finish_progress();
  }

  /// With --trace: what each node did, in virtual time.
  std::vector<NodeTrace> traces() const {
    std::vector<NodeTrace> nodes(rings_.size());
    for (std::size_t i = 0; i < nodes.size(); ++i)
      nodes[i].events = rings_[i].kept(), nodes[i].dropped = rings_[i].dropped();
    return nodes;
  }

  Summary summary() {
    const bool complete = evaluations_.done() == experiment_.evaluations();
    if (!complete) evaluate_all_now();
    Summary summary = summarise(diverged_  ? Verdict::diverged
                                : complete ? Verdict::finished
                                           : Verdict::preempted,
                                last_step_s_, mean());
    if (const std::string text = overloaded_links(); !text.empty()) summary.warnings.push_back(text);
    return summary;
  }

  /// Saves or loads all that changes in run(), between two events.
  void archive(Archive& archive) {
    archive_models<SimPort>(archive, nodes_, 0, experiment_.epochs_per_step);
    archive_clock(archive);
    archive(network_, next_evaluation_, computing_, step_ends_, exchange_at_, evaluations_, last_step_s_, steps_done_);
    archive(settling_, settled_, settling_since_s_, agreeing_);
    for (auto& node : nodes_) archive(node);
    for (auto& loss : losses_) archive(loss);
    for (auto& pace : paces_) archive(pace);
    for (auto& budget : budgets_) archive(budget);
    archive.list(last_rows_);
    if (archive.loading()) check_loaded(archive);
  }

 private:
  static LinkModel links(const Spec& spec) {
    LinkModel links = spec.links;
    links.seed = spec.seed;
    return links;
  }

  void trace() {
    const std::size_t capacity = EventRing::usual_capacity(experiment_.nodes());
    rings_.assign(experiment_.nodes(), EventRing(capacity));
    for (NodeId i = 0; i < experiment_.nodes(); ++i) network_.trace(i, &rings_[i]);
  }

  /// For --trace: what node i did since it last began something else; of what takes no time, nothing.
  void tell_span(NodeId i, TraceEvent::Kind kind, std::uint64_t number = 0) {
    const double start_s = std::exchange(since_s_[i], network_.now());
    if (rings_.empty() || start_s == network_.now()) return;
    rings_[i].add({.start_s = start_s, .end_s = network_.now(), .number = number, .kind = kind});
  }
  /// And what happens at a moment.
  void tell(NodeId i, TraceEvent::Kind kind, std::uint64_t number) {
    const double now_s = network_.now();
    if (!rings_.empty()) rings_[i].add({.start_s = now_s, .end_s = now_s, .number = number, .kind = kind});
  }

  /// By the samples of the node's batch, where they are others than the others'.
  double usual_step_seconds(NodeId i) const {
    const Spec& spec = experiment_.spec;
    const auto samples = [&](std::uint64_t batch) {
      return static_cast<double>(std::min<std::uint64_t>(batch, experiment_.data.shard_sizes()[i]));
    };
    if (experiment_.batch_sizes[i] == spec.batch) return spec.step_time_s * experiment_.slowness[i];
    return spec.step_time_s * experiment_.slowness[i] * samples(experiment_.batch_sizes[i]) / samples(spec.batch);
  }

  double step_seconds(NodeId i) const {
    const Spec& spec = experiment_.spec;
    Random random(spec.seed, Purpose::step_time, i, steps_of(i));
    const double exponential = -std::log1p(-random.uniform());
    return usual_step_seconds(i) * (1 - spec.links.jitter + spec.links.jitter * exponential);
  }

  /// Node i was woken while it computes: for an exchange (--overlap, or a faster neighbour's message), because its
  /// patience would have ended now, or because the step ends; false if not that.
  bool finish_computing(NodeId i) {
    if (network_.now() >= step_ends_[i]) {
      step(i);
      return true;
    }
    answer_faster(i);
    if (exchanges_meanwhile(i) && network_.now() >= exchange_at_[i]) {
      nodes_[i].exchange();
      exchange_at_[i] += exchange_gap(i);
      go_on_computing(i);
    }
    return false;
  }

  /// Now, and whenever a message comes.
  void answer_faster(NodeId i) {
    if (!nodes_[i].optimizer().answers_faster()) return;
    while (nodes_[i].optimizer().outpaced()) nodes_[i].exchange();
    network_.park(i);
  }

  bool exchanges_meanwhile(NodeId i) const { return experiment_.spec.overlap && nodes_[i].exchanging(); }

  /// To the step's end, or to the next exchange.
  void go_on_computing(NodeId i) {
    const double exchange = std::clamp(exchange_at_[i], network_.now(), step_ends_[i]);
    network_.wake_at(exchanges_meanwhile(i) ? exchange : step_ends_[i], i);
  }

  /// Between two exchanges of a round, where they are spread over its steps (--overlap).
  double exchange_gap(NodeId i) const {
    return usual_step_seconds(i) * experiment_.round_steps() / experiment_.exchanges_a_round();
  }

  /// The end of node i's computing.
  void step(NodeId i) {
    Optimizer<SimPort>& optimizer = nodes_[i].optimizer();
    if (optimizer.ends_round()) optimizer.set_exchanges(budgets_[i].exchanges());
    tell_span(i, TraceEvent::Kind::gradient, steps_of(i) + 1);
    make_step(i);
    exchange_at_[i] = network_.now() + exchange_gap(i);
    if (optimizer.exchanging()) budgets_[i].begin(network_.now(), optimizer);
    last_step_s_ = network_.now();
    ++steps_done_;
    if (status_is_old()) write_status(status());
  }

  bool done(NodeId i) const { return steps_of(i) == experiment_.steps; }

  /// Node i looks around before it computes: messages are taken here, and models evaluated.
  void compute_or_park(NodeId i) {
    Node<SimPort>& node = nodes_[i];
    computing_[i] = 0;
    if (node.exchanging() && !experiment_.spec.overlap && !exchange_again(i)) return network_.park(i);
    if (!node.ready()) return network_.park(i);
    if (done(i) && !settled_) return settle_or_park(i);
    node.begin();
    if (due(i) && !(done(i) && node.optimizer().awaits_clients())) evaluate(i);
    if (!done(i)) {
      computing_[i] = 1;
      tell_span(i, TraceEvent::Kind::wait);
      const double seconds = step_seconds(i);
      budgets_[i].add_step(seconds);
      step_ends_[i] = network_.now() + seconds;
      answer_faster(i);
      go_on_computing(i);
    } else if (node.serve()) {
      network_.park(i);
    }
  }

  /// The further exchanges of node i's round; false if the next one waits for the neighbours.
  bool exchange_again(NodeId i) {
    Node<SimPort>& node = nodes_[i];
    for (; node.exchanging(); budgets_[i].begin(network_.now(), node.optimizer())) {
      if (!node.ready()) return false;
      if (experiment_.mode == Mode::async && !budgets_[i].over(network_.now(), node.optimizer())) {
        network_.wake_at(budgets_[i].until_s(), i);
        return false;
      }
      node.exchange();
    }
    return true;
  }

  /// Node i has made its steps. While others still train it goes on exchanging (in lock step it waits for them); then
  /// it exchanges as often as is planned, and waits for the others to be looked at.
  void settle_or_park(NodeId i) {
    Node<SimPort>& node = nodes_[i];
    SettlingPace& pace = paces_[i];
    const bool lock_step = experiment_.mode == Mode::lock_step, others_train = settling_since_s_ < 0;
    if (others_train && agreeing_[i]) {
      if (!lock_step && node.optimizer().heard_from_training()) node.settle();
      return network_.park(i);
    }
    while (pace.left() > 0 && node.ready()) {
      if (!lock_step && !pace.due(node.optimizer().heard_from_all(), network_.now())) return network_.park(i);
      exchange(i);
    }
    if (!node.ready()) return network_.park(i);
    node.begin();
    node.serve();
    network_.park(i);
    if (node.optimizer().awaits_clients()) return;
    if (others_train) pace.start(node.optimizer().rounds(), network_.now(), experiment_.spec.step_time_s);
    agreeing_[i] = 1;
    if (std::count(agreeing_.begin(), agreeing_.end(), 1) == experiment_.nodes()) look_at_consensus();
  }

  void exchange(NodeId i) {
    nodes_[i].settle();
    paces_[i].made(network_.now());
    if (experiment_.mode == Mode::async) network_.wake_at(paces_[i].next_s(), i);
  }

  /// All nodes have made their steps and the exchanges that were planned: plans more, or ends the run.
  void look_at_consensus() {
    std::vector<CVec> models;
    for (const auto& node : nodes_) models.push_back(node.x());
    if (settling_since_s_ < 0) settling_since_s_ = network_.now();
    last_step_s_ = network_.now();
    const int exchanges = settling_.next(consensus_error(models), network_.now() - settling_since_s_);
    if (exchanges == 0) {
      settled_ = true;
      return evaluate_all_due();
    }
    std::fill(agreeing_.begin(), agreeing_.end(), 0);
    for (NodeId i = 0; i < experiment_.nodes(); ++i) {
      paces_[i].plan(exchanges, network_.now());
      network_.wake_at(network_.now(), i);
      if (experiment_.mode == Mode::async) network_.wake_at(paces_[i].next_s(), i);
    }
  }

  /// What is said where the exchanges found no answers because the links could not carry them in a round's time, as a
  /// large model's with the usual --step-time-s of a small one; else empty.
  std::string overloaded_links() const {
    const Spec& spec = experiment_.spec;
    Traffic traffic;
    double exchanges = 0;  // a round, mean of the nodes
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      traffic += nodes_[i].optimizer().traffic();
      const double rounds = std::ceil(static_cast<double>(last_rows_[i].step) / experiment_.round_steps());
      exchanges += static_cast<double>(last_rows_[i].exchanges) / std::max(1.0, rounds);
    }
    exchanges /= static_cast<double>(nodes_.size());
    const double exchanges_s = exchanges * network_.sending_seconds(),
                 steps_s = experiment_.round_steps() * spec.step_time_s;
    if (experiment_.mode == Mode::lock_step || exchanges_s <= steps_s) return "";
    const double lost = (spec.links.drop + spec.links.tear) * static_cast<double>(traffic.messages_sent),
                 replaced = static_cast<double>(traffic.messages_overwritten) - lost,
                 share = replaced / (static_cast<double>(traffic.messages_taken) + replaced);
    if (!(share > 1.0 / 3)) return "";
    const bool chosen = !spec.exchanges.starts_with("auto") && exchanges > 1;
    return "the links are too slow for the exchanges: a round's messages keep each busy for " +
           two_digits(exchanges_s) + " s, the round's steps take " + two_digits(steps_s) + " s, and " +
           two_digits(100 * share) + " % of all messages were replaced by newer ones before they were read; make " +
           "--step-time-s what a gradient takes (" + two_digits(spec.step_time_s) + " now)" +
           (chosen ? ", --bandwidth-bytes-s larger or --exchanges fewer" : " or --bandwidth-bytes-s larger");
  }

  bool due(NodeId i) const {
    return steps_of(i) > 0 && steps_of(i) == experiment_.evaluation_step(next_evaluation_[i]);
  }
  void evaluate(NodeId i) {
    tell(i, TraceEvent::Kind::evaluation, next_evaluation_[i]);
    LocalRun::evaluate(i, next_evaluation_[i]++);
  }
  void evaluate_all_due() {
    for (NodeId i = 0; i < experiment_.nodes(); ++i)
      if (due(i)) evaluate(i);
  }

  void finished(const std::vector<MetricsRow>& rows) override {
    progress_.evaluated(consensus_error_of(rows), rows[0].average[0]);
    recorder_->write(rows);
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
    for (NodeId i = 0; i < experiment_.nodes(); ++i) tell(i, TraceEvent::Kind::checkpoint, checkpoint_);
    write_status(status());
  }

  void check_loaded(const Archive& archive) const {
    bool good = evaluations_.done() <= experiment_.evaluations();
    for (const std::uint64_t k : next_evaluation_)
      good &= k > evaluations_.done() && k <= experiment_.evaluations() + 1;
    good &= agreeing_.size() == nodes_.size() && computing_.size() == nodes_.size();
    good &= step_ends_.size() == nodes_.size() && exchange_at_.size() == nodes_.size();
    if (!good) archive.fail("does not fit the run's evaluations");
  }

  Status status() const { return {.seconds = last_step_s_, .checkpoint = checkpoint_}; }

  /// A run that ends early is judged as it stands.
  void evaluate_all_now() {
    evaluations_.clear();
    for (NodeId i = 0; i < experiment_.nodes(); ++i) {
      next_evaluation_[i] = evaluations_.done() + 1;
      evaluate(i);
    }
  }

  Recorder* recorder_ = nullptr;
  SimNetwork network_;
  std::vector<std::uint64_t> next_evaluation_;   ///< per node, from 1
  std::vector<char> computing_;                  ///< per node: its wake-up is not a message
  std::vector<double> step_ends_, exchange_at_;  ///< per node: of the step under way; the next exchange within it
  std::vector<double> since_s_;                  ///< per node, for rings_: when it began what it does
  std::vector<EventRing> rings_;                 ///< per node, with --trace
  Settling settling_;
  bool settled_;
  double settling_since_s_ = -1;
  std::vector<SettlingPace> paces_;
  std::vector<ExchangeBudget> budgets_;
  std::vector<char> agreeing_;  ///< per node: it has made the exchanges that were planned
  double last_step_s_ = 0;
  std::uint64_t steps_done_ = 0;  ///< of all nodes
  Checkpoints checkpoints_;
  CheckpointTimes times_;
  std::uint64_t checkpoint_ = 0, next_checkpoint_;  ///< number of the latest; mean steps of a node at the next
};

}  // namespace

Exit run_sim(const Spec& spec) {
  std::optional<RunLock> lock;
  if (spec.resume) lock.emplace(spec.out);
  LocalSites sites;
  Experiment experiment(spec, spec.nodes, sites);
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
  if (!spec.trace.empty()) check_trace_path(spec.trace, spec.out);
  const RunDirectory directory(spec, spec.nodes);  // last of all: whatever is refused leaves nothing behind
  if (!lock) lock.emplace(spec.out);
  directory.begin(experiment, std::vector(spec.nodes, host_name()), run.checkpoint_s());
  write_own_inputs(experiment);
  Recorder recorder(directory.path("metrics.csv"), run.rows_written());
  run.run(recorder, directory);
  const Summary summary = run.summary();
  for (NodeId i = 0; i < experiment.nodes(); ++i) write_node_model(experiment, i, run.model_of(i));
  directory.finish(summary, experiment, run.mean(), run.checkpoint());
  print(std::cout, std::cerr, summary, experiment);
  if (!spec.trace.empty()) finish_trace(experiment, run.traces());
  return summary.exit_code();
}

}  // namespace ecl
