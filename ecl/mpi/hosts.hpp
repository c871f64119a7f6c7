#pragma once

#include <cstddef>
#include <vector>

#include "ecl/mpi/comm.hpp"

namespace ecl::mpi {

/// Which ranks of a communicator share a host, and so can share memory.
class Hosts {
 public:
  /// Collective.
  explicit Hosts(const Comm& comm);

  /// The ranks of this host, in the order of their ranks.
  const Comm& here() const { return here_; }
  int count() const { return count_; }
  /// Hosts are numbered by their lowest rank.
  int host_of(int rank) const { return places_[rank].host; }
  /// Its rank in here() on its host.
  int local_rank(int rank) const { return places_[rank].local_rank; }

 private:
  struct Place {
    int host, local_rank;
  };

  Comm here_;
  std::vector<Place> places_;
  int count_ = 0;
};

/// Throws ecl::Error on every rank of `here`, the ranks of a host, if its shared memory has no room for `bytes` of this
/// rank and what the others ask for: MPI would hang there, or be killed later. Collective over `here`.
void require_shared_memory(const Comm& here, std::size_t bytes);

}  // namespace ecl::mpi
