#pragma once

#include <string>
#include <vector>

#include "ecl/mpi/comm.hpp"

/// The commands that look without training. Each returns after printing to stdout; throws Error for a bad argument.
namespace ecl {

/// ecl list: every plug-in with its parameters.
void list_command(const std::vector<std::string>& arguments);
/// ecl topology NAME -n N: degree, diameter, spectral gap; --dot FILE.
void topology_command(const std::vector<std::string>& arguments);
/// ecl data: who holds what. `world`: where mpirun started it; then each rank reads its own data, and tells counts.
void data_command(const std::vector<std::string>& arguments, const mpi::Comm* world);

}  // namespace ecl
