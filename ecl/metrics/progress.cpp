#include "ecl/metrics/progress.hpp"

#include <cmath>
#include <cstdio>
#include <string>
#include <utility>

namespace ecl {
namespace {

constexpr double kRedraw_s = 0.2, kPlainLine_s = 5;

std::string duration(double seconds) {
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

}  // namespace

void Progress::show(double now_s, std::uint64_t step, double epoch, double loss, double samples_per_step) {
  if (quiet_ || now_s - last_s_ < (terminal_ ? kRedraw_s : kPlainLine_s)) return;
  last_s_ = now_s;
  char consensus[48] = "";
  if (consensus_ >= 0) std::snprintf(consensus, sizeof consensus, "  consensus error %.2e", consensus_);
  const double rate = now_s > 0 ? static_cast<double>(step) / now_s : 0;
  const double left_s = rate > 0 ? static_cast<double>(total_ - step) / rate : 0;
  std::fprintf(stderr, "%sstep %llu/%llu  epoch %.1f  loss %.4f%s  %.3g samples/s  %s left%s", terminal_ ? "\r" : "",
               static_cast<unsigned long long>(step), static_cast<unsigned long long>(total_), epoch, loss, consensus,
               rate * samples_per_step, duration(left_s).c_str(), terminal_ ? "\033[K" : "\n");
  std::fflush(stderr);
  open_ = terminal_;
}

void Progress::finish() {
  if (std::exchange(open_, false)) std::fprintf(stderr, "\n");
}

}  // namespace ecl
