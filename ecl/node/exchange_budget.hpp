#pragma once

#include <algorithm>
#include <utility>

#include "ecl/base/archive.hpp"
#include "ecl/node/patience.hpp"

namespace ecl {

/// How many exchanges a node's rounds have, and how long each but the first waits for the neighbours. Their number is
/// given, or, with a share above 0, as many as the links carry within that share of the time of the round's own steps:
///
///     R = 1 + share * round_s / exchange_s        rounded down, in 2 .. 16
///
/// round_s and exchange_s are running means of what is seen: of the steps, and of the time from a message's posting to
/// the last of the neighbours' answers (Patience::took_s). At least 2, so that it goes on seeing. It begins with the
/// given number. The ends of an edge need not come to the same. It reads no clock: times are the caller's.
class ExchangeBudget {
 public:
  static constexpr int kLeast = 2, kMost = 16;

  /// `share` 0: always `exchanges`.
  ExchangeBudget(Patience patience, double share, int exchanges)
      : patience_(std::move(patience)), share_(share), exchanges_(exchanges) {}

  /// A step took so long.
  void add_step(double seconds) { patience_.add_step(seconds); }
  /// A message went out: the answers are waited for from now on. `edges`: as Patience has them.
  template <class Edges>
  void begin(double now_s, const Edges& edges) {
    patience_.begin(now_s, edges);
  }
  double until_s() const { return patience_.until_s(); }

  /// Whether the next exchange can be made; true once for each.
  template <class Edges>
  bool over(double now_s, const Edges& edges) {
    if (!patience_.over(now_s, edges)) return false;
    if (patience_.took_s()) exchange_s_.add(*patience_.took_s());
    return true;
  }

  /// R of the round that ends next.
  int exchanges() const {
    if (share_ == 0 || !exchange_s_.value()) return exchanges_;
    const double available_s = share_ * patience_.round_s(), one_s = *exchange_s_.value();
    if (available_s >= (kMost - 1) * one_s) return kMost;
    return std::max(kLeast, 1 + static_cast<int>(available_s / one_s));
  }

  /// Message numbers begin anew.
  void restart_port() { patience_.restart_port(); }
  void archive(Archive& archive) { archive(patience_, exchange_s_); }

 private:
  Patience patience_;
  double share_;
  int exchanges_;
  RunningMean exchange_s_;
};

}  // namespace ecl
