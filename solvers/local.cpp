#include "ecl/contracts/solver.hpp"
#include "solvers/sgd_step.hpp"

/// Plain SGD on the node's own shard, no communication: what training on the device alone gives.
///
///     x_i <- x_i - mu g_i
///
/// On one node that holds all the data it is central training, the reference of every comparison.
namespace ecl {
namespace {

class Local final : public Solver {
 public:
  std::size_t message_size() const override { return 0; }
  Delivery delivery() const override { return Delivery::newest_wins; }
  bool directed() const override { return true; }
  StepLengths step_lengths() const override { return StepLengths::any; }
  void receive(int, CVec) override {}
  void descend(Vec x, CVec direction, double step_size) override { sgd_step(x, direction, step_size); }
  void send(int, CVec, Vec) override {}
  void drop(int) override {}
  void archive(Archive&) override {}
};

}  // namespace

std::unique_ptr<Solver> make_local(const SolverSetup&, Params&) { return std::make_unique<Local>(); }

}  // namespace ecl
