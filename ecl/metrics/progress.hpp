#pragma once

#include <cstdint>

namespace ecl {

/// The one progress line of a run. On a terminal it is redrawn in place, elsewhere a plain line comes at intervals.
class Progress {
 public:
  Progress(bool quiet, bool terminal, std::uint64_t total_steps)
      : quiet_(quiet), terminal_(terminal), total_(total_steps) {}
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `samples_per_step`: of the whole network while one node makes a step. Cheap if it is too soon for a new line.
  void show(double now_s, std::uint64_t step, double epoch, double loss, double samples_per_step);
  /// The newest consensus error, for the following lines.
  void consensus(double error) { consensus_ = error; }
  void finish();

 private:
  bool quiet_, terminal_;
  std::uint64_t total_;
  double last_s_ = 0, consensus_ = -1;
  bool open_ = false;  ///< a redrawn line is on the screen
};

}  // namespace ecl
