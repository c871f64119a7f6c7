#pragma once

#include <chrono>
#include <thread>

namespace ecl::mpi {

/// Waits of whoever polls, that grow: a few looks that only give the core away, then short sleeps.
class Pause {
 public:
  void wait() {
    if (++looks_ < 200)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  /// Something has come.
  void reset() { looks_ = 0; }

 private:
  int looks_ = 0;
};

}  // namespace ecl::mpi
