#include "solvers/proximal_splitting.hpp"

/// Consensus ADMM on the edges, with exact local steps over the whole shard: Douglas-Rachford splitting.
///
///     local step   w_i <- argmin f_i(w) - <sum_j p_{i|j}, w> + d_i alpha/2 |w|^2
///     message      s_{i->j} <- 1/2 s_{i->j} + 1/2 ( 2 alpha w_i - p_{i|j} ),  which becomes p_{j|i}
///
/// PDMM (pdmm.cpp) with theta = 1/2: it converges for every closed convex f_i and alpha > 0, mostly in more rounds.
///
/// Usual ranges: as for pdmm. Sources: Bastianello, Carli, Schenato and Todescato 2021 (arXiv 1901.09252), who also
/// show this form to stand losses; Boyd et al. 2011 (ADMM).
namespace ecl {

std::unique_ptr<Solver> make_admm(const SolverSetup& setup, Params& params) {
  return ProximalSplitting::make(setup, params, "admm", 0.5);
}

}  // namespace ecl
