#pragma once

#include <cstdint>

#include "ecl/base/types.hpp"

namespace ecl {

/// When messages are taken from the mailboxes.
enum class Taking {
  round,    ///< once in a round of training
  serve,    ///< by a server that is done with its own steps
  settle,   ///< in an exchange after the last step (Optimizer::settle)
  exchange  ///< in an exchange within a round (Optimizer::exchange)
};

/// Who is told what an optimizer takes from its mailboxes, and when: the log of a recorded run (ecl/replay).
class DeliveryObserver {
 public:
  virtual ~DeliveryObserver() = default;

  /// Message `number` of edge e was taken; received() follows when those of the other edges were, too.
  virtual void took(int e, Stamp number) = 0;
  /// The messages were taken after `step` steps.
  virtual void received(std::uint64_t step, Taking when) = 0;
  /// Edge e is gone for good, after `step` steps; `begun`: the round under way had begun.
  virtual void dropped(std::uint64_t step, bool begun, int e) = 0;
  /// After `step` steps: the round that ends next, and those after it, have so many exchanges.
  virtual void exchanges_set(std::uint64_t step, int exchanges) = 0;
};

}  // namespace ecl
