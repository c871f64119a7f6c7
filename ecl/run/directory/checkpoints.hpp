#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ecl/base/archive.hpp"

namespace ecl {

/// The number of the latest checkpoint, and of the newest one before it; 0 where there is none.
struct LastTwo {
  std::uint64_t latest = 0, before = 0;
};

/// The checkpoints of a run directory, DIR/checkpoints: one folder each, named by its number (1, 2, ...), with a file
/// for every node that runs by itself, and `latest`, the number of the newest one that is whole. Every file appears in
/// one piece, and `latest` moves when all files of its checkpoint are on disk: whenever the run is killed, what
/// `latest` names can be resumed.
class Checkpoints {
 public:
  /// Touches nothing. `directory`: of the run; empty: no checkpoints are kept. `fingerprint`: what the run is.
  Checkpoints(const std::string& directory, std::string fingerprint);

  bool kept() const { return !folder_.empty(); }
  /// `durable`: as in write_atomically(); make_durable() catches up. Throws Error (io).
  void save(std::uint64_t number, const std::string& name, const Archive& state, bool durable = true) const;
  void make_durable(std::uint64_t number, const std::string& name) const;
  /// Throws Error as load_archive() does.
  Archive load(std::uint64_t number, const std::string& name) const;

  /// The number of the newest whole checkpoint; 0 if there is none yet. Throws Error (io) if `latest` is garbled.
  std::uint64_t latest() const;
  const std::string& folder() const { return folder_; }
  std::string path(std::uint64_t number) const { return folder_ + "/" + std::to_string(number); }
  /// Those that are whole and still there, the oldest first.
  std::vector<std::uint64_t> whole() const;
  /// The newest one before `number`; 0 if there is none.
  std::uint64_t before(std::uint64_t number) const;
  LastTwo last_two() const;
  /// All files of `number` are on disk: it becomes the latest. The one before stays, older ones go, as do those in
  /// between, which will never be whole. Throws Error (io).
  void publish(std::uint64_t number) const;
  /// The same where another host says so, maybe not of each: those in between stay.
  void follow(std::uint64_t number) const;
  /// The run goes on from `number`, or from the beginning if that is 0: it becomes the latest, and what a run that was
  /// killed left beyond it is removed. Throws Error (io).
  void go_on_from(std::uint64_t number) const;

 private:
  template <class Condition>
  void remove(Condition old) const;

  std::string folder_, fingerprint_;
};

/// Loads the latest of `checkpoints` by `load(number)`, which throws Error; returns its number, 0 if there is none. If
/// it cannot be loaded and the one before can, the Error says how to go on from that: nobody should lose steps
/// unawares.
std::uint64_t load_latest(const Checkpoints& checkpoints, const LastTwo& numbers,
                          const std::function<void(std::uint64_t)>& load);

/// What a user is told whose run was killed before its first checkpoint.
std::string no_checkpoint_yet(const std::string& directory);

/// When checkpoints are due, by a node's own steps: every `interval` steps, then at the end of the round (of
/// `local_steps`), where lock step has a common state.
class CheckpointTimes {
 public:
  CheckpointTimes(double interval, int local_steps) : interval_(interval), local_steps_(local_steps) {}
  /// The first one due after `step`; none (the largest number) if the interval is 0.
  std::uint64_t after(std::uint64_t step) const;

 private:
  double interval_;
  int local_steps_;
};

}  // namespace ecl
