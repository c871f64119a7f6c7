#include "ecl/c/helper.hpp"

#include <chrono>
#include <csignal>
#include <utility>

namespace ecl {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{1};  // MPI's progress needs us about as often

}  // namespace

void Helper::start() {
  if (thread_.joinable()) return;
  stops_ = false;
  sigset_t all, callers;  // signals are for the caller's threads
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &callers);
  const auto give_back = [&] { pthread_sigmask(SIG_SETMASK, &callers, nullptr); };
  try {
    thread_ = std::thread([this] { run(); });
  } catch (...) {  // no thread is to be had
    give_back();
    throw;
  }
  give_back();
}

void Helper::stop() {
  stops_ = true;
  if (thread_.joinable()) thread_.join();
}

void Helper::run() {
  for (std::uint64_t seen = 0; !stops_; std::this_thread::sleep_for(kBetweenLooks)) {
    const std::uint64_t calls = calls_.load(std::memory_order_relaxed);
    if (std::exchange(seen, calls) != calls) continue;  // who calls so often needs no help
    const Turn turn(turn_, std::try_to_lock);
    if (turn && !stops_) look_();
  }
}

}  // namespace ecl
