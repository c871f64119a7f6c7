#pragma once

#include "ecl/base/check.hpp"
#include "ecl/mpi/comm.hpp"

namespace ecl {

/// `ecl doctor`: says what this MPI is and how the exchange would do here, in a line a check: ok, or what to do.
/// Collective; rank 0 prints. Returns Exit::io if training could not work here.
Exit run_doctor(const mpi::Comm& comm);

}  // namespace ecl
