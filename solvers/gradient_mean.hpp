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
  explicit GradientMean(const SolverSetup& setup) : steps_(setup.local_steps), mean_(setup.initial.size(), 0.0f) {}

  /// True with the round's last gradient: mean() is then complete.
  bool add(CVec gradient) {
    if (count_ == steps_) count_ = 0;
    if (count_ == 0) std::fill(mean_.begin(), mean_.end(), 0.0f);
    const float share = 1 / static_cast<float>(steps_);
    for (std::size_t d = 0; d < mean_.size(); ++d) mean_[d] += share * gradient[d];
    return ++count_ == steps_;
  }

  CVec mean() const { return mean_; }
  void archive(Archive& archive) { archive(count_, mean_); }

 private:
  int steps_;
  int count_ = 0;
  Floats mean_;
};

}  // namespace ecl
