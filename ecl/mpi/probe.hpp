#pragma once

#include "ecl/mpi/hosts.hpp"

namespace ecl::mpi {

/// What becomes of one-sided calls whose target computes and does not call MPI.
enum class Puts {
  impossible,     ///< MPI makes no window here
  wait,           ///< they last until the target's program enters MPI
  complete_alone  ///< the network, or shared memory, completes them
};

/// Measures it in a small window of its own: between the first two hosts, or on a single host between its ranks. Takes
/// about a tenth of a second. Collective; the same answer on all ranks.
Puts puts_without_target(const Comm& comm, const Hosts& hosts);

}  // namespace ecl::mpi
