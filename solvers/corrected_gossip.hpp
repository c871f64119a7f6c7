#pragma once

#include "ecl/contracts/solver.hpp"
#include "solvers/edge_corrections.hpp"
#include "solvers/gradient_mean.hpp"

namespace ecl {

/// What d2 and extra share: gossip made exact by edge corrections, one step a round along the mean of its gradients.
/// They differ in where the averaging stands.
class CorrectedGossip : public Solver {
 public:
  std::size_t message_size() const override { return corrections_.message_size(); }
  Delivery delivery() const override { return Delivery::lock_step; }
  bool own_momentum() const override { return true; }
  bool exchanges_again() const override { return true; }
  void receive(int e, CVec message) override { corrections_.receive(e, message); }
  void descend(Vec, CVec direction, double) override { gradient_.add(direction); }
  void drop(int e) override { corrections_.drop(e); }
  void archive(Archive& archive) override { archive(corrections_, gradient_); }

 protected:
  CorrectedGossip(const SolverSetup& setup, Params& params, double gain)
      : corrections_(setup, 1, gain, Gossip(setup, params)), gradient_(setup) {}

  EdgeCorrections corrections_;
  GradientMean gradient_;
};

}  // namespace ecl
