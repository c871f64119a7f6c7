#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ecl/contracts/solver.hpp"

namespace ecl {

/// A solver under Adam, or with its corrected gradients clipped (SolverSetup::adam, clip_norm). At each node
///
///     clipping     g <- a ( g + c ) - c,  a = min( 1, clip_norm / |g + c| );  c: what the solver adds to a gradient
///     moments      v <- beta2 v + (1 - beta2) g^2;  m <- beta1 m + (1 - beta1) g;  both over 1 - beta^t, as ever
///     lengths      P = 1 / ( sqrt(v) + eps )
///     step         x <- x - mu P ( m + decay x / P + c )
///
/// Why it is as exact as the solver is with plain steps: at rest the whole bracket is 0 whatever P is, so that the
/// corrections, which sum to 0 over the nodes, balance the gradients. P of the gradient alone, with c outside, would
/// solve sum_i P_i grad f_i = 0. Momentum is of the gradient alone, as with plain steps: of g + c it diverges in
/// solvers with fast corrections. Clipping shortens g + c, which at rest is 0: that of g alone would be at work at rest
/// on shards that are unlike.
///
/// AdamW's decay stands in the bracket, too, as a gradient decay x / P. In the step P cancels: x <- x - mu decay x, as
/// published. At rest sum_i grad f_i(x) + decay (sum_i 1 / P_i) x = 0, the same x on all nodes.
///
/// Corrections are sized by mu: one exchange carries what a step of mu times the gradient makes. With steps that are P
/// times as long they would be P times too large. So a solver of StepLengths::bounded runs in coordinates u = x / S, in
/// which gradients are alike in size: S^2 = 1 / ( sqrt(v_0) + ...), v_0 the mean over all nodes of g^2 at the first
/// model (step_scale). There P is P / S^2, and at most 1: lengths fall where gradients have grown since, and where they
/// have shrunk they stay what they were. S are powers of two: x is the same to the bit when it comes back.
///
/// `make` makes the solver itself. Throws Error, by `name`, if its steps are of one length.
std::unique_ptr<Solver> with_adaptive_steps(const std::string& name, const SolverSetup& setup,
                                            const std::function<std::unique_ptr<Solver>(const SolverSetup&)>& make);

}  // namespace ecl
