#include "ecl/contracts/solver.hpp"
#include "solvers/corrected_gossip.hpp"

/// EXTRA: the exact first-order algorithm, gossip with the last two iterates. W~ = (I + W) / 2.
///
///     x^{r+1} = x^r + W x^r - W~ x^{r-1} - mu (g^r - g^{r-1}),    x^1 = W x^0 - mu g^0
///
/// is built as the same recursion with the history in one vector, c^0 = 0:
///
///     next round         c_i <- c_i + ( x_i - sum_j W~_ij x_j ) / mu
///     step and message   x_i <- sum_j W~_ij x_j - mu (g_i + c_i)
///
/// Symbols: g_i mean of the round's K gradients at x_i (the method knows no local steps), W Metropolis weights. The
/// gradient is of the model before it is mixed; taken after it, the same lines are exact diffusion (`led`, K = 1).
///
/// Stable for mu < (1 + lambda_min(W)) / L, L the largest curvature: on every graph, though on a large bipartite one of
/// high degree only for small mu. Usual ranges: mu as for SGD. Source: Shi, Ling, Wu and Yin, SIAM J. Optim. 2015.
namespace ecl {
namespace {

class Extra final : public CorrectedGossip {
 public:
  explicit Extra(const SolverSetup& setup) : CorrectedGossip(setup, 0.5) {}

  void combine(Vec x) override { corrections_.update(x); }

  void end_round(Vec x, int, double step_size) override {
    const float mu = static_cast<float>(step_size);
    const CVec g = gradient_.take(), c = corrections_.sum(), pull = corrections_.pull();
    for (std::size_t d = 0; d < x.size(); ++d) x[d] -= pull[d] + mu * (g[d] + c[d]);
  }
};

}  // namespace

std::unique_ptr<Solver> make_extra(const SolverSetup& setup, Params&) { return std::make_unique<Extra>(setup); }

}  // namespace ecl
