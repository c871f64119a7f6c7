#pragma once

#include <cstdint>
#include <deque>
#include <mpi.h>
#include <optional>
#include <vector>

#include "ecl/mpi/comm.hpp"

namespace ecl {

/// How far the ranks are that never wait for each other: each tells all others when it passes a milestone, with a
/// number of its own. Nobody waits.
class Milestones {
 public:
  /// `count` milestones, numbered from 0. Collective.
  Milestones(const mpi::Comm& comm, int count);

  /// This rank passes a milestone, perhaps anew, with another number. The others hear it in the order of the calls.
  void pass(int milestone, std::uint64_t number);
  /// Moves what is under way.
  void poke();
  /// What a rank said when it passed; empty: it has not, as far as this rank has heard.
  const std::optional<std::uint64_t>& of(int rank, int milestone) const { return heard_[rank * count_ + milestone]; }
  bool passed_by_all(int milestone) const;
  /// All ranks have been sent what this one said.
  bool delivered() const { return sending_.empty(); }

 private:
  struct Message {
    std::uint64_t content[2];  ///< milestone, number
    MPI_Request request = MPI_REQUEST_NULL;
  };

  mpi::Comm comm_;
  int count_;
  std::vector<std::optional<std::uint64_t>> heard_;  ///< by rank and milestone
  std::deque<Message> sending_;                      ///< a deque: MPI reads the messages where they are
};

}  // namespace ecl
