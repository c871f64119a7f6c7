#include "ecl/metrics/progress.hpp"

#include <cmath>
#include <cstdio>
#include <string>
#include <utility>

namespace ecl {
namespace {

constexpr double kRedraw_s = 0.2, kPlainLine_s = 5;
constexpr int kBar = 12;
constexpr double kBehind = 0.02;  // of its steps: a node that is so far behind the mean is worth a word

/// At the rate so far.
double seconds_left(double now_s, std::uint64_t step, std::uint64_t total) {
  return step == 0 ? 0 : now_s / static_cast<double>(step) * static_cast<double>(total - step);
}

}  // namespace

std::string duration_text(double seconds) {
  char text[32];
  const long s = std::lround(seconds);
  if (s < 60)
    std::snprintf(text, sizeof text, "%ld s", s);
  else if (s < 3600)
    std::snprintf(text, sizeof text, "%ld min %02ld s", s / 60, s % 60);
  else
    std::snprintf(text, sizeof text, "%ld h %02ld min", s / 3600, s / 60 % 60);
  return text;
}

bool Progress::due(double now_s) const { return !quiet_ && now_s - last_s_ >= (terminal_ ? kRedraw_s : kPlainLine_s); }

void Progress::show(const State& state) {
  last_s_ = state.now_s;
  if (terminal_)
    redraw(state);
  else
    print(state);
  std::fflush(stderr);
}

/// Below 80 columns: a line that a terminal breaks cannot be redrawn.
void Progress::redraw(const State& state) {
  const int filled = static_cast<int>(kBar * state.share_done);
  const double percent = 100 * state.share_done;
  char measure[32], slowest[48] = "";
  if (accuracy_ >= 0)
    std::snprintf(measure, sizeof measure, "accuracy %.1f %%", accuracy_);
  else
    std::snprintf(measure, sizeof measure, "loss %.4g", state.loss);
  const double share = static_cast<double>(state.slowest_step) / static_cast<double>(total_);
  if (state.slowest && share < state.share_done - kBehind)
    std::snprintf(slowest, sizeof slowest, "  slowest: node %d, %.0f %%", *state.slowest, std::floor(100 * share));
  const double left_s =
      seconds_left(state.now_s, state.slowest && state.slowest_step > 0 ? state.slowest_step : state.step, total_);
  std::fprintf(stderr, "\r[%s%s] %3.0f %%  %s  %s left%s\033[K", std::string(filled, '#').c_str(),
               std::string(kBar - filled, '.').c_str(), std::floor(percent), measure, duration_text(left_s).c_str(),
               slowest);
  open_ = true;
}

void Progress::print(const State& state) const {
  char consensus[48] = "";
  if (consensus_ >= 0) std::snprintf(consensus, sizeof consensus, "  consensus error %.2e", consensus_);
  const double rate = state.now_s > 0 ? static_cast<double>(state.step) / state.now_s : 0;
  std::fprintf(stderr, "step %llu/%llu  epoch %.1f  loss %.4f%s  %.3g samples/s  %s left\n",
               static_cast<unsigned long long>(state.step), static_cast<unsigned long long>(total_), state.epoch,
               state.loss, consensus, rate * state.samples_per_step,
               duration_text(seconds_left(state.now_s, state.step, total_)).c_str());
}

void Progress::finish() {
  if (std::exchange(open_, false)) std::fprintf(stderr, "\n");
}

}  // namespace ecl
