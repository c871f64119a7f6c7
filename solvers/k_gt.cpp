#include <algorithm>

#include "ecl/contracts/solver.hpp"
#include "solvers/mixing.hpp"

/// K-GT: gradient tracking with K local steps between two exchanges.
///
///     local step       x_i <- x_i - mu (g_i + c_i)                              K times, from x_i^0 to x_i^K
///     after K steps    z_i  = (x_i^0 - x_i^K) / (K mu)                          the mean corrected gradient
///     once per round   c_i <- c_i - z_i + sum_j W_ij z_j
///                      x_i <- sum_j W_ij (x_j^0 - eta_s K mu z_j)
///     message          x_i^0 - eta_s K mu z_i, z_i
///     start            c_i = 0
///     R exchanges      W^R in place of W, or what `gossip` makes of it (gossip.hpp)
///
/// Symbols: c_i correction, W Metropolis weights, eta_s the step of the exchange. W is doubly stochastic, so the c_i
/// sum to 0 over all nodes, always; at rest the z_i agree and are 0, hence sum_i g_i = 0 at one common model: exact for
/// every K. K = 1 with eta_s = 1 is `gradient_tracking` with y_i = g_i + c_i.
///
/// That sum of corrections is conserved by history alone, and a lost or repeated message changes it for good: lock step
/// only. z_i is summed up from the steps rather than taken as the difference of two models, which would cost digits
/// when mu is small.
///
/// Usual ranges: mu as for SGD, eta_s 0.1 .. 1 (1: the exchanged model is the one that the local steps reached), K 2
/// .. 32.
///
/// Source: Liu, Lin, Koloskova and Stich, Decentralized gradient tracking with local steps, 2024 (arXiv 2301.01313).
namespace ecl {
namespace {

class KGt final : public Solver {
 public:
  KGt(const SolverSetup& setup, Params& params)
      : eta_s_(static_cast<float>(params.number("eta_s", 1.0, 1e-3, 10.0, "step of the exchange; 1: plain averaging"))),
        mixing_(setup, 2, Gossip(setup, params)),
        correction_(setup.initial.size(), 0.0f),
        progress_(setup.initial.size(), 0.0f) {}

  std::size_t message_size() const override { return mixing_.message_size(); }
  Delivery delivery() const override { return Delivery::lock_step; }
  bool exchanges_again() const override { return true; }
  /// With eta_s other than 1 the exchange goes back a part of what it takes the step to have been.
  StepLengths step_lengths() const override { return eta_s_ == 1 ? StepLengths::bounded : StepLengths::one; }
  void receive(int e, CVec message) override { mixing_.receive(e, message); }

  void exchange(Vec x) override { mixing_.mix(x, progress_); }

  void combine(Vec x) override {
    mixing_.mix(x, progress_);
    for (std::size_t d = 0; d < x.size(); ++d) correction_[d] += progress_[d];
    std::fill(progress_.begin(), progress_.end(), 0.0f);
    length_ = 0;
  }

  void descend(Vec x, CVec direction, double step_size) override {
    const float mu = static_cast<float>(step_size);
    for (std::size_t d = 0; d < x.size(); ++d) {
      const float step = mu * (direction[d] + correction_[d]);
      x[d] -= step;
      progress_[d] += step;
    }
    length_ += mu;
  }

  /// From x^K and x^0 - x^K to what is exchanged: x^0 - eta_s (x^0 - x^K) and z, which c_i gives away.
  void end_round(Vec x, int, double step_size) override {
    const float back = 1 - eta_s_, per_length = length_ > 0 ? 1 / length_ : 0;
    for (std::size_t d = 0; d < x.size(); ++d) {
      x[d] += back * progress_[d];
      progress_[d] *= per_length;
      correction_[d] -= progress_[d];
    }
    mixing_.restart(step_size);
  }

  void send(int, CVec x, Vec message) override {
    std::copy(x.begin(), x.end(), message.begin());
    std::copy(progress_.begin(), progress_.end(), message.begin() + x.size());
  }

  void drop(int e) override { mixing_.drop(e); }
  void archive(Archive& archive) override { archive(mixing_, correction_, progress_, length_); }

 private:
  float eta_s_;
  Mixing mixing_;
  Floats correction_;  ///< c_i; between step and exchange c_i - z_i
  Floats progress_;    ///< x^0 - x^k during the round, z_i from its end on, averaged by the exchanges
  float length_ = 0;   ///< sum of their mu: K mu, or what a falling learning rate makes of it
};

}  // namespace

std::unique_ptr<Solver> make_k_gt(const SolverSetup& setup, Params& params) {
  return std::make_unique<KGt>(setup, params);
}

}  // namespace ecl
