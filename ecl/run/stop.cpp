#include <array>
#include <csignal>
#include <cstdlib>
#include <unistd.h>
#include <utility>

#include "ecl/mpi/session.hpp"
#include "ecl/run/run.hpp"

namespace ecl {
namespace {

volatile std::sig_atomic_t stop_signal = 0;  // the one global: a signal handler has nowhere else to write
pid_t launcher = 0;                          // what started this rank; 0: not watched
constexpr std::array kSignals = {SIGTERM, SIGINT, SIGUSR1};
std::array<struct sigaction, kSignals.size()> before;  // who was told of them
bool caught = false;

void note_signal(int number) { stop_signal = number; }

}  // namespace

void catch_stop_signals() {
  if (std::exchange(caught, true)) return;
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  for (std::size_t s = 0; s < kSignals.size(); ++s) sigaction(kSignals[s], &action, &before[s]);
  if (mpi::launched()) launcher = getppid();
}

void release_stop_signals() {
  if (!std::exchange(caught, false)) return;
  for (std::size_t s = 0; s < kSignals.size(); ++s) sigaction(kSignals[s], &before[s], nullptr);
  stop_signal = 0;
}

// A rank whose launcher was killed belongs to nobody: without an end of its own it would train on, unseen.
bool stop_requested() { return stop_signal != 0 || (launcher != 0 && getppid() != launcher); }

}  // namespace ecl
