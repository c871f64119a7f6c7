#pragma once

#include <span>

#include "ecl/mpi/comm.hpp"

namespace ecl::mpi {

/// `values` become their means over the ranks, the same bits on all. Collective.
void mean_over(const Comm& comm, std::span<float> values);

}  // namespace ecl::mpi
