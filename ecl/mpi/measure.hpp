#pragma once

#include <cstddef>
#include <string>

#include "ecl/mpi/comm.hpp"

/// How fast this MPI is, for `ecl doctor`. All are collective, with the same answer on all ranks.
namespace ecl::mpi {

/// Puts from one rank to another through a window of their own.
struct PutTimes {
  bool possible = false;   ///< MPI makes a window here; else the rest is empty
  double latency_s = 0;    ///< of a put of kSmallPut bytes and its flush; the target is inside MPI
  double bytes_per_s = 0;  ///< of puts of kLargePut bytes, the same
  double waited_s = 0;     ///< of both sizes, while the target computes for kSilence_s without a call into MPI
  std::string memory;      ///< the file behind the window's memory; empty: none, so MPI copies by messages
};

constexpr std::size_t kSmallPut = 4096, kLargePut = std::size_t{1} << 20;
constexpr double kSilence_s = 0.1;

/// Whoever calls it has asked require_shared_memory() for kLargePut bytes of one rank.
PutTimes measure_puts(const Comm& comm, int origin, int target);

/// Mean of MPI's own barrier, in which every rank waits inside MPI.
double barrier_seconds(const Comm& comm);

}  // namespace ecl::mpi
