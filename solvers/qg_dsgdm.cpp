#include <algorithm>

#include "ecl/base/check.hpp"
#include "ecl/base/floats.hpp"
#include "ecl/contracts/solver.hpp"
#include "solvers/mixing.hpp"

/// Quasi-global momentum: gossip whose momentum is that of the mixed model, not of the node's own gradients.
///
///     local step   x_i <- x_i - mu ( g_i + beta m_i )                  K times
///     message      x_i
///     next round   x_i <- sum_j W_ij x_j                               (x_j: the newest model that arrived)
///                  m_i <- beta m_i + (1 - beta) ( x_i at the last round's start - x_i ) / ( sum of its K mu )
///
/// R exchanges a round: W^R in place of W, or what `gossip` makes of it (gossip.hpp); m_i is updated once, after them.
///
/// Symbols: m_i the quasi-global momentum, in units of gradient, 0 at the start and fixed within a round; W Metropolis
/// weights. What a node would go on doing is thus what the neighbourhood has done, which points past the differences
/// between shards while the models are on their way. At rest m = 0, so with full gradients and K = 1 it rests where
/// dpsgd does: biased by mu, K, the heterogeneity and 1 / spectral gap. As with any heavy ball, the way per gradient is
/// mu / (1 - beta): mu is the --lr of a run with --momentum beta.
///
/// Usual ranges: beta 0.9. Source: Lin, Karimireddy, Stich and Jaggi, ICML 2021 (arXiv 2102.04761).
namespace ecl {
namespace {

class QuasiGlobalMomentum final : public Solver {
 public:
  QuasiGlobalMomentum(const SolverSetup& setup, Params& params)
      : beta_(static_cast<float>(params.number("beta", 0.9, 0, 0.999, "momentum"))),
        mixing_(setup, 1, Gossip(setup, params)),
        start_(setup.initial.begin(), setup.initial.end()),
        momentum_(setup.initial.size(), 0.0f) {
    if (setup.momentum != 0) throw Error("solver qg_dsgdm has a momentum of its own (beta); leave momentum at 0");
  }

  std::size_t message_size() const override { return mixing_.message_size(); }
  Delivery delivery() const override { return Delivery::newest_wins; }
  bool exchanges_again() const override { return true; }
  void receive(int e, CVec message) override { mixing_.receive(e, message); }

  void exchange(Vec x) override { mixing_.mix_news(x); }

  void combine(Vec x) override {
    mixing_.mix(x);
    const float rate = way_ > 0 ? (1 - beta_) / static_cast<float>(way_) : 0;
    way_ = 0;
    for (std::size_t d = 0; d < x.size(); ++d) {
      momentum_[d] = beta_ * momentum_[d] + rate * (start_[d] - x[d]);
      start_[d] = x[d];
    }
  }

  void descend(Vec x, CVec direction, double step_size) override {
    const float mu = static_cast<float>(step_size);
    for (std::size_t d = 0; d < x.size(); ++d) x[d] -= mu * (direction[d] + beta_ * momentum_[d]);
    way_ += step_size;
  }

  void end_round(Vec, int, double step_size) override { mixing_.restart(step_size); }
  void send(int, CVec x, Vec message) override { std::copy(x.begin(), x.end(), message.begin()); }
  void drop(int e) override { mixing_.drop(e); }
  void archive(Archive& archive) override { archive(mixing_, start_, momentum_, way_); }

 private:
  float beta_;
  Mixing mixing_;
  Floats start_;     ///< the model at the round's start
  Floats momentum_;  ///< m_i
  double way_ = 0;   ///< sum of the round's step sizes
};

}  // namespace

std::unique_ptr<Solver> make_qg_dsgdm(const SolverSetup& setup, Params& params) {
  return std::make_unique<QuasiGlobalMomentum>(setup, params);
}

}  // namespace ecl
