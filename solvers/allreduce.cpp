#include "ecl/contracts/solver.hpp"
#include "solvers/gradient_mean.hpp"
#include "solvers/sgd_step.hpp"
#include "solvers/star.hpp"

/// Synchronous data-parallel SGD: every gradient is averaged over all nodes, as all-reduce does it.
///
///     client       g_i <- mean of the round's K gradients, all at the model x         message: g_i
///     server       x <- x - mu / N sum_i g_i                                          message: x
///
/// The sum goes through the server of a star. In all 2 (N - 1) vectors travel a round, as many as in a ring all-reduce;
/// only that one shares the load evenly between the links. The iterates are those of SGD in one place with batches N K
/// times as large: the reference for what distribution may cost. The step size counts once a round.
///
/// Usual ranges: mu as for SGD; it may grow with N K up to a point. Source: Chen et al. 2016 (arXiv 1604.00981),
/// Goyal et al. 2017 (arXiv 1706.02677).
namespace ecl {
namespace {

class AllReduce final : public Solver {
 public:
  explicit AllReduce(const SolverSetup& setup)
      : server_(setup, "allreduce"), gradient_(setup), mean_(setup.initial.size()) {}

  std::size_t message_size() const override { return server_.message_size(); }
  Delivery delivery() const override { return Delivery::lock_step; }
  bool own_momentum() const override { return true; }
  bool replies() const override { return server_.hub(); }
  void receive(int, CVec message) override { server_.receive(message); }

  void combine(Vec x) override {
    if (!server_.hub()) return server_.average(x, x);
    server_.average(gradient_.mean(), mean_);
    sgd_step(x, mean_, step_size_);
  }

  void descend(Vec, CVec direction, double) override { gradient_.add(direction); }

  void end_round(Vec, int, double step_size) override {
    gradient_.take();
    step_size_ = step_size;
  }

  void send(int, CVec x, Vec message) override {
    const CVec sent = server_.hub() ? x : gradient_.mean();
    std::copy(sent.begin(), sent.end(), message.begin());
  }
  void drop(int) override {}
  void archive(Archive& archive) override { archive(server_, gradient_, mean_, step_size_); }

 private:
  ServerAverage server_;
  GradientMean gradient_;
  Floats mean_;  ///< of the nodes' gradients; the hub's
  double step_size_ = 0;
};

}  // namespace

std::unique_ptr<Solver> make_allreduce(const SolverSetup& setup, Params&) { return std::make_unique<AllReduce>(setup); }

}  // namespace ecl
