#include "ecl/contracts/solver.hpp"
#include "solvers/star.hpp"

/// FedProx: federated averaging whose clients are held near the server's model by a proximal term.
///
///     client       K times x_i <- x_i - mu ( g_i + lambda (x_i - x) )     message: x_i
///     server       x <- 1/N sum_i x_i, and x_i <- x                       message: x
///
/// x is the model that the round began with.
/// lambda (the paper's mu) trades drift against progress; 0 is fedavg, and so is K = 1. Still biased for K > 1.
///
/// Usual ranges: lambda 0.001 .. 1, with mu lambda < 1. Source: Li et al., MLSys 2020 (arXiv 1812.06127).
namespace ecl {
namespace {

class FedProx final : public Solver {
 public:
  FedProx(const SolverSetup& setup, Params& params)
      : lambda_(static_cast<float>(params.number("lambda", 0.1, 0, 1e6, "weight of the proximal term"))),
        server_(setup, "fedprox"),
        anchor_(setup.initial.begin(), setup.initial.end()) {}

  std::size_t message_size() const override { return server_.message_size(); }
  Delivery delivery() const override { return Delivery::lock_step; }
  bool replies() const override { return server_.hub(); }
  void receive(int, CVec message) override { server_.receive(message); }

  void combine(Vec x) override {
    server_.average(x, x);
    std::copy(x.begin(), x.end(), anchor_.begin());
  }

  void descend(Vec x, CVec direction, double step_size) override {
    const float mu = static_cast<float>(step_size);
    for (std::size_t d = 0; d < x.size(); ++d) x[d] -= mu * (direction[d] + lambda_ * (x[d] - anchor_[d]));
  }

  void send(int, CVec x, Vec message) override { std::copy(x.begin(), x.end(), message.begin()); }
  void drop(int) override {}
  void archive(Archive& archive) override { archive(server_, anchor_); }

 private:
  float lambda_;
  ServerAverage server_;
  Floats anchor_;  ///< the model that the round began with
};

}  // namespace

std::unique_ptr<Solver> make_fedprox(const SolverSetup& setup, Params& params) {
  return std::make_unique<FedProx>(setup, params);
}

}  // namespace ecl
