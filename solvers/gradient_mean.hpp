#pragma once

#include <algorithm>
#include <cstddef>

#include "ecl/base/floats.hpp"
#include "ecl/contracts/solver.hpp"

namespace ecl {

/// For algorithms that know no local steps: the K gradients of a round, all taken at the same model, are averaged, and
/// the round is one step. So they exchange as often as the others, and see as many samples.
class GradientMean {
 public:
  explicit GradientMean(const SolverSetup& setup) : mean_(setup.initial.size(), 0.0f) {}

  /// Adds a gradient of the round.
  void add(CVec gradient) {
    if (count_++ == 0) std::fill(mean_.begin(), mean_.end(), 0.0f);
    for (std::size_t d = 0; d < mean_.size(); ++d) mean_[d] += gradient[d];
  }

  /// Once at the round's end: the mean of what was added, 0 after nothing. Valid until the next add().
  CVec take() {
    const float share = count_ == 0 ? 0 : 1 / static_cast<float>(count_);
    for (float& value : mean_) value *= share;
    count_ = 0;
    return mean_;
  }

  CVec mean() const { return mean_; }
  void archive(Archive& archive) { archive(count_, mean_); }

 private:
  int count_ = 0;
  Floats mean_;  ///< of the last round; while one is under way the sum of its gradients
};

}  // namespace ecl
