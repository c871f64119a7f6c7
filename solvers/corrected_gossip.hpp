#pragma once

#include <algorithm>

#include "ecl/contracts/solver.hpp"
#include "solvers/edge_corrections.hpp"
#include "solvers/gradient_mean.hpp"

namespace ecl {

/// What d2 and extra share: gossip made exact by edge corrections, one step a round along the mean of its gradients,
/// the model as the message. They differ in where the averaging stands.
class CorrectedGossip : public Solver {
 public:
  std::size_t message_size() const override { return corrections_.message_size(); }
  Delivery delivery() const override { return Delivery::lock_step; }
  void receive(int e, CVec message) override { corrections_.receive(e, message); }
  void descend(Vec, CVec direction, double) override { gradient_.add(direction); }
  void send(int, CVec x, Vec message) override { std::copy(x.begin(), x.end(), message.begin()); }
  void drop(int e) override { corrections_.drop(e); }
  void archive(Archive& archive) override { archive(corrections_, gradient_); }

 protected:
  /// `share`: of the averaging, 1 for W, 1/2 for W~ = (I + W) / 2.
  CorrectedGossip(const SolverSetup& setup, double share) : corrections_(setup, share), gradient_(setup) {}

  EdgeCorrections corrections_;
  GradientMean gradient_;
};

}  // namespace ecl
