#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ecl/mpi/clock_offset.hpp"
#include "ecl/mpi/comm.hpp"
#include "ecl/run/experiment.hpp"
#include "ecl/trace/event_ring.hpp"
#include "ecl/trace/trace_file.hpp"

namespace ecl {

/// A rank's part in --trace: its events, and how its clock stands to rank 0's.
class RankTrace {
 public:
  /// `now`: the clock of the rank's port. Collective.
  RankTrace(const mpi::Comm& comm, const Experiment& experiment, std::function<double()> now);

  Tracer* tracer() { return &ring_; }
  double now() const { return now_(); }
  /// What this node did from `start_s` until now.
  void add(TraceEvent::Kind kind, double start_s, std::uint64_t number = 0) {
    ring_.add({.start_s = start_s, .end_s = now(), .number = number, .kind = kind});
  }

  /// At the end: brings all events together on rank 0, which gets them by node; the others get nothing. Collective.
  std::vector<NodeTrace> gather();
  /// Of a run that lost ranks, where nothing collective works any more: adds this rank's events, as many bytes on all
  /// ranks, by what was found out about its clock before the first step.
  void append_last_words(std::vector<std::byte>& report) const;
  /// `words`: by node, what that added; empty of a node that died.
  std::vector<NodeTrace> of_survivors(const std::vector<std::span<const std::byte>>& words) const;

 private:
  std::vector<std::byte> packed(const mpi::ClockOffset& end) const;
  NodeTrace unpacked(NodeId i, std::span<const std::byte> bytes) const;

  const mpi::Comm& comm_;
  std::function<double()> now_;
  EventRing ring_;
  std::size_t capacity_;
  std::vector<std::string> hosts_;  ///< by rank
  mpi::ClockOffset start_;
};

/// Writes --trace, says where it is, and what it has not.
void finish_trace(const Experiment& experiment, const std::vector<NodeTrace>& nodes);

}  // namespace ecl
