#include "ecl/c/rank_node.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <new>
#include <thread>

#include "ecl/base/archive.hpp"
#include "ecl/base/checksum.hpp"
#include "ecl/base/host.hpp"
#include "ecl/mpi/mean.hpp"
#include "ecl/mpi/pause.hpp"
#include "ecl/mpi/session.hpp"
#include "ecl/node/solver_fit.hpp"
#include "ecl/termination/settling.hpp"

namespace ecl {
namespace {

constexpr double kPoke_s = 0.5e-3;  // MPI's progress needs us about every millisecond
constexpr double kSaysWhy_s = 2;    // who ends the job earlier may cut off the line of the rank that failed
constexpr int kMilestones = 7;
constexpr std::size_t kMostSummed = std::numeric_limits<int>::max();  // MPI counts are int

/// Parses on every rank, so that a mistake is the same error on all, and compares.
NodeOptions agreed_options(const mpi::Comm& comm, std::span<const std::string> settings, CVec x) {
  NodeOptions options;
  comm.together([&] {
    options = NodeOptions::parse(settings);
    if (x.empty()) throw Error("the model has no floats: there is nothing to train");
    if (x.size() > kMostSummed)
      throw Error("the model has " + std::to_string(x.size()) + " floats, and MPI sums up at most " +
                  std::to_string(kMostSummed) + " at once; open a node for each of several parts of it");
    if (!all_finite(x)) throw Error("the model's first values hold an infinity or a NaN");
  });
  std::string text = "dim=" + std::to_string(x.size()) + '\n';
  for (const std::string& setting : settings) text += setting + '\n';
  const auto texts = comm.gather_all(text);
  const auto sums = comm.gather_all(std::to_string(checksum(std::as_bytes(x))));
  const auto hosts = comm.gather_all(host_name());
  for (int rank = 1; rank < comm.size(); ++rank) {
    const std::string who = "rank " + std::to_string(rank) + " on " + hosts[rank];
    const auto theirs = split(texts[rank], '\n'), ours = split(texts[0], '\n');
    for (std::size_t l = 0; l < std::max(theirs.size(), ours.size()); ++l) {
      const auto line = [l](const auto& lines) { return l < lines.size() ? "'" + lines[l] + "'" : "nothing"; };
      if (line(theirs) != line(ours))
        throw Error(who + " was given " + line(theirs) + " where rank 0 has " + line(ours) +
                    "; all ranks take the same");
    }
    if (sums[rank] != sums[0])
      throw Error(who + " starts from other values than rank 0; make the first model alike on all ranks, by the same " +
                  "seed or from the same file");
  }
  return options;
}

/// All its digits, so that no two numbers read alike.
std::string shortest(double number) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, number).ptr};
}

/// A state without its checksum, which is right.
std::string_view checked_content(std::string_view state) {
  std::uint32_t sum = 0;
  const std::string_view content = state.substr(0, state.size() - std::min(state.size(), sizeof sum));
  if (state.size() > sizeof sum) std::copy_n(state.end() - sizeof sum, sizeof sum, reinterpret_cast<char*>(&sum));
  if (state.size() <= sizeof sum || checksum(std::as_bytes(std::span(content))) != sum)
    throw Error("the state is damaged, or none of an ecl node: its checksum is not that of its content", Exit::io);
  return content;
}

}  // namespace

RankNode::RankNode(const mpi::Comm& comm, Vec x)
    : comm_(comm.duplicate()),
      averaging_(comm_.duplicate()),
      x_(x),
      host_names_(comm_.gather_all(host_name())),
      hosts_(comm_),
      roster_(comm_, hosts_),
      milestones_(comm_, kMilestones),
      share_cores_(mpi::oversubscribed()) {
  for (mpi::Comm* one : {&comm_, &averaging_}) one->watch([this] { look_at_others(); });
}

void RankNode::open(std::span<const std::string> settings) {
  options_ = agreed_options(comm_, settings, x_);
  first_rate_ = options_.rule.learning_rate;
  std::unique_ptr<Solver> solver;
  comm_.together([&] {
    if (options_.helped) mpi::require_turns_of_threads("progress=thread");
    const NodeOptions& o = options_;
    graph_ = make_graph(Choice::parse(o.topology), comm_.size(), o.seed);
    first_exchanges({o.solver, o.exchanges, o.mode, o.patience, o.rule.overlap, OptionStyle::key_value},
                    [&](int exchanges) -> const Solver& {
                      options_.rule.exchanges = exchanges;
                      return *(solver = make_solver({}));
                    });
    require_fit(*solver, "solver " + o.solver, graph_, o.mode);  // before there are mailboxes
    measuring_ = o.adam && solver->step_lengths() == StepLengths::bounded;
    options_.choose_measuring(measuring_);
    if (measuring_) solver = make_solver(std::vector<float>(x_.size(), 1));  // a state that is loaded has the scale
  });
  consensus_.emplace(comm_, x_.size());
  const StepRule& rule = options_.rule;
  MpiPort port(comm_, graph_, solver->message_size(), options_.mode, options_.exchange);
  optimizer_.emplace(std::move(port), std::move(solver), graph_, comm_.rank(), rule, options_.mode);
  const double turns = std::max(1.0, mpi::ranks_per_core());
  const double share = ExchangesARound::parse(options_.exchanges, OptionStyle::key_value).share;
  budget_.emplace(Patience(options_.patience * turns, rule.local_steps, graph_.degree(comm_.rank())), share * turns,
                  rule.exchanges);
}

/// `scale`: SolverSetup::scale.
std::unique_ptr<Solver> RankNode::make_solver(CVec scale) {
  const StepRule& rule = options_.rule;
  SolverSetup setup{graph_,           comm_.rank(),  x_,           first_rate_ / (1 - rule.momentum),
                    rule.local_steps, rule.momentum, options_.seed};
  setup.exchanges = rule.exchanges;
  setup.adam = options_.adam;
  setup.clip_norm = options_.clip_norm;
  setup.scale = scale;
  setup.proximal_step = [this]() -> ProximalStep {
    throw Error("solver " + options_.solver + " takes exact steps on a model that ecl knows; use solver ecl");
  };
  return ecl::make_solver(Choice::parse(options_.solver), setup);
}

/// The end of measuring: all ranks agree on how large gradients are. `settles`: because this rank makes no more steps.
void RankNode::start_training(bool settles) {
  milestones_.pass(waits_to_train, averages_);
  const auto counts = comm_.gather_all(std::to_string(settles ? first_.count() : 0));
  for (int rank = 0; rank < comm_.size(); ++rank) require_training_of(rank, std::stoull(counts[rank]));
  const auto scale =
      agreed_scale(x_.size(), {&first_, 1}, [this](const auto& said) { return comm_.gather_all(said.front()); });
  auto solver = make_solver(scale);  // may find no memory: before the port is taken from the one that has it
  MpiPort port = std::move(optimizer_->port());
  optimizer_.emplace(std::move(port), std::move(solver), graph_, comm_.rank(), options_.rule, options_.mode);
  first_.forget();
  measuring_ = false;
}

/// A rank that has made so many steps and settles; without any it has no data, and says so.
void RankNode::require_training_of(int rank, std::uint64_t steps) const {
  if (steps > 0 && trained(steps) == 0)
    throw Error(name_of(rank) + " has ended after step " + std::to_string(steps) +
                    ", and the first measure_steps=" + std::to_string(options_.measure_steps) +
                    " only measure gradients, for adam: its data would count for nothing; make more steps, or set a "
                    "smaller measure_steps",
                Exit::rank_lost);
}

template <class Call>
auto RankNode::guarded(Call call) {
  const auto give_up = [this] { milestones_.pass(failed, steps()); };
  try {
    return call();
  } catch (const Error& error) {
    if (error.code() == Exit::rank_lost || error.code() == Exit::internal) give_up();
    throw;
  } catch (const std::bad_alloc&) {
    give_up();
    throw Error("there is not enough memory", Exit::internal);
  } catch (const std::exception& error) {
    give_up();
    throw Error(std::string("internal error: ") + error.what(), Exit::internal);
  }
}

template <class Done>
void RankNode::wait(Done done) {
  for (mpi::Pause pause; !done(); pause.wait()) {
    last_poke_s_ = 0;  // nothing else to do: poke at every look
    poke();
  }
}

void RankNode::poke() {
  const double now_s = now();
  if (now_s - last_poke_s_ < kPoke_s) return;
  last_poke_s_ = now_s;
  comm_.poke();
  optimizer_->port().poke();
  look_at_others();
}

/// Throws if one has died or failed.
void RankNode::look_at_others() {
  milestones_.poke();
  for (const int rank : roster_.newly_dead()) {
    const bool may_be_gone = !parting_ && milestones_.of(rank, left) && milestones_.of(comm_.rank(), left);
    if (!may_be_gone) throw Error(name_of(rank) + " has died, and the run ends with it", Exit::rank_lost);
  }
  for (int rank = 0; rank < comm_.size(); ++rank)
    if (const auto step = milestones_.of(rank, failed); step && rank != comm_.rank()) {
      if (!failure_heard_s_) failure_heard_s_ = now();
      if (now() - *failure_heard_s_ < kSaysWhy_s) return;
      throw Error(name_of(rank) + " has failed after step " + std::to_string(*step) + ", and the run ends with it; " +
                      "it says why",
                  Exit::rank_lost);
    }
  require_partners_to_average();
}

/// Who waits for all ranks, before as many averages as this rank has asked for, takes no part in the last of them.
void RankNode::require_partners_to_average() const {
  for (const auto& [milestone, what] :
       {std::pair{waits_to_train, "train, after its first measure_steps"}, std::pair{waits_to_end, "settle or close"}})
    for (int rank = 0; rank < comm_.size(); ++rank)
      if (const auto theirs = milestones_.of(rank, milestone);
          theirs && *theirs < averages_ && !milestones_.of(comm_.rank(), milestone))
        throw Error(name_of(rank) + " waits for all ranks to " + what + ", and rank " + std::to_string(comm_.rank()) +
                        " asks for an average first, after step " + std::to_string(steps()) +
                        ": call average() as often on all ranks before that",
                    Exit::rank_lost);
}

/// In lock step, before waiting for a neighbour: all take the same number of steps.
void RankNode::require_company() const {
  for (int rank = 0; rank < comm_.size(); ++rank) {
    const auto& theirs = milestones_.of(rank, ended);
    const std::uint64_t mine = steps();
    if (theirs && (has_ended_ ? *theirs != mine : *theirs < mine))
      throw Error(name_of(rank) + " has ended after step " + std::to_string(*theirs) + ", and rank " +
                      std::to_string(comm_.rank()) + " is at step " + std::to_string(mine) +
                      "; in lock step all ranks take the same number: leave out what some have too much, or use "
                      "mode=async",
                  Exit::rank_lost);
  }
  require_neighbours_of_this_round();
}

/// A neighbour that waits for an average sends no message of a later round than its own.
void RankNode::require_neighbours_of_this_round() const {
  const auto rounds = [this](std::uint64_t steps) { return trained(steps) / options_.rule.local_steps; };
  for (const HalfEdge& edge : graph_.edges(comm_.rank())) {
    const auto asks = milestones_.of(edge.peer, averages), stands = milestones_.of(edge.peer, averages_at);
    if (edge.receives && asks && *asks > averages_ && rounds(*stands) < rounds(steps()))
      throw Error(name_of(edge.peer) + " asks for an average after step " + std::to_string(*stands) + ", and rank " +
                      std::to_string(comm_.rank()) + " is at step " + std::to_string(steps()) +
                      "; in lock step all call average() after the same step",
                  Exit::rank_lost);
  }
}

bool RankNode::has_trained() const { return has_ended_ || optimizer_->steps() == options_.rule.total_steps; }

void RankNode::require_training() const {
  if (has_ended_) throw Error("this run has settled, and takes no further steps; open another one to train on");
  if (has_trained()) throw Error("all total_steps=" + std::to_string(steps()) + " steps are made: settle");
}

void RankNode::wait_until_ready() {
  wait([this] {
    if (optimizer_->ready()) return true;
    require_company();
    return false;
  });
}

/// The round's further exchanges, each once the neighbours have answered the one before.
void RankNode::finish_exchanges() {
  while (optimizer_->exchanging()) {
    if (lock_step())
      wait_until_ready();
    else
      wait([this] { return budget_->over(now(), *optimizer_); });
    optimizer_->exchange(x_);
    budget_->begin(now(), *optimizer_);
  }
}

void RankNode::begin() {
  if (has_trained()) return;
  guarded([&] {
    poke();
    if (measuring_) return;
    if (!optimizer_->begun()) {
      if (!options_.rule.overlap) finish_exchanges();
      wait_until_ready();
      optimizer_->begin(x_);
    }
    begun_s_ = now();  // within a round, too: what the caller did between its steps is no part of them
  });
}

void RankNode::step(CVec gradient) {
  require_training();
  if (!all_finite(gradient))
    throw Error("the gradient of step " + std::to_string(steps() + 1) +
                    " holds an infinity or a NaN; no step was made. Is the learning rate too large?",
                Exit::diverged);
  const std::optional<double> start_s = begun_s_ ? begun_s_ : idle_since_s_;
  begin();
  guarded([&] {
    if (measuring_) {
      first_.add(gradient);
      if (first_.count() == static_cast<std::uint64_t>(options_.measure_steps)) start_training(false);
      return;
    }
    if (optimizer_->ends_round()) optimizer_->set_exchanges(budget_->exchanges());
    optimizer_->step(x_, gradient);
    if (start_s) budget_->add_step(now() - *start_s);
    if (optimizer_->exchanging()) budget_->begin(now(), *optimizer_);
    if (share_cores_ && !optimizer_->begun()) std::this_thread::yield();
    poke();
    if (!options_.rule.overlap) finish_exchanges();
  });
  begun_s_.reset();
  idle_since_s_ = now();
}

void RankNode::exchange() {
  guarded([&] {
    poke();
    if (options_.rule.overlap && optimizer_->exchanging() && budget_->over(now(), *optimizer_)) {
      optimizer_->exchange(x_);
      budget_->begin(now(), *optimizer_);
    }
    if (optimizer_->outpaced()) optimizer_->exchange(x_);
  });
}

void RankNode::set_learning_rate(double rate) {
  optimizer_->set_learning_rate(options_.rule.learning_rate = checked_rate(rate));
}

void RankNode::end(bool settles) {
  if (has_ended_) return;
  if (measuring_) start_training(settles);
  milestones_.pass(waits_to_end, averages_);
  if (settles) require_training_of(comm_.rank(), steps());  // now, and not when the others settle
  finish_exchanges();
  optimizer_->end(x_);
  finish_exchanges();
  has_ended_ = true;
  milestones_.pass(ended, steps());
}

/// Neighbours that still train are answered once a round.
void RankNode::answer() {
  if (lock_step()) return require_company();
  if (!optimizer_->serve(x_) && optimizer_->heard_from_training()) optimizer_->settle(x_);
}

void RankNode::wait_for_the_end() {
  wait([this] {
    answer();
    return milestones_.passed_by_all(ended);
  });
}

/// Those who settle need all ranks.
void RankNode::require_settlers() const {
  for (int rank = 0; rank < comm_.size(); ++rank)
    if (const auto settled = milestones_.of(rank, left); settled && *settled == 0)
      throw Error(name_of(rank) + " has closed its node after step " + std::to_string(*milestones_.of(rank, ended)) +
                      " and does not settle; all ranks settle, or none",
                  Exit::rank_lost);
}

double RankNode::settle() {
  if (has_settled_) throw Error("this run has settled already");
  return guarded([&] {
    end(true);
    wait_for_the_end();
    const double error = agree();
    has_settled_ = true;
    return error;
  });
}

/// All ranks are here: they exchange, and look at the consensus error, until it is small or they have tried enough.
double RankNode::agree() {
  require_settlers();
  bool one_round = false, any = false;  // the same on all ranks, which decide alike
  for (int rank = 0; rank < comm_.size(); ++rank) {
    require_training_of(rank, *milestones_.of(rank, ended));
    const std::uint64_t steps = trained(*milestones_.of(rank, ended));
    one_round |= steps <= static_cast<std::uint64_t>(options_.rule.local_steps);
    any |= steps > 0;
  }
  const bool exchanges = comm_.size() > 1 && any;
  Settling settling({options_.consensus_error, exchanges ? options_.settle : 0, options_.settle_s, one_round});
  const double start_s = now();
  SettlingPace pace;
  pace.start(optimizer_->rounds(), start_s);
  for (;;) {
    if (lock_step()) wait_until_ready();
    optimizer_->begin(x_);
    consensus_->begin(x_, now() - start_s);
    std::optional<ConsensusCheck::Result> result;
    wait([&] {
      require_settlers();
      return (result = consensus_->poke()).has_value();
    });
    pace.plan(settling.next(result->error, result->seconds), now());
    if (pace.left() == 0) return result->error;
    while (pace.left() > 0) {
      wait([&] { return lock_step() ? optimizer_->ready() : pace.due(optimizer_->heard_from_all(), now()); });
      optimizer_->settle(x_);
      pace.made(now());
      if (share_cores_) std::this_thread::yield();
    }
  }
}

/// Collective, as sums of unlike lengths are nobody's: MPI may wait for ever, or write where there is nothing.
void RankNode::require_same_length(std::size_t count) const {
  const std::uint64_t mine = count;
  std::vector<std::uint64_t> all(comm_.size());
  averaging_.gather_all(&mine, sizeof mine, all.data());
  for (int rank = 1; rank < comm_.size(); ++rank)
    if (all[rank] != all[0])
      throw Error(name_of(rank) + " averages " + std::to_string(all[rank]) + " values, and rank 0 " +
                  std::to_string(all[0]) + "; all ranks give as many");
}

void RankNode::average(Vec values) {
  guarded([&] {
    ++averages_;
    if (lock_step()) milestones_.pass(averages_at, steps()), milestones_.pass(averages, averages_);
    require_same_length(values.size());
    mpi::mean_over(averaging_, values);
  });
}

/// What a state belongs to. How many steps there are is part of it where the rate falls over them; else a later node
/// may make more.
std::string RankNode::fingerprint() const {
  const StepRule& rule = options_.rule;
  std::string text = "ecl node 4";
  const auto add = [&text](const char* key, const std::string& value) { ((text += '\n') += key) += '=' + value; };
  add("rank", std::to_string(comm_.rank()));
  add("size", std::to_string(comm_.size()));
  add("dim", std::to_string(x_.size()));
  add("topology", options_.topology);
  add("solver", options_.solver);
  add("mode", lock_step() ? "lock-step" : "async");
  add("lr", shortest(first_rate_));
  add("momentum", shortest(rule.momentum));
  add("optimizer", options_.optimizer);
  add("weight_decay", shortest(options_.weight_decay));
  add("clip_norm", shortest(options_.clip_norm));
  add("measure_steps", std::to_string(options_.measure_steps));
  add("local_steps", std::to_string(rule.local_steps));
  add("exchanges", options_.exchanges);
  add("overlap", rule.overlap ? "1" : "0");
  add("schedule", options_.schedule);
  if (options_.schedule != "constant") add("total_steps", std::to_string(rule.total_steps + options_.measure_steps));
  add("seed", std::to_string(options_.seed));
  return text;
}

const std::string& RankNode::save() {
  if (has_ended_) throw Error("this run has settled: its model is all that is left to save");
  if (lock_step() && !measuring_ && !optimizer_->begun())
    guarded([&] {  // what the neighbours said is in the state, after the last step, too
      finish_exchanges();
      wait_until_ready();
      optimizer_->begin(x_);
    });
  Archive archive;
  std::string name = fingerprint();
  std::uint64_t steps_made = steps();
  Floats x(x_.begin(), x_.end());
  archive.reserve(4 * std::as_bytes(x_).size());
  archive(name, steps_made, x, options_.rule.learning_rate, *budget_, first_, *optimizer_);
  const std::uint32_t sum = checksum(std::as_bytes(std::span(archive.bytes())));
  state_ = archive.bytes();
  state_.append(reinterpret_cast<const char*>(&sum), sizeof sum);
  return state_;
}

/// All ranks find that their states fit before any takes its own up: a mistake leaves every node as it was.
void RankNode::load(std::string_view state) {
  std::optional<Archive> archive;
  std::uint64_t saved_steps = 0;
  comm_.together([&] {
    if (optimizer_->rounds() > 0 || steps() > 0)
      throw Error("a state is loaded before the first step; this run has made " + std::to_string(steps()) +
                  ": open a new one");
    archive.emplace(std::string(checked_content(state)), "the state");
    require_own(*archive);
    (*archive)(saved_steps);
    if (trained(saved_steps) > options_.rule.total_steps)
      throw Error(std::string("the state is of step ") + std::to_string(saved_steps) +
                  ", and total_steps=" + std::to_string(options_.rule.total_steps + options_.measure_steps) +
                  " are fewer; open the node for more steps");
  });
  require_saved_together(saved_steps);
  comm_.together([&] {
    Floats x(x_.size());
    try {
      (*archive)(x, options_.rule.learning_rate, *budget_, first_, *optimizer_);
      archive->finish();
    } catch (const Error& error) {
      throw Error(error.what(), Exit::internal);  // half of it is taken up
    }
    std::copy(x.begin(), x.end(), x_.begin());
  });
  optimizer_->set_learning_rate(options_.rule.learning_rate);
  measuring_ = steps() < static_cast<std::uint64_t>(options_.measure_steps);
  optimizer_->restart_port(x_);
  budget_->restart_port();
}

void RankNode::require_own(Archive& archive) const {
  std::string name;
  archive(name);
  const auto theirs = split(name, '\n'), ours = split(fingerprint(), '\n');
  if (theirs.empty() || theirs[0] != ours[0])
    throw Error("the state is of another version of ecl, which alone can load it: '" +
                (theirs.empty() ? "" : theirs[0]) + "' there, '" + ours[0] + "' here");
  for (std::size_t l = 0; l < ours.size(); ++l)
    if (l >= theirs.size() || theirs[l] != ours[l])
      throw Error("the state is of another run: '" + (l < theirs.size() ? theirs[l] : "") + "' there, '" + ours[l] +
                  "' here; open the run as it was opened");
}

/// Collective. In lock step after the same step; under adam all in the steps that measure, or none.
void RankNode::require_saved_together(std::uint64_t saved_steps) const {
  const auto theirs = comm_.gather_all(std::to_string(saved_steps));
  const auto measures = [&](const std::string& text) {
    return std::stoull(text) < static_cast<std::uint64_t>(options_.measure_steps);
  };
  for (int rank = 1; rank < comm_.size(); ++rank) {
    if (theirs[rank] == theirs[0]) continue;
    if (!lock_step() && measures(theirs[rank]) == measures(theirs[0])) continue;
    throw Error(name_of(rank) + " loads a state of step " + theirs[rank] + ", rank 0 one of step " + theirs[0] +
                (lock_step() ? "; in lock step all ranks are saved after the same step"
                             : "; the first measure_steps=" + std::to_string(options_.measure_steps) +
                                   " only measure gradients: all ranks are saved in them, or none"));
  }
}

double RankNode::figure(std::string_view name) const {
  const Traffic traffic = optimizer_->traffic();
  const std::pair<std::string_view, double> figures[] = {
      {"steps", static_cast<double>(steps())},
      {"rounds", static_cast<double>(optimizer_->rounds())},
      {"bytes_sent", static_cast<double>(traffic.bytes_sent)},
      {"messages_sent", static_cast<double>(traffic.messages_sent)},
      {"messages_taken", static_cast<double>(traffic.messages_taken)},
      {"messages_overwritten", static_cast<double>(traffic.messages_overwritten)},
      {"messages_refused", static_cast<double>(optimizer_->messages_refused())},
      {"exchange_seconds", traffic.exchange_seconds},
      {"lr", options_.rule.learning_rate},
      {"staleness_p50", optimizer_->staleness().quantile(0.5)},
      {"staleness_p99", optimizer_->staleness().quantile(0.99)}};
  std::vector<std::string> known;
  for (const auto& [key, value] : figures) {
    if (key == name) return value;
    known.emplace_back(key);
  }
  throw Error("no figure is named '" + std::string(name) + "'" + suggestion(name, known));
}

void RankNode::leave() {
  guarded([&] {
    end(false);
    milestones_.pass(left, has_settled_ ? 1 : 0);
    wait_for_the_end();
    wait([this] { return milestones_.passed_by_all(left) && milestones_.delivered(); });
    parting_ = true;
  });
}

}  // namespace ecl
