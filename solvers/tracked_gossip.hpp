#pragma once

#include <algorithm>
#include <utility>

#include "ecl/contracts/solver.hpp"
#include "solvers/gradient_mean.hpp"
#include "solvers/mixing.hpp"

namespace ecl {

/// Gradient tracking, with whatever averaging: what gradient_tracking and detag share. They differ in how their R
/// exchanges average unless told otherwise. The message is x, y.
class TrackedGossip final : public Solver {
 public:
  TrackedGossip(const SolverSetup& setup, Gossip gossip)
      : mixing_(setup, 2, std::move(gossip)),
        gradient_(setup),
        tracker_(setup.initial.size(), 0.0f),
        last_gradient_(setup.initial.size(), 0.0f) {}

  std::size_t message_size() const override { return mixing_.message_size(); }
  Delivery delivery() const override { return Delivery::lock_step; }
  bool own_momentum() const override { return true; }
  bool exchanges_again() const override { return true; }
  void receive(int e, CVec message) override { mixing_.receive(e, message); }
  void combine(Vec x) override { mixing_.mix(x, tracker_); }
  void descend(Vec, CVec direction, double) override { gradient_.add(direction); }

  void end_round(Vec x, int, double step_size) override {
    const float mu = static_cast<float>(step_size);
    const CVec g = gradient_.take();
    for (std::size_t d = 0; d < x.size(); ++d) {
      tracker_[d] += g[d] - last_gradient_[d];
      x[d] -= mu * tracker_[d];
    }
    std::copy(g.begin(), g.end(), last_gradient_.begin());
    mixing_.restart(step_size);
  }

  void send(int, CVec x, Vec message) override {
    std::copy(x.begin(), x.end(), message.begin());
    std::copy(tracker_.begin(), tracker_.end(), message.begin() + x.size());
  }

  void drop(int e) override { mixing_.drop(e); }
  void archive(Archive& archive) override { archive(mixing_, gradient_, tracker_, last_gradient_); }

 private:
  Mixing mixing_;
  GradientMean gradient_;
  Floats tracker_;        ///< y_i
  Floats last_gradient_;  ///< g_i of the round before
};

}  // namespace ecl
