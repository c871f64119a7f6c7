#include <algorithm>

#include "ecl/contracts/solver.hpp"
#include "solvers/edge_corrections.hpp"

/// Local exact diffusion: gossip with local steps that is exact on unlike shards. W~ = (I + W) / 2.
///
///     local step   phi_i <- phi_i - mu g_i(phi_i) - beta y_i       K times, from phi_i = x_i
///     message      phi_i
///     next round   x_i <- sum_j W~_ij phi_j,    y_i <- y_i + phi_i - x_i        y_i = 0 at the start
///     R exchanges  W~^R in place of W~; with another `gossip` than plain (gossip.hpp) (I + P(W)) / 2, P what it makes
///                  of W in R exchanges
///
/// y is kept as c = beta y / mu, in units of gradient, so that a falling learning rate leaves it right. Symbols: W
/// Metropolis weights; beta = beta_scale / K. With beta_scale = 1, K = 1 is exact diffusion (NIDS):
///     psi = x - mu g,  x <- W~ ( psi - psi_last + x );
/// and d2 is this with W for W~. W~ has no negative eigenvalues, which makes beta K < 2 stable on every graph. P has,
/// so it is halved in the same way, at the end of the R exchanges.
///
/// Usual ranges: mu as for SGD, K 2 .. 32, beta_scale 0.5 .. 1.
/// Sources: Alghunaim, IEEE Trans. Automatic Control 2024 (arXiv 2302.00620); exact diffusion: Yuan, Ying, Zhao and
/// Sayed, IEEE Trans. Signal Processing 2019 (arXiv 1702.05122); NIDS: Li, Shi and Yan 2019 (arXiv 1704.07807).
namespace ecl {
namespace {

double beta(const SolverSetup& setup, Params& params) {
  return params.number("beta_scale", 1.0, 1e-6, 2.0, "gain of the correction: beta is this / K") / setup.local_steps;
}

class LocalExactDiffusion final : public Solver {
 public:
  LocalExactDiffusion(const SolverSetup& setup, double beta, const Gossip& gossip)
      : corrections_(setup, gossip.plain() ? 0.5 : 1, gossip.plain() ? beta : beta / 2, gossip) {
    if (!gossip.plain()) end_.assign(setup.initial.begin(), setup.initial.end());
  }

  std::size_t message_size() const override { return corrections_.message_size(); }
  Delivery delivery() const override { return Delivery::lock_step; }
  bool exchanges_again() const override { return true; }
  StepLengths step_lengths() const override { return StepLengths::bounded; }
  void receive(int e, CVec message) override { corrections_.receive(e, message); }

  void exchange(Vec x) override { corrections_.mix(x); }
  void combine(Vec x) override {
    corrections_.mix(x);
    for (std::size_t d = 0; d < end_.size(); ++d) x[d] = (x[d] + end_[d]) / 2;
  }

  void descend(Vec x, CVec direction, double step_size) override {
    const float mu = static_cast<float>(step_size);
    const CVec c = corrections_.sum();
    for (std::size_t d = 0; d < x.size(); ++d) x[d] -= mu * (direction[d] + c[d]);
  }

  void end_round(Vec x, int, double step_size) override {
    std::copy_n(x.begin(), end_.size(), end_.begin());
    corrections_.restart(step_size);
  }

  void send(int, CVec x, Vec message) override { std::copy(x.begin(), x.end(), message.begin()); }
  void drop(int e) override { corrections_.drop(e); }
  void archive(Archive& archive) override { archive(corrections_, end_); }

 private:
  EdgeCorrections corrections_;
  Floats end_;  ///< phi_i at the round's end, if half of it stays: P in place of W~
};

}  // namespace

std::unique_ptr<Solver> make_led(const SolverSetup& setup, Params& params) {
  const double gain = beta(setup, params);
  return std::make_unique<LocalExactDiffusion>(setup, gain, Gossip(setup, params));
}

}  // namespace ecl
