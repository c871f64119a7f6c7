#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "ecl/contracts/solver.hpp"
#include "ecl/node/option_style.hpp"

namespace ecl {

/// How the learning rate falls over a run: `constant`, `cosine` (to 0, half a period; Loshchilov and Hutter 2017),
/// `linear:FROM` (to 0, once the fraction FROM of the steps is done) or `step:AT,FACTOR` (times FACTOR at AT).
class Schedule {
 public:
  Schedule() = default;
  /// Throws Error.
  static Schedule parse(std::string_view text);
  /// Multiplier of the learning rate at `progress` in 0 .. 1.
  double factor(double progress) const;

 private:
  enum class Shape { constant, cosine, linear, step };
  Shape shape_ = Shape::constant;
  double at_ = 0, drop_ = 1;
};

/// What turns a gradient into a local step; the same for every solver, so that comparisons are fair.
///
/// Momentum is heavy ball as users know it, v <- beta v + g, x <- x - lr v, written as a running average of gradients
/// with the effective step lr / (1 - beta). The average is taken of the gradient alone and carried across exchanges;
/// the solver's corrections stay outside: in this form the consensus fixed point is exact. Solvers whose round is one
/// step take it of the round's mean gradient, once a round (Solver::own_momentum).
struct StepRule {
  double learning_rate = 0.05;
  double momentum = 0;      ///< beta, 0 <= beta < 1
  double weight_decay = 0;  ///< lambda of lambda/2 |x|^2, added to every node's loss
  int local_steps = 8;      ///< K: steps of a round
  int exchanges = 1;        ///< R: exchanges at its end, at first
  Schedule schedule;
  std::uint64_t total_steps = 0;  ///< of this node; the schedule's 100 %
  bool overlap = false;           ///< a round's exchanges but the first may come while the next gradients are computed

  /// mu before any decay.
  double initial_step_size() const { return learning_rate / (1 - momentum); }
  /// mu of step k (from 0).
  double step_size(std::uint64_t k) const;
  /// velocity <- beta velocity + (1 - beta) (gradient + lambda x). Compiled once: whatever the port, the same bits.
  void average(double beta, CVec gradient, CVec x, Vec velocity) const;
};

/// `sgd` (none), `adam` or `adamw`, with `beta1`, `beta2`, `eps`: "adam:beta2=0.99", beside the engine's momentum and
/// the weight decay. Throws Error.
std::optional<AdamRule> parse_optimizer(std::string_view text, double momentum, double weight_decay, OptionStyle style);
/// What of the weight decay is lambda/2 |x|^2 in each node's loss: none, where it is AdamW's.
double loss_decay(std::string_view optimizer, double weight_decay);
constexpr double kAdamRate = 0.001;  ///< the learning rate, where none is given

/// SolverSetup::scale, from each coordinate's mean square of the first model's gradients over batches and nodes: powers
/// of two near S in S^2 = 1 / (root of that + 0.03 times the root of its mean over the coordinates). Without the second
/// summand coordinates whose gradient happens to be 0 at first would get steps of any length.
std::vector<float> step_scale(const std::vector<double>& mean_squares);

}  // namespace ecl
