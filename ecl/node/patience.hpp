#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "ecl/base/archive.hpp"
#include "ecl/base/types.hpp"

namespace ecl {

/// The mean of what comes in, the newest weighing most.
class RunningMean {
 public:
  void add(double value) { mean_ = mean_ ? (1 - kNew) * *mean_ + kNew * value : value; }
  std::optional<double> value() const { return mean_; }
  void archive(Archive& archive) { archive(mean_); }

 private:
  static constexpr double kNew = 0.1;  // weight of the newest

  std::optional<double> mean_;
};

/// How long a node waits, between the exchanges of a round, for what its neighbours send meanwhile: at most a share of
/// the time that its own gradients take. It waits for a message that is due only: a neighbour that has made its last
/// exchange of this round goes on with gradients, and says so. One that did not answer in that time is not waited for
/// again until it does; so a slow or dead one costs the others this much once. It reads no clock: times are the
/// caller's.
class Patience {
 public:
  static constexpr double kUsual = 1;  ///< share, where nobody says another

  /// `share` of a round of `local_steps` steps. 0: it never waits.
  Patience(double share, int local_steps, int edges) : share_(share), local_steps_(local_steps), edges_(edges) {}

  /// A step took so long.
  void add_step(double seconds) { step_s_.add(seconds); }
  /// What a round's steps take.
  double round_s() const { return local_steps_ * step_s_.value().value_or(0); }

  /// A message went out: the answers are waited for from now on. `edges`: on edge e, number of the newest message that
  /// has arrived(e), and of the one that is due(e), 0 for none; whether it receives(e) any more (Optimizer).
  template <class Edges>
  void begin(double now_s, const Edges& edges) {
    begun_s_ = now_s, until_s_ = now_s + share_ * round_s();
    for (int e = 0; e < edge_count(); ++e)
      if (!edges_[e].silent || edges.arrived(e) >= edges_[e].due) edges_[e] = {edges.due(e), false};
  }
  double until_s() const { return until_s_; }

  /// Whether to go on: all that are waited for have answered, or the time is over.
  template <class Edges>
  bool over(double now_s, const Edges& edges) {
    const auto missing = [&](int e) { return edges.arrived(e) < edges_[e].due; };
    bool waits = false, waited = false, silent = false;
    for (int e = 0; e < edge_count(); ++e) {
      if (!edges.receives(e)) edges_[e] = {};  // gone for good, maybe while it was waited for
      silent |= edges_[e].silent;
      if (edges_[e].silent || edges_[e].due == 0) continue;
      waited = true;
      waits |= missing(e);
    }
    took_s_ = waits || (silent && !waited) ? until_s_ - begun_s_ : now_s - begun_s_;
    if (!silent && !waited) took_s_.reset();
    if (now_s < until_s_) return !waits;
    for (int e = 0; e < edge_count(); ++e) edges_[e].silent = missing(e);
    return true;
  }
  /// Once over() said so: how long the answers took. All the time that there was, where one did not come in it; and
  /// where all who might answer are silent, as a link that is dead would else be the fastest. None if none was due.
  std::optional<double> took_s() const { return took_s_; }

  /// Message numbers begin anew.
  void restart_port() { std::fill(edges_.begin(), edges_.end(), Edge{}); }
  void archive(Archive& archive) { archive(step_s_, begun_s_, until_s_, edges_); }

 private:
  struct Edge {
    Stamp due = 0;        ///< number of the message that is waited for; 0: none
    bool silent = false;  ///< it did not come in time, and has not since
    void archive(Archive& archive) { archive(due, silent); }
  };

  int edge_count() const { return static_cast<int>(edges_.size()); }

  double share_;
  int local_steps_;
  RunningMean step_s_;
  double begun_s_ = 0, until_s_ = 0;
  std::optional<double> took_s_;
  std::vector<Edge> edges_;
};

}  // namespace ecl
