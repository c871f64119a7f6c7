#include <csignal>
#include <cstdlib>
#include <unistd.h>

#include "ecl/mpi/session.hpp"
#include "ecl/run/run.hpp"

namespace ecl {
namespace {

volatile std::sig_atomic_t stop_signal = 0;  // the one global: a signal handler has nowhere else to write
pid_t launcher = 0;                          // what started this rank; 0: not watched

void note_signal(int number) { stop_signal = number; }

}  // namespace

void catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGUSR1, &action, nullptr);
  if (mpi::launched()) launcher = getppid();
}

// A rank whose launcher was killed belongs to nobody: without an end of its own it would train on, unseen.
bool stop_requested() { return stop_signal != 0 || (launcher != 0 && getppid() != launcher); }

}  // namespace ecl
