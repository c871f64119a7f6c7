#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/contracts/solver.hpp"
#include "solvers/edge_duals.hpp"

namespace ecl {

/// PDMM and ADMM with exact local steps: one solver, two values of theta.
class ProximalSplitting final : public Solver {
 public:
  /// Reads alpha. Throws Error for more than one local step, for momentum, and without a proximal step.
  static std::unique_ptr<Solver> make(const SolverSetup& setup, Params& params, const std::string& name, double theta) {
    const double alpha = params.number("alpha", 0.5, 1e-9, 1e9, "edge penalty, in units of the loss's curvature");
    const std::string who = "solver " + name;
    if (!setup.proximal_step) throw Error(who + " needs the model's exact proximal step, and was not given one");
    if (setup.local_steps != 1) throw Error(who + " solves its local problem in one step: use --local-steps 1");
    if (setup.momentum != 0) throw Error(who + " takes no gradient steps; leave --momentum at 0");
    return std::make_unique<ProximalSplitting>(setup, alpha, theta);
  }

  ProximalSplitting(const SolverSetup& setup, double alpha, double theta)
      : duals_(setup, theta, std::vector<float>(setup.graph.degree(setup.node), static_cast<float>(alpha))),
        proximal_step_(setup.proximal_step()) {}

  std::size_t message_size() const override { return duals_.message_size(); }
  Delivery delivery() const override { return Delivery::newest_wins; }
  void receive(int e, CVec message) override { duals_.receive(e, message); }
  void descend(Vec x, CVec, double) override {
    duals_.sum();
    proximal_step_(duals_.pull(), duals_.alpha_sum(), x);
  }
  void end_round(Vec x, int steps, double) override {
    if (steps == 0) duals_.centre(x);
  }

  void send(int e, CVec x, Vec message) override { duals_.send(e, x, message); }
  void drop(int e) override { duals_.drop(e); }
  void archive(Archive& archive) override { archive(duals_); }

 private:
  EdgeDuals duals_;
  ProximalStep proximal_step_;
};

}  // namespace ecl
