#include "ecl/contracts/solver.hpp"
#include "solvers/sgd_step.hpp"
#include "solvers/star.hpp"

/// FedAsync: a server that mixes in each client's model as it comes, old ones with less weight.
///
///     client       x_i <- x if a new x has come, else goes on;  K times x_i <- x_i - mu g_i      message: x_i, tau
///     server       x <- (1 - a_t) x + a_t x_i,   a_t = a (t - tau + 1)^-b,   t <- t + 1           message: x, t
///
/// t counts the server's changes, tau is the t that the client last started from. The server serves when a round of its
/// host begins: first the clients' models in the order of their numbers, then its own client's, then it answers all.
/// Nobody waits. A lost or overwritten model costs only the work in it.
///
/// Biased: fast clients are mixed in more often, and at a constant step size the model goes on following the last
/// comers. In lock step with K = 1 it rests where the mean of the gradients vanishes that is weighted as the mixing
/// leaves it: the last client of a round counts most.
///
/// Usual ranges: a 0.1 .. 0.9, b 0 .. 1. Source: Xie, Koyejo and Gupta 2019 (arXiv 1903.03934), polynomial staleness.
namespace ecl {
namespace {

class FedAsync final : public Solver {
 public:
  FedAsync(const SolverSetup& setup, Params& params)
      : mixing_(static_cast<float>(params.number("a", 0.6, 1e-6, 1, "weight of a fresh client's model"))),
        server_(setup, "fedasync", params.number("b", 0.5, 0, 10, "exponent: how fast old models lose weight")) {}

  std::size_t message_size() const override { return server_.message_size(); }
  Delivery delivery() const override { return Delivery::newest_wins; }
  bool replies() const override { return server_.hub(); }

  void receive(int, CVec message) override {
    server_.hub() ? mix(message, server_.tau(message)) : server_.keep(message);
  }

  void combine(Vec x) override {
    if (server_.hub() && worked_) mix(x, server_.adopted());
    worked_ = false;
    server_.adopt(x);
  }

  void descend(Vec x, CVec direction, double step_size) override {
    sgd_step(x, direction, step_size);
    worked_ = true;
  }

  void send(int, CVec x, Vec message) override {
    std::copy(x.begin(), x.end(), message.begin());
    server_.stamp(message);
  }
  void drop(int) override {}
  void archive(Archive& archive) override { archive(server_, worked_); }

 private:
  void mix(CVec theirs, std::uint32_t tau) {
    const float a = mixing_ * server_.discount(tau);
    const Vec x = server_.model();
    for (std::size_t d = 0; d < x.size(); ++d) x[d] += a * (theirs[d] - x[d]);
    server_.advance();
  }

  float mixing_;
  ServerModel server_;
  bool worked_ = false;  ///< the own client made steps since the last round began
};

}  // namespace

std::unique_ptr<Solver> make_fedasync(const SolverSetup& setup, Params& params) {
  return std::make_unique<FedAsync>(setup, params);
}

}  // namespace ecl
