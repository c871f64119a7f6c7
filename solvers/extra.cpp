#include <algorithm>

#include "ecl/contracts/solver.hpp"
#include "solvers/edge_corrections.hpp"
#include "solvers/gradient_mean.hpp"

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

class Extra final : public Solver {
 public:
  explicit Extra(const SolverSetup& setup) : corrections_(setup, 0.5), gradient_(setup) {}

  std::size_t message_size() const override { return corrections_.message_size(); }
  Delivery delivery() const override { return Delivery::lock_step; }
  void receive(int e, CVec message) override { corrections_.receive(e, message); }
  void combine(Vec x) override { corrections_.update(x); }

  void descend(Vec, CVec direction, double) override { gradient_.add(direction); }

  void end_round(Vec x, int, double step_size) override {
    const float mu = static_cast<float>(step_size);
    const CVec g = gradient_.take(), c = corrections_.sum(), pull = corrections_.pull();
    for (std::size_t d = 0; d < x.size(); ++d) x[d] -= pull[d] + mu * (g[d] + c[d]);
  }

  void send(int, CVec x, Vec message) override { std::copy(x.begin(), x.end(), message.begin()); }
  void drop(int e) override { corrections_.drop(e); }
  void archive(Archive& archive) override { archive(corrections_, gradient_); }

 private:
  EdgeCorrections corrections_;
  GradientMean gradient_;
};

}  // namespace

std::unique_ptr<Solver> make_extra(const SolverSetup& setup, Params&) { return std::make_unique<Extra>(setup); }

}  // namespace ecl
