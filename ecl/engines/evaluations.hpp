#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "ecl/engines/recorder.hpp"
#include "ecl/mpi/comm.hpp"

namespace ecl {

/// Evaluations of a run over ranks that never make anybody wait.
///
/// Each rank begins its k-th evaluation when it gets there. Two non-blocking collectives carry it on in the background:
/// the sum of the models, which gives every rank its distance to their mean; then the rows, gathered on rank 0. They
/// finish when the slowest rank has begun its k-th. All ranks begin the same number of evaluations, `total`.
///
/// The sum also carries a flag by which a rank calls the run off (it diverged, or was told to stop): a rank that sees
/// the flag begins its remaining evaluations at once, all empty but the last, so that all counts agree.
class Evaluations {
 public:
  /// On rank 0, `finished` gets the rows of each evaluation in node order; of those called off only the last.
  using Finished = std::function<void(const std::vector<MetricsRow>&)>;

  /// Collective.
  Evaluations(const mpi::Comm& comm, std::size_t dim, std::uint64_t total, Finished finished);

  /// Begin this rank's next evaluation.
  void begin(CVec x, const MetricsRow& row);
  /// Begin all the remaining ones, the last with `row`; the others will follow.
  void call_off(CVec x, const MetricsRow& row);
  /// Moves what is under way; never waits. Call it often.
  void poke();

  std::uint64_t begun() const { return begun_; }
  bool called_off() const { return called_off_; }
  /// All `total` evaluations have finished on this rank.
  bool done() const { return begun_ == total_ && pending_.empty(); }
  /// The mean of the models at the newest finished evaluation.
  const std::vector<double>& mean() const { return mean_; }

 private:
  struct Pending {
    std::vector<float> x;
    std::vector<double> values, sums;  ///< the model, then the flag
    std::vector<MetricsRow> rows;      ///< on rank 0: everybody's
    MetricsRow row;
    MPI_Request request = MPI_REQUEST_NULL;
    bool gathering = false, last = false;
  };

  void start(CVec x, const MetricsRow& row, bool off);
  void start_gathering(Pending& pending);

  mpi::Comm sums_, rows_;  ///< two communicators: each sees its collectives in the same order on every rank
  std::uint64_t total_, begun_ = 0;
  bool called_off_ = false;
  Finished finished_;
  std::deque<Pending> pending_;
  std::vector<double> mean_;
};

}  // namespace ecl
