#pragma once

#include <mpi.h>
#include <optional>
#include <vector>

#include "ecl/base/types.hpp"
#include "ecl/mpi/comm.hpp"

namespace ecl {

/// The consensus error of ranks that never make anybody wait: two non-blocking sums, of the models, then of their
/// distances to the mean. A check finishes when all ranks have begun theirs. All find the same figures.
class ConsensusCheck {
 public:
  struct Result {
    double error;    ///< as consensus_error()
    double seconds;  ///< mean over the ranks of what they gave to begin()
  };

  /// Collective.
  ConsensusCheck(const mpi::Comm& comm, std::size_t dim);

  /// Begins this rank's next check, of its model as it is now.
  void begin(CVec x, double seconds);
  bool running() const { return request_ != MPI_REQUEST_NULL; }
  /// Moves what is under way; the check's result when it has finished, once.
  std::optional<Result> poke();
  /// Collective, when no rank begins one by itself any more: whoever has not begun a check that others wait in does.
  void finish(CVec x);

 private:
  mpi::Comm comm_;
  mpi::Comm counts_;  ///< for finish(): on comm_ a check of others may be under way, which this rank has yet to begin
  std::uint64_t begun_ = 0;
  std::vector<float> x_;
  std::vector<double> values_, mean_;
  double distances_[2] = {}, sums_[2] = {};  ///< squared distance, seconds
  bool measuring_ = false;                   ///< the second sum is under way
  MPI_Request request_ = MPI_REQUEST_NULL;
};

}  // namespace ecl
