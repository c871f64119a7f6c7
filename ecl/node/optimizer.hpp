#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/base/floats.hpp"
#include "ecl/contracts/port.hpp"
#include "ecl/contracts/solver.hpp"
#include "ecl/node/delivery_observer.hpp"
#include "ecl/node/edge_use.hpp"
#include "ecl/node/solver_fit.hpp"
#include "ecl/node/staleness.hpp"
#include "ecl/node/step_rule.hpp"

namespace ecl {

/// True if no float is an infinity or a NaN: their exponent bits are all ones. One vectorised pass.
inline bool all_finite(CVec x) {
  constexpr std::uint32_t kExponent = 0x7f800000;
  std::uint32_t bad = 0;
  for (const float value : x) bad |= (std::bit_cast<std::uint32_t>(value) & kExponent) == kExponent;
  return bad == 0;
}

/// One node of a decentralised training run: the library's face. A training loop of your own calls step() with its
/// parameters and their gradient, as it would call any optimiser; messages to and from the neighbours happen inside.
///
///     MpiPort port(comm, graph, solver->message_size(), mode);
///     Optimizer<MpiPort> optimizer(std::move(port), std::move(solver), graph, node, rule, mode);
///     while (training) {
///       while (!optimizer.ready()) comm.poke();   // lock step only: until the neighbours' messages are here
///                                                 // with R exchanges a round: exchange(x) while exchanging(),
///                                                 // and while outpaced(), within the gradient too
///       optimizer.begin(x);                       // what the neighbours said may move x
///       loss = my_gradient(x, g);
///       optimizer.step(x, g);
///     }
///
/// Neither call blocks, loops or reads a clock: whoever owns the loop decides when to call. After the first round they
/// allocate nothing.
template <Port P>
class Optimizer {
 public:
  /// Throws Error as require_fit() does. Ask that first where the port is one that ranks make and take apart together.
  Optimizer(P port, std::unique_ptr<Solver> solver, const Graph& graph, NodeId node, const StepRule& rule, Mode mode)
      : port_(std::move(port)), solver_(std::move(solver)), rule_(rule), mode_(mode) {
    require_fit(*solver_, "this solver", graph, mode);
    const bool talks = solver_->message_size() != 0;
    for (const HalfEdge& edge : graph.edges(node)) edges_.push_back({talks && edge.sends, talks && edge.receives});
  }

  /// Whether begin() has what it needs: always in Mode::async; in lock step, the messages of the finished round.
  bool ready() const {
    if (mode_ == Mode::async || begun_ || round_ == first_round_) return true;
    for (int e = 0; e < edge_count(); ++e)
      if (edges_[e].receives && port_.arrived(e) < round_ - first_round_) return false;
    return true;
  }

  /// The next step is a round's last.
  bool ends_round() const { return local_ + 1 == rule_.local_steps || steps_ + 1 == rule_.total_steps; }
  /// R of the round that ends next and of those after it, other than StepRule::exchanges; asynchronously, before its
  /// last step, when no exchange is left. At least 2 where it was at first.
  void set_exchanges(int exchanges) {
    if (exchanges == rule_.exchanges) return;
    ECL_CHECK(mode_ == Mode::async && left_ == 0);
    rule_.exchanges = exchanges;
    solver_->set_exchanges(exchanges);
    if (observer_) observer_->exchanges_set(steps_, exchanges);
  }
  /// Exchanges of the round are left: R - 1 follow each round's last step.
  bool exchanging() const { return left_ > 0; }
  /// One of them: x becomes what the messages that came since make of it, and is sent. In lock step only when ready().
  /// Where StepRule::overlap, or outpaced(), at any time between two other calls; it leaves x alone then.
  void exchange(Vec x) {
    ECL_CHECK(left_ > 0 || answers_faster());
    receive(Taking::exchange);
    solver_->exchange(x);
    left_ = std::max(0, left_ - 1), ++round_;
    send(x);
  }
  /// Whether it may be outpaced(): not in lock step, and only with a solver that exchanges at any time.
  bool answers_faster() const { return mode_ == Mode::async && solver_->overlaps(); }
  /// This node is slow: neighbours have gone on to further rounds while it is within one, and their messages wait. An
  /// exchange answers them, with a part of the step of its last gradients: they need not go on without these.
  ///
  /// A neighbour counts once it is a whole round ahead, or at once if it made several rounds in this node's last one.
  /// Where several count, each has to have spoken, or one of them twice.
  bool outpaced() const {
    if (!answers_faster() || !begun_ || left_ > 0) return false;
    bool all = true, any = false, twice = false;
    for (const EdgeUse& edge : edges_) {
      if (!edge.leads && !has_news(edge, edge.leads_from)) continue;
      const bool news = has_news(edge);
      all &= news, any |= news;
      twice |= has_news(edge, edge.taken + 2);
    }
    return any && (all || twice);
  }

  /// Before the gradient of a step is taken; in lock step only when ready(). At the start of a round it takes the
  /// messages and lets the solver combine them into x (d floats); within a round it does nothing.
  ///
  /// Messages are taken all edges together: at a round's start, or at its end if the solver takes them late, or both.
  /// Taking them as they come would let one edge's new dual meet the other's old one in mid-round: with theta = 1 duals
  /// that alternate in sign, and otherwise cancel, then kick the model (seen as consensus errors of 0.5 instead of 0.02
  /// on Fashion-MNIST).
  void begin(Vec x) {
    if (begun_) return;
    if (!rule_.overlap) catch_up(x);
    begun_ = true;
    if (receives_at_start()) receive(Taking::round);
    for (EdgeUse& edge : edges_) edge.begin(rule_);
    solver_->combine(x);
    if (solver_->replies() && round_ > 0) send(x);
  }

  /// One local step: x moves along minus `gradient`, corrected by what the neighbours said. Begins a round by itself
  /// where that was left out; such a gradient is then of the x before the neighbours' messages.
  void step(Vec x, CVec gradient) {
    begin(x);
    const bool last = ends_round();
    if (last) catch_up(x);
    if (receives_before_last_step() && last) receive(Taking::round);
    const double step_size = rule_.step_size(steps_);
    solver_->descend(x, direction(x, gradient), step_size);
    ++steps_;
    ++local_;
    if (last) end_round(x, step_size);
  }

  /// After the last step: a round without a gradient, in which x becomes what the neighbours' messages make of it.
  /// Where all nodes do so again and again, they come to agree. In lock step only when ready().
  void settle(Vec x) {
    ECL_CHECK(local_ == 0);
    catch_up(x);
    begin(x);
    ++settled_;
    if (receives_before_last_step())
      receive(Taking::settle);
    else if (observer_)
      observer_->received(steps_, Taking::settle);
    end_round(x, 0);
  }
  /// From the next step on. What the solver was made with stays what it is made with.
  void set_learning_rate(double rate) { rule_.learning_rate = rate; }

  /// The loop ends here, maybe before StepRule::total_steps: a round that was begun ends with the steps that it has,
  /// and the neighbours hear what they hear of a node that has made them all. Exchanges that are left, settle() and
  /// serve() may follow.
  void end(Vec x) {
    ended_ = true;
    if (local_ == 0) return;
    if (receives_before_last_step()) receive(Taking::round);
    end_round(x, rule_.step_size(steps_ - 1));
  }
  /// How often settle() was called.
  std::uint64_t settled() const { return settled_; }
  /// Rounds done, those of settle() among them: exchanges with every neighbour.
  std::uint64_t rounds() const { return round_; }
  /// Whether messages come on edge e: not on one-way edges that lead away, nor from a neighbour that is gone.
  bool receives(int e) const { return edges_[e].receives; }
  /// Number of the newest message on edge e; 0 where none comes.
  Stamp arrived(int e) const { return edges_[e].receives ? port_.arrived(e) : 0; }
  /// While exchanging, number of the message on edge e that the next exchange is to have: the neighbour's first of this
  /// round for this node's second exchange, and so on. 0: none will come, it has made its exchanges of the round.
  Stamp due(int e) const {
    const EdgeUse& edge = edges_[e];
    if (!edge.receives) return 0;
    if (edge.heard.step < steps_) return edge.next_round();
    if (edge.heard.step == rule_.total_steps && steps_ < rule_.total_steps)  // it answers once a round
      return left_ + 1 == rule_.exchanges ? edge.taken + 1 : 0;
    return edge.heard.left == 0 ? 0
                                : std::min(edge.first + (rule_.exchanges - 1 - left_), edge.taken + edge.heard.left);
  }
  /// A message waits on every edge that receives any.
  bool heard_from_all() const {
    return std::none_of(edges_.begin(), edges_.end(),
                        [this](const EdgeUse& edge) { return edge.receives && !has_news(edge); });
  }
  /// A message of a new round waits from a neighbour that had steps to make when it last spoke. Who has none left
  /// answers these only: each answer without a gradient lets the neighbour's data draw the model a little.
  bool heard_from_training() const {
    return std::any_of(edges_.begin(), edges_.end(), [this](const EdgeUse& edge) {
      return edge.heard.step < rule_.total_steps && has_news(edge, edge.next_round());
    });
  }

  /// A server whose own steps are done goes on telling its clients: call this when a message may have come. False if
  /// this node is no server, or in lock step, where all end together.
  bool serve(Vec x) {
    if (mode_ == Mode::lock_step || !solver_->replies()) return false;
    if (receive(Taking::serve) > 0) {
      solver_->combine(x);
      send(x);
    }
    return true;
  }

  /// True for a server some of whose clients have not sent their last message yet: what it makes of them is not final.
  bool awaits_clients() const {
    if (mode_ == Mode::lock_step || !solver_->replies()) return false;
    return std::any_of(edges_.begin(), edges_.end(), [last = rule_.total_steps](const EdgeUse& edge) {
      return edge.receives && edge.heard.step < last;
    });
  }

  /// The neighbour at edge e is gone for good. What was counted of its messages stays.
  void drop(int e) {
    ECL_CHECK(e >= 0 && e < edge_count());
    edges_[e].sends = edges_[e].receives = edges_[e].leads = false;
    solver_->drop(e);
    if (observer_) observer_->dropped(steps_, begun_, e);
  }

  /// Saves or loads all that changes after construction, except the port. What the port has counted is saved; a port
  /// under a loaded optimizer begins to count at 0.
  void archive(Archive& archive) {
    Traffic so_far = traffic();
    archive(steps_, round_, local_, left_, rule_.exchanges, settled_, begun_, staleness_, so_far, *solver_);
    archive.list(velocity_);
    for (EdgeUse& edge : edges_) archive(edge);
    if (archive.loading()) before_ = so_far;
  }

  /// After a load over a port that is not the saved one: its mailboxes are empty, its messages are numbered from 1.
  ///
  /// In lock step all nodes must have been saved after begin() of the same round: what the neighbours said is then in
  /// the state, and what comes next belongs to the next round. Asynchronously, what was in the mailboxes is lost, which
  /// is no more than a lost message; but a node that has made its steps would never speak again, so it does it now.
  void restart_port(CVec x) {
    ECL_CHECK(mode_ == Mode::async || begun_ || round_ == 0);
    first_round_ = round_;
    for (EdgeUse& edge : edges_) edge.restart(rule_);
    if (mode_ == Mode::async && steps_ == rule_.total_steps && round_ > 0) send(x);
  }
  /// From here on `observer`, which outlives this, is told what is taken and dropped (Mode::async).
  void observe(DeliveryObserver* observer) { observer_ = observer; }

  /// begin() was called for the round under way.
  bool begun() const { return begun_; }
  /// Messages are taken by begin().
  bool receives_at_start() const { return mode_ == Mode::lock_step || solver_->receives_at_start(); }
  /// Messages are taken within a round's last step.
  bool receives_before_last_step() const { return mode_ == Mode::async && solver_->receives_before_last_step(); }

  /// The next step takes messages.
  bool takes_messages() const {
    return exchanging() || (!begun_ && receives_at_start()) || (ends_round() && receives_before_last_step());
  }

  /// What this node knows of its neighbour at an edge.
  struct Heard {
    bool receives;          ///< false: nothing comes on this edge, or its neighbour is gone
    std::uint64_t step;     ///< the sender's, when it posted what came last; 0: nothing came yet
    std::uint64_t refused;  ///< messages that held an infinity or a NaN
    MessageAges ages;
  };
  Heard heard(int e) const { return {edges_[e].receives, edges_[e].heard.step, edges_[e].refused, edges_[e].ages}; }

  std::uint64_t steps() const { return steps_; }
  const P& port() const { return port_; }
  P& port() { return port_; }
  const Staleness& staleness() const { return staleness_; }
  /// Since the start of the run, over all its ports.
  Traffic traffic() const {
    Traffic all = before_;
    return all += port_.traffic();
  }
  /// Messages that held an infinity or a NaN; they were not applied.
  std::uint64_t messages_refused() const {
    std::uint64_t all = 0;
    for (const EdgeUse& edge : edges_) all += edge.refused;
    return all;
  }

 private:
  bool has_news(const EdgeUse& edge) const { return has_news(edge, edge.taken + 1); }
  bool has_news(const EdgeUse& edge, Stamp number) const {
    return edge.receives && port_.arrived(static_cast<int>(&edge - edges_.data())) >= number;
  }
  int edge_count() const { return static_cast<int>(edges_.size()); }

  /// The exchanges that are left, with what the neighbours have said: nobody has waited for more.
  void catch_up(Vec x) {
    while (exchanging()) exchange(x);
  }

  /// Hands the solver what arrived; returns how many messages that were.
  int receive(Taking when) {
    if (mode_ == Mode::lock_step && round_ == first_round_) return 0;
    int taken = 0;
    for (int e = 0; e < edge_count(); ++e) {
      if (!edges_[e].receives) continue;
      // In lock step: call begin() only when ready().
      const Stamp number = round_ - first_round_;
      ECL_CHECK(mode_ == Mode::async || port_.arrived(e) >= number);
      const Arrival arrival = mode_ == Mode::async ? port_.take(e) : port_.take(e, number);
      if (!arrival) continue;
      ++taken;
      if (observer_) observer_->took(e, arrival.number);
      edges_[e].hear(arrival, rule_);
      if (settled_ == 0) {
        const std::uint64_t age = steps_ - std::min(steps_, edges_[e].heard.step);
        staleness_.add(age);
        edges_[e].ages.add(age);
      }
      if (all_finite(arrival.payload))
        solver_->receive(e, arrival.payload);
      else
        ++edges_[e].refused;
    }
    if (observer_ && (taken > 0 || when != Taking::serve)) observer_->received(steps_, when);
    return taken;
  }

  void end_round(Vec x, double step_size) {
    solver_->end_round(x, std::exchange(local_, 0), step_size);
    begun_ = false;
    ++round_;
    if (solver_->replies()) return;
    if (step_size > 0 && solver_->message_size() > 0) left_ = rule_.exchanges - 1;
    send(x);
  }

  CVec direction(CVec x, CVec gradient) {
    const double momentum = solver_->own_momentum() ? 0 : rule_.momentum;
    if (momentum == 0 && rule_.weight_decay == 0) return gradient;
    velocity_.resize(x.size());
    rule_.average(momentum, gradient, x, velocity_);
    return velocity_;
  }

  void send(CVec x) {
    for (int e = 0; e < edge_count(); ++e) {
      if (!edges_[e].sends) continue;
      solver_->send(e, x, port_.outbox(e));
      port_.post(e, SentAt{ended_ ? rule_.total_steps : steps_, left_}.stamp());
    }
  }

  P port_;
  std::unique_ptr<Solver> solver_;
  StepRule rule_;
  Mode mode_;
  std::vector<EdgeUse> edges_;
  Floats velocity_;
  std::uint64_t steps_ = 0;
  Stamp round_ = 0;        ///< rounds done
  Stamp first_round_ = 0;  ///< the port is new since; from every edge round k needs its message k - first_round_
  int local_ = 0;          ///< steps of the round under way
  int left_ = 0;           ///< exchanges of the finished round that are to be made
  std::uint64_t settled_ = 0;
  bool begun_ = false;  ///< begin() was called for the round under way
  bool ended_ = false;  ///< end() was called
  Staleness staleness_;
  Traffic before_;  ///< of a port before this one
  DeliveryObserver* observer_ = nullptr;
};

}  // namespace ecl
