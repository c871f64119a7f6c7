#pragma once

#include <algorithm>
#include <cstddef>

#include "ecl/base/floats.hpp"
#include "ecl/contracts/solver.hpp"

namespace ecl {

/// For algorithms that know no local steps: the K gradients of a round, all taken at the same model, are averaged, and
/// the round is one step. So they exchange as often as the others, and see as many samples. Momentum counts once a
/// step, which is once a round (Solver::own_momentum): once a gradient it would be worth beta^K.
class GradientMean {
 public:
  explicit GradientMean(const SolverSetup& setup)
      : beta_(static_cast<float>(setup.momentum)),
        mean_(setup.initial.size(), 0.0f),
        velocity_(beta_ == 0 ? 0 : mean_.size(), 0.0f) {}

  /// Adds a gradient of the round.
  void add(CVec gradient) {
    if (count_++ == 0) std::fill(mean_.begin(), mean_.end(), 0.0f);
    for (std::size_t d = 0; d < mean_.size(); ++d) mean_[d] += gradient[d];
  }

  /// Once at the round's end: the mean of what was added, under momentum its running average over the rounds; 0 after
  /// nothing. Valid until the next add().
  CVec take() {
    const bool any = count_ > 0;
    const float share = any ? 1 / static_cast<float>(count_) : 0;
    for (float& value : mean_) value *= share;
    if (any && beta_ != 0) {
      for (std::size_t d = 0; d < mean_.size(); ++d) velocity_[d] = beta_ * velocity_[d] + (1 - beta_) * mean_[d];
      std::copy(velocity_.begin(), velocity_.end(), mean_.begin());
    }
    count_ = 0;
    return mean_;
  }

  /// What take() returned.
  CVec mean() const { return mean_; }
  void archive(Archive& archive) { archive(count_, mean_, velocity_); }

 private:
  float beta_;
  int count_ = 0;
  Floats mean_;  ///< of the last round; while one is under way the sum of its gradients
  Floats velocity_;
};

}  // namespace ecl
