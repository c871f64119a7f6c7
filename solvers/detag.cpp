#include "solvers/tracked_gossip.hpp"

/// DeTAG: gradient tracking whose averaging is accelerated gossip, R exchanges after each round's K gradients.
///
///     round            x_i <- FG_R(x - mu y)_i
///                      y_i <- FG_R(y)_i + g_i - g_i(last round)
///     message          R times, what FG has made of x_i - mu y_i and of y_i so far
///     start            y_i = 0, g_i(last round) = 0
///
/// Symbols: y_i tracker, g_i the mean of the round's K gradients, all taken at x_i (so K is the paper's larger batch),
/// FG_R R exchanges of fast gossip (gossip.hpp). As FG keeps sums over the nodes, it is as exact as
/// `gradient_tracking`, and is that with gossip=fast: with R = 1 the two are one. R of order 1 / sqrt(1 - s), s the
/// second singular value of W, is enough for a round to be nearly the exact mean, where W^R takes R of order 1 / (1 -
/// s).
///
/// Lock step only. Usual ranges: mu as for SGD, R 2 .. 16; where that is few for the graph, gossip=chebyshev.
///
/// Source: Lu and De Sa, Optimal complexity in decentralized training, ICML 2021 (arXiv 2006.08085).
namespace ecl {

std::unique_ptr<Solver> make_detag(const SolverSetup& setup, Params& params) {
  return std::make_unique<TrackedGossip>(setup, Gossip(setup, params, "fast"));
}

}  // namespace ecl
