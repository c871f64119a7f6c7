#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "ecl/metrics/recorder.hpp"
#include "ecl/mpi/comm.hpp"
#include "ecl/run/directory/checkpoints.hpp"
#include "ecl/run/directory/keepers.hpp"
#include "ecl/run/experiment.hpp"
#include "ecl/termination/announcement.hpp"
#include "ecl/termination/stop_agreement.hpp"
#include "ecl/termination/tally.hpp"

namespace ecl {

/// A rank's part in the checkpoints of a run over ranks, and in the one that a stop signal asks for.
///
/// Every rank writes a file of its own, in the directory that its host sees, and tells rank 0; nobody waits. Rank 0
/// makes the checkpoint the latest when all files are on disk, and the evaluations up to it in metrics.csv. A run goes
/// on from rank 0's latest; those who keep directories of their own follow it, and never drop a file before.
class RankCheckpoints {
 public:
  /// Saves or loads all of the rank that changes in training. `complete`: evaluations in which all ranks have begun
  /// their parts.
  using State = std::function<void(Archive&, std::uint64_t complete)>;
  /// Where the rank stands when it asks.
  struct Standing {
    std::uint64_t step, begun;  ///< steps made, evaluations begun
    bool ready;                 ///< it could make a step
    bool busy;                  ///< an evaluation comes first
  };

  /// Collective. Keeps none where the run has no directory.
  RankCheckpoints(const mpi::Comm& comm, const Experiment& experiment, State state);

  bool kept() const { return files_.kept(); }
  /// Takes up the latest checkpoint, if there is one; changes nothing on disk. Returns its number, or 0. Collective;
  /// throws Error, the same on every rank.
  std::uint64_t resume();
  /// Before training: whose directories the files lie in. Collective; what goes wrong is found in error().
  void begin(const Keepers& keepers);
  /// Rank 0, before training: where the evaluations go, and whom to tell when a checkpoint has become the latest.
  void write_beside(Recorder& recorder, std::function<void()> published);

  /// Moves what is under way. `rows`: of metrics.csv that are written; rank 0.
  void poke(std::uint64_t rows);
  /// Whether a checkpoint comes before the next step.
  bool due(std::uint64_t step) const;
  void save(const Standing& now) { save(number_ + 1, now.step, now.begun, true); }
  /// A stop signal ends a run that keeps checkpoints in three steps: the ranks agree where to stand (in lock step on
  /// the next boundary that all can reach), each saves itself there, and when the checkpoint is the latest rank 0 stops
  /// the run. `told`: this rank got the signal. True while this rank must not step.
  bool halts(bool told, const Standing& now);
  /// After a stop signal this rank has made, or tried to make, its checkpoint, and takes no step any more.
  bool halting() const { return halted_at_ != 0; }
  /// Another rank got the signal.
  bool heard() const { return heard_; }
  /// The checkpoint that a stop signal asked for is the latest: the run can be stopped. Rank 0.
  bool halted() const { return halted_at_ != 0 && published_ == halted_at_; }
  /// Collective, at the end: nothing is left under way, and what is there lasts.
  void finish(std::uint64_t rows);

  std::uint64_t written() const { return number_; }       ///< number of the last that this rank has written
  std::uint64_t published() const { return published_; }  ///< number of the latest; of the keepers
  /// A checkpoint could not be written.
  const std::optional<Error>& error() const { return error_; }

 private:
  struct Waiting {
    std::uint64_t number, rows;  ///< of metrics.csv that must be there
  };

  std::string name() const { return "node-" + std::to_string(comm_.rank()); }
  std::uint64_t boundary_after(std::uint64_t step) const;
  void archive(Archive& archive, std::uint64_t complete);
  void save(std::uint64_t number, std::uint64_t stood, std::uint64_t complete, bool durable);
  void publish(std::uint64_t rows);
  void publish_one(std::uint64_t number);
  void follow();

  mpi::Comm comm_;
  const Experiment& experiment_;
  State state_;
  Checkpoints files_;
  CheckpointTimes times_;
  Tally saved_;                         ///< by number of the checkpoint: whose files are on disk
  std::optional<Announcement> latest_;  ///< rank 0 tells the other keepers which one is the latest
  StopAgreement halt_;  ///< after a stop signal: step of the next boundary, evaluations begun, checkpoints made
  Recorder* recorder_ = nullptr;
  std::function<void()> on_published_;
  std::deque<Waiting> waiting_;  ///< checkpoints that this rank has written, to be published
  std::uint64_t number_ = 0;     ///< of the last that this rank has written
  std::uint64_t published_ = 0;
  std::uint64_t stood_ = 0;  ///< step of the last one; of the foremost rank, if they differ
  std::uint64_t next_ = 0;   ///< step at which the next one is due
  std::uint64_t halted_at_ = 0;
  std::size_t bytes_ = 0;  ///< of the last one's file
  bool heard_ = false, keeps_ = false;
  std::optional<Error> error_;
};

}  // namespace ecl
