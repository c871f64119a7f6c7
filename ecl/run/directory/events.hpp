#pragma once

#include <string>

#include "ecl/base/types.hpp"

namespace ecl {

/// What befell a run: a line of its events.csv.
struct Event {
  double time_s;     ///< seconds of training, by the clock of the node that tells it
  NodeId node;       ///< who tells it
  std::string what;  ///< silent (since then), back, refused, died
  NodeId peer;       ///< of whom
};

/// Makes events.csv in the directory of a run. Of one that is resumed it keeps what happened in the first `seconds` of
/// training, which the run goes on from. Throws Error (io).
void begin_events(const std::string& directory, double seconds);
/// Adds a line to it, in one piece. Where the host has no such file nothing is written: whoever calls has said it on
/// standard error, too.
void note_event(const std::string& directory, const Event& event);

}  // namespace ecl
