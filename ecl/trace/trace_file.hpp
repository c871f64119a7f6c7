#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ecl/contracts/graph.hpp"
#include "ecl/contracts/tracer.hpp"

namespace ecl {

/// What a node did.
struct NodeTrace {
  std::vector<TraceEvent> events;  ///< by the one clock of the file
  std::uint64_t dropped = 0;       ///< older ones that were not kept
  double clock_error_s = 0;        ///< how far off, at most, its times are from node 0's
  std::string host;                ///< empty: not told
  bool died = false;               ///< and its events with it

  /// The first moment of which all is known: 0, or that of the first event kept.
  double known_from_s() const;
};

/// Throws Error if `path` cannot become a file: before anything is trained for it. `made_later`: a folder that need not
/// be there yet; may be empty.
void check_trace_path(const std::string& path, const std::string& made_later);

/// Writes the events of all nodes, by node, into one file of the Trace Event Format (README.md says what is in it),
/// which is whole when it is there. `command`: what made it. Throws Error (io).
void write_trace(const std::string& path, std::vector<NodeTrace> nodes, const Graph& graph, const std::string& command);

/// Of a file from which events are missing: a line for people, without an end. Empty if none are.
std::string missing_from(const std::vector<NodeTrace>& nodes);

}  // namespace ecl
