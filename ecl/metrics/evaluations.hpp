#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ecl/metrics/recorder.hpp"
#include "ecl/mpi/comm.hpp"
#include "ecl/termination/stop_agreement.hpp"

namespace ecl {

/// Evaluations of a run over ranks that never make anybody wait.
///
/// Each rank begins its k-th evaluation when it gets there. Two non-blocking collectives carry it on in the background:
/// the sum of the models, which gives every rank its distance to their mean; then the rows, gathered on rank 0. They
/// finish when the slowest rank has begun its k-th. Until then a rank keeps 20 d bytes for it: far ahead of a stopped
/// rank, evaluate less often.
///
/// Any rank can stop the run early, at any time (it diverged, or was told to stop): a rank that hears of it must stop
/// too. All then learn how far the foremost rank had got, begin as many evaluations, the missing ones empty, and
/// one more: the last.
class Evaluations {
 public:
  /// What a rank finds out about the mean of the models: bytes, always as many, the same number on all ranks.
  using Look = std::function<std::string(const std::vector<double>& mean)>;
  /// On rank 0, `finished` gets the rows of each evaluation in node order, and what the ranks found out, but for the
  /// empty ones.
  using Finished = std::function<void(std::vector<MetricsRow>&, const std::vector<std::string>& looks)>;

  /// Collective. `total`: evaluations of a run that is not stopped early, the same on all ranks.
  Evaluations(const mpi::Comm& comm, std::size_t dim, std::uint64_t total, Look look, Finished finished);

  /// Begin this rank's next evaluation.
  void begin(CVec x, const MetricsRow& row);
  /// Begin no more on one's own account: the run ends now, with this rank as it stands. Call it once; and, unless
  /// stopped_early(), only before one's last evaluation: after that there may be nobody left to tell.
  void stop_early(CVec x, const MetricsRow& row);
  /// Moves what is under way. Waits for nobody, but for messages that are on their way when a run is stopped early.
  void poke();

  std::uint64_t begun() const { return begun_; }
  /// Some rank called the run off: this one must too.
  bool stopped_early() const { return heard_ || closing_.has_value(); }
  /// All evaluations have finished on this rank.
  bool done() const { return begun_ == total_ && pending_.empty() && !agreeing_; }
  /// Saves or loads this rank's parts in the evaluations after the first `complete`; in those all ranks have begun
  /// theirs. Loading begins nothing yet: resume() does.
  void archive(Archive& archive, std::uint64_t complete = 0);
  void resume();
  /// The mean of the models at the newest finished evaluation.
  const std::vector<double>& mean() const { return mean_; }

 private:
  struct Pending {
    std::vector<float> x;
    std::vector<double> values, sums;  ///< the model, then 1 if this rank's part is empty
    std::string mine, all;             ///< the row, and what was found out; on rank 0 everybody's
    MetricsRow row;
    MPI_Request request = MPI_REQUEST_NULL;
    bool gathering = false;
  };
  /// This rank's part in an evaluation.
  struct Part {
    std::vector<float> x;
    MetricsRow row;
    void archive(Archive& archive) {
      archive.list(x);
      archive(row);
    }
  };

  void start(CVec x, const MetricsRow& row, bool empty);
  void start_gathering(Pending& pending);
  void hand_over(const Pending& pending);
  void finish_agreeing();

  mpi::Comm sums_, rows_;  ///< each sees its collectives in the same order on every rank
  StopAgreement stop_;
  std::uint64_t total_, begun_ = 0;
  bool heard_ = false;           ///< another rank said that it stops
  bool agreeing_ = false;        ///< how far everybody got is not known yet
  std::optional<Part> closing_;  ///< this rank's in the last evaluation of a run that was stopped early
  Look look_;
  Finished finished_;
  std::vector<Part> loaded_;  ///< to begin again
  std::deque<Pending> pending_;
  std::vector<double> mean_;
};

}  // namespace ecl
