#pragma once

#include <string>
#include <vector>

#include "ecl/mpi/hosts.hpp"

namespace ecl {

/// Who looks after a run's directory. Hosts that share a file system see that of rank 0, which keeps it. Any other host
/// has one of its own, at the same path, with what belongs to its ranks: its lowest rank keeps that.
class Keepers {
 public:
  /// There is no directory.
  Keepers() = default;
  /// Rank 0's `directory` is there. Whether it is seen, a file in it tells that is gone when this returns. Collective;
  /// throws Error (io), the same on every rank.
  Keepers(const mpi::Comm& comm, const mpi::Hosts& hosts, const std::string& directory);

  /// This rank keeps one.
  bool here() const { return here_; }
  /// The ranks that do, but for rank 0.
  const std::vector<int>& others() const { return others_; }

 private:
  bool here_ = false;
  std::vector<int> others_;
};

}  // namespace ecl
