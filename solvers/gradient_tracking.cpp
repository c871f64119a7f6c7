#include "solvers/tracked_gossip.hpp"

/// Gradient tracking (DSGT, GNSD, GT-DSGD): every node follows an estimate of the mean gradient instead of its own.
///
///     once per round   x_i <- sum_j W_ij x_j          (Metropolis weights, W_ii included)
///                      y_i <- sum_j W_ij y_j + g_i - g_i(last round)
///                      x_i <- x_i - mu y_i
///     message          x_i, y_i
///     start            y_i = 0, g_i(last round) = 0
///     R exchanges      W^R in place of W, or what `gossip` makes of it (gossip.hpp)
///
/// Symbols: y_i tracker, g_i the mean of the round's K gradients, all taken at the mixed x_i. In terms of the model
/// after the step this is x <- W (x - mu y), the combine-after-adapt form. Since W is doubly stochastic, the sum over
/// all nodes of y_i is that of g_i after every round: so at rest, where the y_i agree, the sum of the gradients is 0
/// and the optimum is reached at a constant step size, however the shards differ.
///
/// That sum is conserved by history alone. A message lost or applied twice takes its share of it away for good, and so
/// does a node that leaves: lock step only. `rfast` is the same method on running sums.
///
/// Usual ranges: mu as for SGD or below; on large sparse graphs mu has to shrink with the spectral gap.
///
/// Sources: Di Lorenzo and Scutari 2016 (NEXT); Pu and Nedic 2020 (arXiv 1805.11454, DSGT); Lu et al. 2019 (GNSD); Xin,
/// Khan and Kar 2021 (GT-DSGD).
namespace ecl {

std::unique_ptr<Solver> make_gradient_tracking(const SolverSetup& setup, Params& params) {
  return std::make_unique<TrackedGossip>(setup, Gossip(setup, params));
}

}  // namespace ecl
