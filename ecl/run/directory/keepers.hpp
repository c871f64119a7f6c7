#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ecl/mpi/hosts.hpp"

namespace ecl {

/// Who looks after a run's directory. Hosts that share a file system see the same one, which the lowest rank among them
/// keeps: rank 0 the results, others what belongs to the ranks of their hosts.
class Keepers {
 public:
  /// There is no directory.
  Keepers() = default;
  /// Finds them one after the other, rank 0 first: a keeper calls `open`, after which `directory` is there, and the
  /// hosts that see a file which it makes there (it is gone when this returns) need no other. Collective; throws Error,
  /// the same on every rank.
  Keepers(const mpi::Comm& comm, const mpi::Hosts& hosts, const std::string& directory,
          const std::function<void()>& open);

  /// This rank keeps one.
  bool here() const { return here_; }
  /// The ranks that do, but for rank 0.
  const std::vector<int>& others() const { return others_; }

 private:
  bool here_ = false;
  std::vector<int> others_;
};

}  // namespace ecl
