#include "ecl/contracts/solver.hpp"
#include "solvers/sgd_step.hpp"
#include "solvers/star.hpp"

/// FedBuff: an asynchronous server that makes a step for every M updates that have come.
///
///     client       x_i <- x if a new x has come, else goes on;  z <- x_i;  K times x_i <- x_i - mu g_i
///                                                                             message: x_i - z, tau
///     server       s <- s + (t - tau + 1)^-b (x_i - z);  at the M-th:  x <- x + eta_g s / M,  t <- t + 1,  s <- 0
///                                                                             message: x, t
///
/// t counts the server's steps, tau is the t that the client last started from. The server serves when a round of its
/// host begins: the clients' updates, its own client's, then it answers all. Nobody waits. An update covers one round,
/// so that a lost or overwritten one costs the work in it and nothing is counted twice.
///
/// In lock step with M = N it is fedavg. Asynchronously fast clients count more often, and at a constant step size the
/// model goes on following the last M comers.
///
/// Usual ranges: M from a few to the number of clients, eta_g about 1, b 0.5. Source: Nguyen et al., AISTATS 2022
/// (arXiv 2106.06639).
namespace ecl {
namespace {

class FedBuff final : public Solver {
 public:
  FedBuff(const SolverSetup& setup, Params& params)
      : size_(params.integer("buffer", 0, 0, 1'000'000'000, "M: updates per step of the server; 0: as many as nodes")),
        eta_(static_cast<float>(params.number("eta_g", 1.0, 1e-6, 100, "step size of the server"))),
        server_(setup, "fedbuff", params.number("b", 0.5, 0, 10, "exponent: how fast old updates lose weight")),
        anchor_(setup.initial.begin(), setup.initial.end()),
        sum_(setup.initial.size(), 0.0f) {
    if (size_ == 0) size_ = setup.graph.size();
  }

  std::size_t message_size() const override { return server_.message_size(); }
  Delivery delivery() const override { return Delivery::newest_wins; }
  bool replies() const override { return server_.hub(); }

  void receive(int, CVec message) override {
    server_.hub() ? add(message, server_.tau(message)) : server_.keep(message);
  }

  void combine(Vec x) override {
    if (server_.hub() && worked_) {
      for (std::size_t d = 0; d < x.size(); ++d) anchor_[d] = x[d] - anchor_[d];
      add(anchor_, server_.adopted());
    }
    worked_ = false;
    server_.adopt(x);
    std::copy(x.begin(), x.end(), anchor_.begin());
  }

  void descend(Vec x, CVec direction, double step_size) override {
    sgd_step(x, direction, step_size);
    worked_ = true;
  }

  void send(int, CVec x, Vec message) override {
    for (std::size_t d = 0; d < x.size(); ++d) message[d] = server_.hub() ? x[d] : x[d] - anchor_[d];
    server_.stamp(message);
  }
  void drop(int) override {}
  void archive(Archive& archive) override { archive(server_, anchor_, sum_, count_, worked_); }

 private:
  void add(CVec update, std::uint32_t tau) {
    const float weight = server_.discount(tau);
    for (std::size_t d = 0; d < sum_.size(); ++d) sum_[d] += weight * update[d];
    if (++count_ < size_) return;
    const float step = eta_ / static_cast<float>(size_);
    const Vec x = server_.model();
    for (std::size_t d = 0; d < sum_.size(); ++d) x[d] += step * sum_[d];
    std::fill(sum_.begin(), sum_.end(), 0.0f);
    count_ = 0;
    server_.advance();
  }

  std::int64_t size_;
  float eta_;
  ServerModel server_;
  Floats anchor_;  ///< z: the model that the round began with
  Floats sum_;     ///< s; the hub's
  std::int64_t count_ = 0;
  bool worked_ = false;  ///< the own client made steps since the last round began
};

}  // namespace

std::unique_ptr<Solver> make_fedbuff(const SolverSetup& setup, Params& params) {
  return std::make_unique<FedBuff>(setup, params);
}

}  // namespace ecl
