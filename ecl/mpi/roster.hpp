#pragma once

#include <cstdint>
#include <vector>

#include "ecl/mpi/comm.hpp"
#include "ecl/mpi/hosts.hpp"

namespace ecl::mpi {

/// Which ranks of this host still live. MPI does not tell: no call ever returns an error when a peer was killed, and
/// whoever waits for it waits for ever. The system does: a rank lives as long as its process.
class Roster {
 public:
  /// Collective.
  Roster(const Comm& comm, const Hosts& hosts);

  /// Ranks of this host found dead since the last call, in ascending order; looks a few times a second, at most.
  std::vector<int> newly_dead();
  bool alive(int rank) const { return !dead_[rank]; }
  /// Whether a death of any other rank would be seen: all are on this host, and not in containers of their own.
  bool sees_all() const;
  /// The lowest rank that lives, as far as is seen from here.
  int lowest() const;
  /// How many of those that are seen from here live, and are lower than this rank.
  int ahead() const;

 private:
  struct Process {
    std::int64_t pid;       ///< as wide as the next, so that no padding travels
    std::uint64_t started;  ///< by the system's clock: a pid may be given again
  };

  int rank_;
  std::vector<Process> processes_;  ///< by rank
  std::vector<char> watched_, dead_;
  double looked_s_ = 0;
};

}  // namespace ecl::mpi
