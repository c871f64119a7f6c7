#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace ecl {

/// A thread that looks after open nodes while the caller computes, about every millisecond (progress=thread of ecl.h).
///
/// MPI and nodes are used by one thread at a time, whoever has the turn: the caller for the length of each call, the
/// helper for the length of a look. The helper never waits for its turn: a caller that has it moves messages itself.
class Helper {
 public:
  using Turn = std::unique_lock<std::timed_mutex>;

  /// `look` is called by the thread, which has the turn; it throws nothing and waits for nobody.
  explicit Helper(std::function<void()> look) : look_(std::move(look)) {}
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;
  ~Helper() { stop(); }

  /// The thread is there from here on; again and again: does nothing.
  void start();
  /// It is gone, with its last look. By whoever has the turn, or by a thread that is not to have it any more.
  void stop();
  /// For the length of a call of the caller's.
  [[nodiscard]] Turn turn() {
    calls_.fetch_add(1, std::memory_order_relaxed);
    return Turn(turn_);
  }
  /// The same for a process that ends: has no turn if the helper sits in MPI, as with a network that is gone.
  [[nodiscard]] Turn last_turn() { return Turn(turn_, std::chrono::seconds(1)); }

 private:
  void run();

  std::function<void()> look_;
  std::timed_mutex turn_;
  std::atomic<std::uint64_t> calls_ = 0;
  std::atomic<bool> stops_ = false;
  std::thread thread_;
};

}  // namespace ecl
