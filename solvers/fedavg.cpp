#include "ecl/contracts/solver.hpp"
#include "solvers/sgd_step.hpp"
#include "solvers/star.hpp"

/// Federated averaging with all clients in every round.
///
///     client       K times x_i <- x_i - mu g_i                message: x_i
///     server       x <- 1/N sum_i x_i, and x_i <- x           message: x
///
/// The paper weighs models by n_i / n; here the gradients carry that weight (N n_i / n), so the mean is a plain one.
/// For K = 1, and shards of equal size, that is the same; else a large shard drifts farther than there, and a small one
/// less. K = 1 is SGD on all data. With K > 1 and shards that differ, clients drift towards their own minima, and the
/// fixed point is not the minimiser of the sum.
///
/// Usual ranges: mu as for SGD, K 5 .. 50. Source: McMahan et al., AISTATS 2017 (arXiv 1602.05629).
namespace ecl {
namespace {

class FedAvg final : public Solver {
 public:
  explicit FedAvg(const SolverSetup& setup) : server_(setup, "fedavg") {}

  std::size_t message_size() const override { return server_.message_size(); }
  Delivery delivery() const override { return Delivery::lock_step; }
  bool replies() const override { return server_.hub(); }
  StepLengths step_lengths() const override { return StepLengths::any; }
  void receive(int, CVec message) override { server_.receive(message); }
  void combine(Vec x) override { server_.average(x, x); }
  void descend(Vec x, CVec direction, double step_size) override { sgd_step(x, direction, step_size); }
  void send(int, CVec x, Vec message) override { std::copy(x.begin(), x.end(), message.begin()); }
  void drop(int) override {}
  void archive(Archive& archive) override { archive(server_); }

 private:
  ServerAverage server_;
};

}  // namespace

std::unique_ptr<Solver> make_fedavg(const SolverSetup& setup, Params&) { return std::make_unique<FedAvg>(setup); }

}  // namespace ecl
