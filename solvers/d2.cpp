#include <algorithm>

#include "ecl/contracts/solver.hpp"
#include "solvers/corrected_gossip.hpp"

/// D2: decentralised training over decentralised data, gossip that is exact on unlike shards.
///
///     x_i^{r+1} = sum_j W_ij ( 2 x_j^r - x_j^{r-1} - mu (g_j^r - g_j^{r-1}) ),    x_i^1 = sum_j W_ij ( x_j^0 - mu
///     g_j^0 )
///
/// is built as the same recursion with the history in one vector, c^0 = 0:
///
///     step and message   y_i = x_i - mu (g_i + c_i)
///     next round         x_i <- sum_j W_ij y_j,    c_i <- c_i + ( y_i - sum_j W_ij y_j ) / mu
///     R exchanges        W^R in place of W, or what `gossip` makes of it (gossip.hpp)
///
/// Symbols: g_i mean of the round's K gradients at x_i (the method knows no local steps), W Metropolis weights.
///
/// It needs the smallest eigenvalue of W above -1/3. With Metropolis weights it is that on `chain`, `star`, `complete`,
/// `double_ring` and rings of odd size. On a ring of even size it is -1/3 exactly: the mode in which neighbours
/// alternate is damped by the curvature of the losses alone, which is enough for convex ones. Below -1/3, where D2
/// diverges, are `hypercube` from 8 nodes, most sizes of `torus`, and `tree` and `exponential` of 64 nodes and more.
/// There use `extra`, or `led` with K = 1, which is the paper's remedy: (I + W) / 2 in the place of W; or an even
/// number of exchanges, as W^R then has no eigenvalue below 0. That is so for gossip=plain alone: the others'
/// eigenvalues have both signs, and are above -1/3 only once there are exchanges enough (on a ring of 8 `fast` from R =
/// 2, `chebyshev` from R = 3; on one of 64 with R = 16 neither).
///
/// Usual ranges: mu as for SGD. Source: Tang, Lian, Yan, Zhang and Liu, ICML 2018 (arXiv 1803.07068).
namespace ecl {
namespace {

class D2 final : public CorrectedGossip {
 public:
  D2(const SolverSetup& setup, Params& params) : CorrectedGossip(setup, params, 1) {}

  void combine(Vec x) override { corrections_.mix(x); }

  void end_round(Vec x, int, double step_size) override {
    const float mu = static_cast<float>(step_size);
    const CVec g = gradient_.take(), c = corrections_.sum();
    for (std::size_t d = 0; d < x.size(); ++d) x[d] -= mu * (g[d] + c[d]);
    corrections_.restart(step_size);
  }

  void send(int, CVec x, Vec message) override { std::copy(x.begin(), x.end(), message.begin()); }
};

}  // namespace

std::unique_ptr<Solver> make_d2(const SolverSetup& setup, Params& params) {
  return std::make_unique<D2>(setup, params);
}

}  // namespace ecl
