#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mpi.h>

#include "ecl/mpi/comm.hpp"

namespace ecl {

/// Rank 0 learns which ranks are done with what, by its number. Nobody waits.
class Tally {
 public:
  /// Collective.
  explicit Tally(const mpi::Comm& comm) : comm_(comm.duplicate()) {}

  /// This rank is done with `number`; says so once.
  void report(std::uint64_t number);
  /// Moves what is under way.
  void poke();
  /// On rank 0: all ranks are done with it.
  bool complete(std::uint64_t number) const;
  /// Collective: waits until all reports have come.
  void finish();

 private:
  struct Report {
    std::uint64_t number;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  mpi::Comm comm_;
  std::deque<Report> sending_;  ///< a deque: MPI reads the numbers where they are
  std::map<std::uint64_t, int> done_;
  std::uint64_t reported_ = 0, received_ = 0;
};

}  // namespace ecl
