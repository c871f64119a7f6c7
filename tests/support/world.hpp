#pragma once

#include "ecl/mpi/comm.hpp"

namespace ecl::test {

/// All ranks of an MPI test program (support/mpi_main.cpp); valid while tests run.
const mpi::Comm& world();

}  // namespace ecl::test
