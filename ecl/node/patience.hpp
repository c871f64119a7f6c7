#pragma once

#include <algorithm>
#include <vector>

#include "ecl/base/archive.hpp"

namespace ecl {

/// How long a node waits, between the exchanges of a round, for what its neighbours send meanwhile: at most a share of
/// the time that its own gradients take. A neighbour that did not answer in that time is not waited for again until it
/// does; so a slow or dead one costs the others this much once. It reads no clock: times are the caller's.
class Patience {
 public:
  /// `share` of a round of `local_steps` steps. 0: it never waits.
  Patience(double share, int local_steps, int edges) : share_(share * local_steps), silent_(edges, 0) {}

  /// A step took so long.
  void add_step(double seconds) { step_s_ = step_s_ == 0 ? seconds : (1 - kNew) * step_s_ + kNew * seconds; }
  /// A message went out: what the neighbours answer is waited for from now on.
  void begin(double now_s) { until_s_ = now_s + share_ * step_s_; }
  double until_s() const { return until_s_; }

  /// Whether to go on: all that are waited for have news, or the time is over. `has_news(e)`: of an edge that receives.
  template <class HasNews>
  bool over(double now_s, HasNews has_news) {
    const bool late = now_s >= until_s_;
    bool all = true;
    for (std::size_t e = 0; e < silent_.size(); ++e) {
      const bool news = has_news(static_cast<int>(e));
      if (news) silent_[e] = 0;
      all &= news || silent_[e];
    }
    if (late && !all)
      for (std::size_t e = 0; e < silent_.size(); ++e) silent_[e] = !has_news(static_cast<int>(e));
    return all || late;
  }

  void archive(Archive& archive) {
    archive(step_s_, until_s_);
    archive.list(silent_);
  }

 private:
  static constexpr double kNew = 0.1;  // weight of the newest step in the running mean

  double share_, step_s_ = 0, until_s_ = 0;
  std::vector<char> silent_;
};

}  // namespace ecl
