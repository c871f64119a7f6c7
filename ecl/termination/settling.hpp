#pragma once

#include <algorithm>
#include <cstdint>

#include "ecl/base/archive.hpp"

namespace ecl {

/// When nodes agree, and for how long they try to.
struct SettlingRule {
  double consensus_error;  ///< below it they agree
  std::uint64_t most;      ///< exchanges of each node; 0: none
  double most_s;           ///< seconds
  bool unheard;            ///< of an only round: its messages have not been read
};

/// What follows when all nodes have made their steps: they exchange, without new gradients, until they agree. This says
/// how often, the same on all nodes: it is asked with the consensus error, then again after as many exchanges as it
/// said. After an only round, whose messages nobody has read, there are some in any case.
class Settling {
 public:
  explicit Settling(const SettlingRule& rule) : rule_(rule) {}

  /// Whether there is anything to settle.
  bool wanted() const { return rule_.most > 0; }
  /// How many exchanges each node makes next; 0: the nodes agree, or have tried for long enough. `error`: the consensus
  /// error now; `seconds`: since this was first asked.
  int next(double error, double seconds);
  void archive(Archive& archive) { archive(done_); }

 private:
  SettlingRule rule_;
  std::uint64_t done_ = 0;
};

/// When one node makes its next exchange: as soon as it has heard from all neighbours, or in its usual rhythm.
class SettlingPace {
 public:
  /// The node has made its last step: `rounds` rounds took it `seconds`. `least_s`: between two exchanges, if messages
  /// stay away.
  void start(std::uint64_t rounds, double seconds, double least_s = 1e-3) {
    period_s_ = std::max(least_s, rounds == 0 ? 0 : seconds / static_cast<double>(rounds));
  }
  void plan(int exchanges, double now_s) { left_ = exchanges, next_s_ = now_s + period_s_; }
  int left() const { return left_; }
  double next_s() const { return next_s_; }
  /// In lock step ready() rules: the node has always heard from all.
  bool due(bool heard_from_all, double now_s) const { return heard_from_all || now_s >= next_s_; }
  void made(double now_s) { --left_, next_s_ = now_s + period_s_; }
  void archive(Archive& archive) { archive(period_s_, next_s_, left_); }

 private:
  double period_s_ = 0, next_s_ = 0;
  int left_ = 0;
};

}  // namespace ecl
