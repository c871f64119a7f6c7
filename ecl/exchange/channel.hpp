#pragma once

#include "ecl/contracts/port.hpp"

namespace ecl {

/// One means by which messages travel along edges of a rank; MpiPort has one for each means that its edges need, and
/// keeps the counts. The calls promise what Port's do; `e` is the node's local edge, one that this channel serves.
class Channel {
 public:
  virtual ~Channel() = default;
  virtual Stamp arrived(int e) = 0;
  virtual Arrival take(int e) = 0;
  virtual Arrival take(int e, Stamp number) = 0;
  virtual Vec outbox(int e) = 0;
  virtual void post(int e, Stamp number, Stamp step) = 0;
  /// Moves what is under way, waits for nobody.
  virtual void poke() {}
};

}  // namespace ecl
