#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ecl/base/types.hpp"

namespace ecl {

/// The one progress line of a run. On a terminal it is a bar, redrawn in place, elsewhere a plain line comes at
/// intervals.
class Progress {
 public:
  /// How far the run is.
  struct State {
    double now_s;
    std::uint64_t step;  ///< of node 0
    double epoch;
    double loss;
    double samples_per_step;        ///< of the whole network while each node makes a step
    double share_done;              ///< of the steps of all nodes, 0 .. 1
    std::optional<NodeId> slowest;  ///< node, where there are several
    std::uint64_t slowest_step;
  };

  Progress(bool quiet, bool terminal, std::uint64_t total_steps)
      : quiet_(quiet), terminal_(terminal), total_(total_steps) {}
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Training begins, or goes on after a checkpoint: rates count from here.
  void begin(double now_s, std::uint64_t step);
  /// A line that grows old can be drawn again, whenever it is due().
  bool redraws() const { return terminal_ && !quiet_; }
  /// It is time for a new line.
  bool due(double now_s) const;
  void show(const State& state);
  /// Of the newest evaluation, for the following lines: per cent, NaN where it does not apply.
  void evaluated(double consensus_error, double accuracy) { consensus_ = consensus_error, accuracy_ = accuracy; }
  void finish();

 private:
  struct Mark {
    double now_s = 0;
    double step = 0;          ///< of node 0
    double slowest_step = 0;  ///< 0: not known
    double steps_of_all = 0;  ///< the same; mean over the nodes
  };

  void redraw(const State& state);
  void print(const State& state) const;
  double per_second(const State& state, double value, double marked) const;
  double steps_of_all(const State& state) const { return state.share_done * static_cast<double>(total_); }
  std::string time_left(const State& state) const;
  void move_marks(const State& state);

  bool quiet_, terminal_;
  std::uint64_t total_;
  double last_s_ = 0, consensus_ = -1, accuracy_ = -1;
  Mark older_, newer_;  ///< rates are those since the older one
  bool open_ = false;   ///< a redrawn line is on the screen
};

/// "12 s", "3 min 05 s", "2 h 07 min".
std::string duration_text(double seconds);

}  // namespace ecl
