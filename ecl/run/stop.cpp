#include <csignal>

#include "ecl/run/run.hpp"

namespace ecl {
namespace {

volatile std::sig_atomic_t stop_signal = 0;  // the one global: a signal handler has nowhere else to write

void note_signal(int number) { stop_signal = number; }

}  // namespace

void catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGUSR1, &action, nullptr);
}

bool stop_requested() { return stop_signal != 0; }

}  // namespace ecl
