#include "ecl/metrics/progress.hpp"

#include <cmath>
#include <cstdio>
#include <string>
#include <utility>

namespace ecl {
namespace {

constexpr double kRedraw_s = 0.2, kPlainLine_s = 5;
constexpr double kMark_s = 60;  // rates are of the last minute or two: they forget a pause, and outlast an evaluation
constexpr int kBar = 12;
constexpr double kBehind = 0.02;  // of its steps: a node that is so far behind the mean is worth a word

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

void Progress::begin(double now_s, std::uint64_t step) {
  last_s_ = now_s;
  older_ = newer_ = {.now_s = now_s, .step = static_cast<double>(step)};
}

void Progress::show(const State& state) {
  last_s_ = state.now_s;
  if (terminal_)
    redraw(state);
  else
    print(state);
  std::fflush(stderr);
  move_marks(state);
}

void Progress::move_marks(const State& state) {
  if (state.now_s - newer_.now_s < kMark_s) return;
  older_ = std::exchange(newer_, {.now_s = state.now_s,
                                  .step = static_cast<double>(state.step),
                                  .slowest_step = static_cast<double>(state.slowest_step),
                                  .steps_of_all = steps_of_all(state)});
}

/// How fast a number of steps grows that was `marked` at the older mark; if that is not known, in proportion to node 0.
double Progress::per_second(const State& state, double value, double marked) const {
  const double seconds = state.now_s - older_.now_s, step = static_cast<double>(state.step);
  if (seconds <= 0) return 0;
  if (marked > 0) return (value - marked) / seconds;
  return step > 0 ? (step - older_.step) / seconds * value / step : 0;
}

/// Until the slowest node has made its steps.
std::string Progress::time_left(const State& state) const {
  const auto step = static_cast<double>(state.slowest_step > 0 ? state.slowest_step : state.step);
  const auto total = static_cast<double>(total_);
  const double rate = per_second(state, step, older_.slowest_step);
  if (step >= total) return "0 s";
  return rate > 0 ? duration_text((total - step) / rate) : "?";
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
  std::fprintf(stderr, "\r[%s%s] %3.0f %%  %s  %s left%s\033[K", std::string(filled, '#').c_str(),
               std::string(kBar - filled, '.').c_str(), std::floor(percent), measure, time_left(state).c_str(),
               slowest);
  open_ = true;
}

void Progress::print(const State& state) const {
  char consensus[48] = "";
  if (consensus_ >= 0) std::snprintf(consensus, sizeof consensus, "  consensus error %.2e", consensus_);
  std::fprintf(stderr, "step %llu/%llu  epoch %.1f  loss %.4f%s  %.3g samples/s  %s left\n",
               static_cast<unsigned long long>(state.step), static_cast<unsigned long long>(total_), state.epoch,
               state.loss, consensus,
               per_second(state, steps_of_all(state), older_.steps_of_all) * state.samples_per_step,
               time_left(state).c_str());
}

void Progress::finish() {
  if (std::exchange(open_, false)) std::fprintf(stderr, "\n");
}

}  // namespace ecl
