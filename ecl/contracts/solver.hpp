#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "ecl/base/archive.hpp"
#include "ecl/base/params.hpp"
#include "ecl/base/registry.hpp"
#include "ecl/base/types.hpp"
#include "ecl/contracts/graph.hpp"
#include "ecl/contracts/proximal_step.hpp"

namespace ecl {

/// Which ways of delivering messages a solver is correct under. algorithm by algorithm: solvers/README.md.
enum class Delivery {
  newest_wins,  ///< messages are absolute: lost, late, repeated or overwritten ones cost time, never the result
  cumulative,   ///< messages are running sums: the same holds, the reader subtracts what it has seen
  lock_step     ///< every message must be applied exactly once: refused in asynchronous mode
};

/// Steps of a length of its own in each coordinate: Adam (Kingma and Ba 2015), in PyTorch's form; with a decay AdamW
/// (Loshchilov and Hutter 2019).
struct AdamRule {
  std::optional<double> beta1 = {};  ///< 0.9; a solver with a momentum of its own refuses one
  double beta2 = 0.999, eps = 1e-8;
  double decay = 0;  ///< lambda
};

/// What such a rule may do to a solver's steps.
enum class StepLengths {
  one,     ///< nothing: the same mu in all coordinates
  any,     ///< what it likes
  bounded  ///< shorten them: the corrections that neighbours make are sized by mu
};

/// What a solver is told about its place in the world. Everything here is known to both ends of every edge.
struct SolverSetup {
  const Graph& graph;
  NodeId node;
  CVec initial;         ///< d floats, the same on all nodes; valid during construction only
  double step_size;     ///< effective step mu at the start: learning rate / (1 - momentum)
  int local_steps;      ///< K: descents between two exchanges; the StepRule has the same
  double momentum = 0;  ///< the engine's, of the gradient; a solver with a momentum of its own refuses a second one
  std::uint64_t seed = 1;
  /// Makes the node's exact local step, for solvers that ask for it; throws Error if the model has none. Empty where
  /// nobody knows the model.
  std::function<ProximalStep()> proximal_step = {};
  int exchanges = 1;  ///< R: exchanges between the last descent of a round and the first of the next, at first
  std::optional<AdamRule> adam = {};
  double clip_norm = 0;  ///< longest corrected gradient (L2 norm); 0: any
  /// Under Adam, for StepLengths::bounded: step_scale(), powers of two, the same on all nodes; d floats, valid during
  /// construction only. Empty: 1.
  CVec scale = {};
};

/// One node's algorithm. This is what you implement to add one; `e` numbers the node's edges, 0 .. degree-1.
///
/// The Optimizer calls, once per round: receive() for each message that arrived, combine(), K times descend(),
/// end_round(), then send() for each edge that sends; where there are R exchanges, R - 1 times receive(), exchange()
/// and send() follow. Gradients are taken at the x that combine() left, and so are evaluations. A run's last round may
/// have fewer descents. After it there are rounds without any, in which the nodes only exchange until they agree.
/// All vectors have d floats, messages message_size().
/// A solver reads no clock, does no I/O and allocates nothing in these calls (a ProximalStep may).
class Solver {
 public:
  virtual ~Solver() = default;

  virtual std::size_t message_size() const = 0;  ///< floats per message; 0: this solver does not communicate
  virtual Delivery delivery() const = 0;
  /// A server: it sends right after combine(), in answer to what it received, not at the end of a round. When its own
  /// steps are done it goes on, without descents, whenever messages come (not in lock step).
  virtual bool replies() const { return false; }
  /// Asynchronously, messages are taken just before the round's last descent, not at its start: what this solver sends
  /// then answers the newest that has come. (In lock step they are always taken at the start.)
  virtual bool receives_before_last_step() const { return false; }
  /// And at its start: where they move the model (combine), or later ones.
  virtual bool receives_at_start() const { return !receives_before_last_step(); }

  /// Whether it applies SolverSetup::momentum itself: descend() then gets gradients as they are (and their decay).
  virtual bool own_momentum() const { return false; }

  /// Whether it works on a graph with one-way edges; most need an answer on every edge.
  virtual bool directed() const { return false; }

  /// A new message on e, whole. `message` is valid during the call.
  virtual void receive(int e, CVec message) = 0;
  /// Once per round, after the receives and before the first descent.
  virtual void combine(Vec x) { static_cast<void>(x); }
  /// One local step of size `step_size` along `direction`: the gradient, or its running average under momentum.
  virtual void descend(Vec x, CVec direction, double step_size) = 0;
  /// The round's end, after `steps` descents, the last of size `step_size`. After none x becomes what the neighbours'
  /// messages alone make of it, a step of size 0: plain averaging, in most algorithms. Solvers that average in
  /// combine() have nothing to do here.
  virtual void end_round(Vec x, int steps, double step_size) {
    static_cast<void>(x), static_cast<void>(steps), static_cast<void>(step_size);
  }
  /// Whether R > 1 exchanges a round mean something to this algorithm; they are refused where not.
  virtual bool exchanges_again() const { return false; }
  /// How many it takes where nobody says.
  virtual int usual_exchanges() const { return 1; }
  /// Asynchronously a round may have another number of them than SolverSetup said: told before its last descent, for
  /// this round and those after it. At least 2 where it was at first.
  virtual void set_exchanges(int exchanges) { static_cast<void>(exchanges); }
  /// Whether exchange() leaves x alone, so that it may come while gradients are computed; then also more often than R
  /// times a round, to answer faster neighbours.
  virtual bool overlaps() const { return false; }
  /// One without a gradient, after the receives: for those who average, combine() once more.
  virtual void exchange(Vec x) { combine(x); }
  /// Whether Adam and clipping (SolverSetup) are for this solver. Where not `one`, descend() moves x by an
  /// amount that does not depend on x, along the gradient with all that the neighbours' messages add to it: at rest 0.
  virtual StepLengths step_lengths() const { return StepLengths::one; }
  /// For one that makes such steps elsewhere, too, with a momentum of its own: from here on each is `factors` times as
  /// long, d floats that outlive it and change from descend() to descend(). False: it makes them in descend() alone.
  virtual bool scale_steps(CVec factors) { return static_cast<void>(factors), false; }
  /// And what it takes off a gradient at present, d floats: at rest the gradient itself.
  virtual CVec correction() const { return {}; }
  /// Fills `message` completely.
  virtual void send(int e, CVec x, Vec message) = 0;
  /// The edge is gone for good: the node goes on as if the graph never had it.
  virtual void drop(int e) = 0;
  /// Saves or loads all that changes after construction: a solver made from the same setup, and loaded, goes on as this
  /// one would, bit for bit. Call it between the calls above, at any point of a round.
  virtual void archive(Archive& archive) = 0;
};

using SolverFactory = std::unique_ptr<Solver>(const SolverSetup&, Params&);
const Registry<SolverFactory>& solvers();

/// The solver of `choice` ("ecl" or "ecl:theta=0.5"), with further "key=value" settings; parameters checked to the
/// last. Throws Error too if the graph has one-way edges and the solver cannot use them.
std::unique_ptr<Solver> make_solver(const Choice& choice, const SolverSetup& setup,
                                    std::span<const std::string> settings = {});

}  // namespace ecl
