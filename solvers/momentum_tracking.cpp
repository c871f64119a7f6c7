#include <algorithm>

#include "ecl/base/check.hpp"
#include "ecl/contracts/solver.hpp"
#include "solvers/gradient_mean.hpp"
#include "solvers/mixing.hpp"

/// Momentum tracking: gradient tracking of the momentum, so that momentum does not amplify what shards differ in.
///
///     once per round   u_i(new) = beta u_i + g_i
///                      x_i <- sum_j W_ij x_j - mu (u_i(new) - c_i)
///                      c_i <- sum_j W_ij (c_j - u_j(new)) + u_i(new)
///     message          x_i, c_i - u_i
///     start            u_i = c_i = 0
///     R exchanges      W^R in place of W, or what `gossip` makes of it (gossip.hpp); x_i stays, a copy is averaged
///
/// Symbols: u_i momentum, c_i correction, W Metropolis weights, g_i the mean of the round's K gradients, all taken at
/// x_i before the neighbours' are mixed in, as in the paper. The c_i sum to 0 over all nodes, always. At rest u_i - c_i
/// is the same everywhere and 0, so sum_i g_i = 0 at one common model: exact, and the paper's rate does not depend on
/// how the shards differ. The paper starts c at u minus its mean over all nodes, which takes an all-reduce; 0 has the
/// right sum without one.
///
/// That sum is conserved by history alone, and a lost or repeated message changes it for good: lock step only.
///
/// Usual ranges: beta 0.9; mu is the learning rate of heavy ball, so the effective step is mu / (1 - beta): about 0.1
/// of the rate without momentum.
///
/// Source: Takezawa, Bao, Niwa, Sato and Yamada, TMLR 2023 (arXiv 2209.15505).
namespace ecl {
namespace {

class MomentumTracking final : public Solver {
 public:
  MomentumTracking(const SolverSetup& setup, Params& params)
      : beta_(static_cast<float>(params.number("beta", 0.9, 0, 0.999, "momentum"))),
        mixing_(setup, 2, Gossip(setup, params)),
        gradient_(setup),
        mixed_(setup.initial.begin(), setup.initial.end()),
        momentum_(setup.initial.size(), 0.0f),
        drift_(setup.initial.size(), 0.0f) {
    if (setup.momentum != 0)
      throw Error("solver momentum_tracking has a momentum of its own (beta); leave momentum at 0");
  }

  std::size_t message_size() const override { return mixing_.message_size(); }
  Delivery delivery() const override { return Delivery::lock_step; }
  bool own_momentum() const override { return true; }
  bool exchanges_again() const override { return true; }
  void receive(int e, CVec message) override { mixing_.receive(e, message); }

  /// The gradient is due at x itself: what the neighbours said waits for the step.
  void combine(Vec) override { mixing_.mix(mixed_, drift_); }

  void descend(Vec, CVec direction, double) override { gradient_.add(direction); }

  void end_round(Vec x, int, double step_size) override {
    const float mu = static_cast<float>(step_size);
    const CVec g = gradient_.take();
    for (std::size_t d = 0; d < x.size(); ++d) {
      const float c = drift_[d] + momentum_[d];
      momentum_[d] = beta_ * momentum_[d] + g[d];
      drift_[d] = c - momentum_[d];
      x[d] = mixed_[d] += mu * drift_[d];
    }
    mixing_.restart(step_size);
  }

  void send(int, CVec, Vec message) override {
    std::copy(mixed_.begin(), mixed_.end(), message.begin());
    std::copy(drift_.begin(), drift_.end(), message.begin() + mixed_.size());
  }

  void drop(int e) override { mixing_.drop(e); }
  void archive(Archive& archive) override { archive(mixing_, gradient_, mixed_, momentum_, drift_); }

 private:
  float beta_;
  Mixing mixing_;
  GradientMean gradient_;
  Floats mixed_;     ///< x_i, and sum_j W_ij x_j from the exchange to the step
  Floats momentum_;  ///< u_i
  Floats drift_;     ///< c_i - u_i; between exchange and step sum_j W_ij (c_j - u_j)
};

}  // namespace

std::unique_ptr<Solver> make_momentum_tracking(const SolverSetup& setup, Params& params) {
  return std::make_unique<MomentumTracking>(setup, params);
}

}  // namespace ecl
