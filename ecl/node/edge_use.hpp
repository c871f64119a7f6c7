#pragma once

#include <algorithm>
#include <cstdint>

#include "ecl/base/archive.hpp"
#include "ecl/contracts/port.hpp"
#include "ecl/node/step_rule.hpp"

namespace ecl {

/// How old an edge's messages were when they were taken in training: steps of the reader, as Staleness has them.
struct MessageAges {
  std::uint64_t taken = 0, sum = 0, oldest = 0;

  void add(std::uint64_t steps) {
    ++taken, sum += steps;
    oldest = std::max(oldest, steps);
  }
};

/// What a node knows of the neighbour at one of its edges: how far it is, told by the stamps of its messages, and
/// whether it leads, going on to further rounds while this node is within one (Optimizer::outpaced).
struct EdgeUse {
  bool sends, receives;
  SentAt heard = {};           ///< of what came last
  Stamp taken = 0;             ///< number of that message
  Stamp first = 0;             ///< number of the sender's first message of that round
  std::uint64_t refused = 0;   ///< messages that held an infinity or a NaN
  std::uint64_t begun_at = 0;  ///< the sender's steps, as heard when this node's round began
  bool leads = false;          ///< it has made more since, and what came last was of a round of its own
  Stamp leads_from = 0;        ///< a message of this number says that it may lead
  MessageAges ages = {};

  Stamp next_round() const { return taken + heard.left + 1; }  ///< number of the first message of the round after

  /// A message was taken.
  void hear(const Arrival& arrival, const StepRule& rule) {
    const SentAt now = SentAt::of(arrival.step);
    if (now.step > heard.step) first = next_round();
    const bool only_answers = now.step == heard.step && heard.left == 0;
    leads = now.step > begun_at && !only_answers;
    heard = now, taken = arrival.number;
    if (!leads) leads_from = next_round() + rule.exchanges;
  }
  /// This node's round begins.
  void begin(const StepRule& rule) {
    const bool is_faster = heard.step > begun_at + rule.local_steps;
    begun_at = heard.step, leads = false;
    leads_from = next_round() + (is_faster ? 0 : rule.exchanges);
  }
  /// Its messages are numbered from 1.
  void restart(const StepRule& rule) {
    taken = first = 0, heard.left = 0;
    leads = false, leads_from = 1 + rule.exchanges;
  }
  void archive(Archive& archive) {
    archive(sends, receives, heard.step, heard.left, taken, first, refused, begun_at, leads, leads_from, ages);
  }
};

}  // namespace ecl
