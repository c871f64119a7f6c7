#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "ecl/mpi/comm.hpp"

namespace ecl::mpi {

/// Bytes of each rank, as many as it has, in the order of the ranks: on rank 0; the others get nothing. They travel in
/// pieces, rank after rank. Collective.
std::vector<std::vector<std::byte>> gather_to_first(const Comm& comm, std::span<const std::byte> mine);

}  // namespace ecl::mpi
