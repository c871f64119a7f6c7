#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ecl/contracts/tracer.hpp"

namespace ecl {

/// Keeps a node's newest events. Its memory is fixed when it is made.
class EventRing final : public Tracer {
 public:
  /// Of one of `nodes` nodes, whose events come together in one file: a million in all.
  static std::size_t usual_capacity(NodeId nodes) {
    return std::min<std::size_t>(100'000, 1'000'000 / static_cast<std::size_t>(nodes) + 1);
  }

  explicit EventRing(std::size_t capacity) : events_(capacity) {}

  void add(const TraceEvent& event) override {
    events_[next_] = event;
    next_ = next_ + 1 == events_.size() ? 0 : next_ + 1;
    ++added_;
  }
  std::uint64_t dropped() const { return added_ - std::min<std::uint64_t>(added_, events_.size()); }
  /// In the order in which they were added.
  std::vector<TraceEvent> kept() const {
    const auto oldest = events_.begin() + static_cast<std::ptrdiff_t>(dropped() > 0 ? next_ : 0);
    const auto end = dropped() > 0 ? events_.end() : events_.begin() + static_cast<std::ptrdiff_t>(added_);
    std::vector<TraceEvent> events(oldest, end);
    if (dropped() > 0) events.insert(events.end(), events_.begin(), oldest);
    return events;
  }

 private:
  std::vector<TraceEvent> events_;
  std::size_t next_ = 0;
  std::uint64_t added_ = 0;
};

}  // namespace ecl
