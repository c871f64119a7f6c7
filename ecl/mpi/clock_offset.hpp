#pragma once

#include <functional>

#include "ecl/mpi/comm.hpp"

namespace ecl::mpi {

/// How this rank's clock stands to rank 0's.
struct ClockOffset {
  double at_s = 0;      ///< when it was looked at, by this rank's clock
  double offset_s = 0;  ///< to be added to this rank's times
  double error_s = 0;   ///< at most so far off
};

/// Asks rank 0 for the time, again and again: the answer that came back soonest counts. `now`: this rank's clock.
/// Collective.
ClockOffset compare_clocks(const Comm& comm, const std::function<double()>& now);

}  // namespace ecl::mpi
