#include <algorithm>

#include "ecl/contracts/solver.hpp"
#include "solvers/gradient_mean.hpp"
#include "solvers/mixing.hpp"

/// Gradient tracking (DSGT, GNSD, GT-DSGD): every node follows an estimate of the mean gradient instead of its own.
///
///     once per round   x_i <- sum_j W_ij x_j          (Metropolis weights, W_ii included)
///                      y_i <- sum_j W_ij y_j + g_i - g_i(last round)
///                      x_i <- x_i - mu y_i
///     message          x_i, y_i
///     start            y_i = 0, g_i(last round) = 0
///
/// Symbols: y_i tracker, g_i the mean of the round's K gradients, all taken at the mixed x_i. In terms of the model
/// after the step this is x <- W (x - mu y), the combine-after-adapt form. Since W is doubly stochastic, the sum over
/// all nodes of y_i is that of g_i after every round: so at rest, where the y_i agree, the sum of the gradients is 0
/// and the optimum is reached at a constant step size, however the shards differ.
///
/// That sum is conserved by history alone. A message lost or applied twice takes its share of it away for good, and so
/// does a node that leaves: lock step only. `rfast` is the same method on running sums.
///
/// Usual ranges: mu as for SGD or below; on large sparse graphs mu has to shrink with the spectral gap.
///
/// Sources: Di Lorenzo and Scutari 2016 (NEXT); Pu and Nedic 2020 (arXiv 1805.11454, DSGT); Lu et al. 2019 (GNSD); Xin,
/// Khan and Kar 2021 (GT-DSGD).
namespace ecl {
namespace {

class GradientTracking final : public Solver {
 public:
  explicit GradientTracking(const SolverSetup& setup)
      : mixing_(setup, 2),
        gradient_(setup),
        tracker_(setup.initial.size(), 0.0f),
        last_gradient_(setup.initial.size(), 0.0f) {}

  std::size_t message_size() const override { return mixing_.message_size(); }
  Delivery delivery() const override { return Delivery::lock_step; }
  bool exchanges_again() const override { return true; }
  void receive(int e, CVec message) override { mixing_.receive(e, message); }

  /// R times a round: W^R in place of W.
  void combine(Vec x) override {
    mixing_.mix(x, 0);
    mixing_.mix(tracker_, 1);
  }

  void descend(Vec, CVec direction, double) override { gradient_.add(direction); }

  void end_round(Vec x, int, double step_size) override {
    const float mu = static_cast<float>(step_size);
    const CVec g = gradient_.take();
    for (std::size_t d = 0; d < x.size(); ++d) {
      tracker_[d] += g[d] - last_gradient_[d];
      x[d] -= mu * tracker_[d];
    }
    std::copy(g.begin(), g.end(), last_gradient_.begin());
  }

  void send(int, CVec x, Vec message) override {
    std::copy(x.begin(), x.end(), message.begin());
    std::copy(tracker_.begin(), tracker_.end(), message.begin() + x.size());
  }

  void drop(int e) override { mixing_.drop(e); }
  void archive(Archive& archive) override { archive(mixing_, gradient_, tracker_, last_gradient_); }

 private:
  Mixing mixing_;
  GradientMean gradient_;
  Floats tracker_;        ///< y_i
  Floats last_gradient_;  ///< g_i of the round before
};

}  // namespace

std::unique_ptr<Solver> make_gradient_tracking(const SolverSetup& setup, Params&) {
  return std::make_unique<GradientTracking>(setup);
}

}  // namespace ecl
