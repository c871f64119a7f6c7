#pragma once

#include <cstdint>

#include "ecl/base/types.hpp"

namespace ecl {

/// One thing that a node did, for a time line.
struct TraceEvent {
  enum class Kind : std::uint8_t {
    gradient,    ///< of one local step
    post,        ///< a message was published
    take,        ///< one was taken from the mailbox
    wait,        ///< nothing to do: for neighbours, or for the others' end
    slowed,      ///< --node-speed: a slower machine would still compute
    evaluation,  ///< the node's own model, on the test samples
    average,     ///< this node's part in the measures of the average model
    checkpoint   ///< the state went to a file
  };
  double start_s = 0, end_s = 0;  ///< by the clock of the node's port
  std::uint64_t number = 0;       ///< of the message on its edge; of the step, evaluation or checkpoint: from 1
  std::int32_t edge = -1;         ///< post, take: the node's local edge
  Kind kind = Kind::gradient;
};

/// Who is told what a node does, and when: ports tell of messages, loops of the rest. A null pointer is no tracer.
class Tracer {
 public:
  virtual ~Tracer() = default;
  /// Called within training: quick, allocates nothing.
  virtual void add(const TraceEvent& event) = 0;
};

}  // namespace ecl
