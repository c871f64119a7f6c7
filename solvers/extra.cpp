#include <algorithm>

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
///     R exchanges        W^R in place of W, or what `gossip` makes of it (gossip.hpp): W~ = (I + W^R) / 2. x_i stays
///                        meanwhile; a copy is averaged and sent. (W~^R for W~ would do as well, but 2 W~^R - I, which
///                        then stands for W, comes near -1, and mu would have to shrink with R.)
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
  Extra(const SolverSetup& setup, Params& params)
      : CorrectedGossip(setup, params, 0.5), mixed_(setup.initial.begin(), setup.initial.end()) {}

  void combine(Vec) override { corrections_.mix(mixed_); }

  void end_round(Vec x, int, double step_size) override {
    const float mu = static_cast<float>(step_size);
    const CVec g = gradient_.take(), c = corrections_.sum();
    for (std::size_t d = 0; d < x.size(); ++d) x[d] -= (x[d] - mixed_[d]) / 2 + mu * (g[d] + c[d]);
    std::copy(x.begin(), x.end(), mixed_.begin());
    corrections_.restart(step_size);
  }

  void send(int, CVec, Vec message) override { std::copy(mixed_.begin(), mixed_.end(), message.begin()); }

  void archive(Archive& archive) override {
    CorrectedGossip::archive(archive);
    archive(mixed_);
  }

 private:
  Floats mixed_;  ///< sum_j W_ij x_j
};

}  // namespace

std::unique_ptr<Solver> make_extra(const SolverSetup& setup, Params& params) {
  return std::make_unique<Extra>(setup, params);
}

}  // namespace ecl
