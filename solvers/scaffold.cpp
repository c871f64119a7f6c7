#include "ecl/contracts/solver.hpp"
#include "solvers/star.hpp"

/// SCAFFOLD: federated averaging with control variates, which take the clients' drift out.
///
///     client       y_i <- x;  K times  y_i <- y_i - mu ( g_i - c_i + c )
///                  c_i <- c_i - c + (x - y_i) / (K mu)                     message: y_i, c_i
///     server       x <- x + eta_g ( 1/N sum_i y_i - x ),  c <- 1/N sum_i c_i   message: x, c
///
/// All clients take part in every round. Then the paper's increments, c <- c + 1/N sum_i (c_i+ - c_i), are the same as
/// the means of what is sent here, and a lost message spoils c for one round instead of for good. At rest c_i = g_i(x)
/// and sum_i g_i(x) = 0: exact for every K. Two vectors each way. (x - y_i) / (K mu) stands for option II of the paper;
/// K mu is the sum of the round's step sizes.
///
/// Usual ranges: eta_g = 1, mu as for SGD. Source: Karimireddy et al., ICML 2020 (arXiv 1910.06378).
namespace ecl {
namespace {

class Scaffold final : public Solver {
 public:
  Scaffold(const SolverSetup& setup, Params& params)
      : dim_(setup.initial.size()),
        eta_(static_cast<float>(params.number("eta_g", 1.0, 1e-3, 10, "step size of the server"))),
        server_(setup, "scaffold", 2),
        anchor_(setup.initial.begin(), setup.initial.end()),
        own_variate_(dim_, 0.0f),
        state_(2 * dim_, 0.0f) {}

  std::size_t message_size() const override { return server_.message_size(); }
  Delivery delivery() const override { return Delivery::lock_step; }
  bool replies() const override { return server_.hub(); }
  StepLengths step_lengths() const override { return StepLengths::bounded; }
  void receive(int, CVec message) override { server_.receive(message); }

  void combine(Vec x) override {
    if (moved_ > 0) update_own_variate(x);
    if (server_.hub()) {
      std::copy(x.begin(), x.end(), state_.begin());
      std::copy(own_variate_.begin(), own_variate_.end(), state_.begin() + dim_);
      server_.average(state_, state_);
      for (std::size_t d = 0; eta_ != 1 && d < dim_; ++d) state_[d] = anchor_[d] + eta_ * (state_[d] - anchor_[d]);
    } else {
      std::copy(x.begin(), x.end(), state_.begin());
      server_.average(state_, state_);
    }
    std::copy_n(state_.begin(), dim_, x.begin());
    std::copy_n(state_.begin(), dim_, anchor_.begin());
  }

  void descend(Vec x, CVec direction, double step_size) override {
    const float mu = static_cast<float>(step_size);
    const float* c = state_.data() + dim_;
    for (std::size_t d = 0; d < dim_; ++d) x[d] -= mu * (direction[d] - own_variate_[d] + c[d]);
    moved_ += mu;
  }

  void send(int, CVec x, Vec message) override {
    if (moved_ > 0) update_own_variate(x);
    std::copy(x.begin(), x.end(), message.begin());
    const CVec variate = server_.hub() ? CVec(state_).subspan(dim_) : CVec(own_variate_);
    std::copy(variate.begin(), variate.end(), message.begin() + static_cast<std::ptrdiff_t>(dim_));
  }
  void drop(int) override {}
  void archive(Archive& archive) override { archive(server_, anchor_, own_variate_, state_, moved_); }

 private:
  /// The end of a round, at the model y that it led to.
  void update_own_variate(CVec y) {
    const float* c = state_.data() + dim_;
    for (std::size_t d = 0; d < dim_; ++d) own_variate_[d] += (anchor_[d] - y[d]) / moved_ - c[d];
    moved_ = 0;
  }

  std::size_t dim_;
  float eta_;
  ServerAverage server_;
  Floats anchor_;       ///< the model that the round began with
  Floats own_variate_;  ///< c_i
  Floats state_;        ///< x | c
  float moved_ = 0;     ///< K mu: the round's step sizes so far
};

}  // namespace

std::unique_ptr<Solver> make_scaffold(const SolverSetup& setup, Params& params) {
  return std::make_unique<Scaffold>(setup, params);
}

}  // namespace ecl
