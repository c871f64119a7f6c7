#pragma once

#include <cstdint>
#include <deque>
#include <mpi.h>
#include <utility>
#include <vector>

#include "ecl/mpi/comm.hpp"

namespace ecl {

/// Rank 0 tells some ranks a number that grows. Nobody waits.
class Announcement {
 public:
  /// `listeners`: not rank 0, and the same list on every rank. Collective.
  Announcement(const mpi::Comm& comm, std::vector<int> listeners)
      : comm_(comm.duplicate()), listeners_(std::move(listeners)) {}

  /// On rank 0.
  void announce(std::uint64_t number);
  /// Moves what is under way.
  void poke();
  /// The last number that this rank was told; 0: none.
  std::uint64_t heard() const { return heard_; }
  /// Collective: waits until all have heard the last number.
  void finish();

 private:
  struct Message {
    std::uint64_t number;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  mpi::Comm comm_;
  std::vector<int> listeners_;
  std::deque<Message> sending_;  ///< a deque: MPI reads the numbers where they are
  std::uint64_t last_ = 0, heard_ = 0;
};

}  // namespace ecl
