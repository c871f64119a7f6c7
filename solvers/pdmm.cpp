#include "solvers/proximal_splitting.hpp"

/// PDMM, the primal-dual method of multipliers, with exact local steps over the whole shard: Peaceman-Rachford
/// splitting.
///
///     local step   w_i <- argmin f_i(w) - <sum_j p_{i|j}, w> + d_i alpha/2 |w|^2
///     message      2 alpha w_i - p_{i|j},  which becomes p_{j|i}
///
/// What solver ecl does with one linearised step. One local step a round; the step size, the batch and momentum play no
/// part. For models whose local problem can be solved: quadratic, softmax. For alpha > 0 it converges where the f_i are
/// strongly convex and smooth, geometrically; asynchronously and under losses as ecl does.
///
/// Usual ranges: alpha d_i about 3 sqrt(m L) for f_i between m- and L-curved; 0.05 .. 1 for softmax regression on
/// standardised features. Sources: Zhang and Heusdens 2018 (arXiv 1702.00841); Sherson, Heusdens and Kleijn 2019 (arXiv
/// 1706.02654).
namespace ecl {

std::unique_ptr<Solver> make_pdmm(const SolverSetup& setup, Params& params) {
  return ProximalSplitting::make(setup, params, "pdmm", 1.0);
}

}  // namespace ecl
