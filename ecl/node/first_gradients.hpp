#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ecl/base/archive.hpp"
#include "ecl/base/floats.hpp"
#include "ecl/base/types.hpp"

namespace ecl {

/// How large one node's gradients of the first model are, of which Adam's scale is made (step_scale()): of each
/// coordinate the mean square over some batches.
class FirstGradients {
 public:
  static constexpr int kUsual = 16;  ///< so many of them

  void add(CVec gradient) {
    sums_.resize(gradient.size());
    for (std::size_t d = 0; d < sums_.size(); ++d) sums_[d] += gradient[d] * gradient[d];
    ++count_;
  }
  std::uint64_t count() const { return count_; }
  /// Of coordinates `first` to `first + n`; 0 where there was no gradient.
  void mean_squares(std::size_t first, Vec values) const;
  /// Of no use any more.
  void forget() { Floats().swap(sums_); }
  void archive(Archive& archive) {
    archive(count_);
    archive.list(sums_);
  }

 private:
  std::uint64_t count_ = 0;
  Floats sums_;
};

/// SolverSetup::scale, the same on all nodes. `mine`: of the nodes of this process; `gather`: what each says, of all
/// nodes and in their order (Sites::gather). Collective.
std::vector<float> agreed_scale(std::size_t dim, std::span<const FirstGradients> mine,
                                const std::function<std::vector<std::string>(std::vector<std::string>)>& gather);

}  // namespace ecl
