#include "ecl/termination/settling.hpp"

#include <algorithm>

namespace ecl {
namespace {

constexpr std::uint64_t kLeastExchanges = 4, kMostExchanges = 32;  // between two looks at the consensus error
constexpr double kMargin = 0.9;  // asynchronously, models still move a little after the last look

}  // namespace

int Settling::next(double error, double seconds) {
  const bool agree = error <= kMargin * rule_.consensus_error && !(rule_.unheard && done_ == 0);
  if (agree || seconds >= rule_.most_s || done_ >= rule_.most) return 0;
  const std::uint64_t exchanges = std::min(std::clamp(done_ / 4, kLeastExchanges, kMostExchanges), rule_.most - done_);
  done_ += exchanges;
  return static_cast<int>(exchanges);
}

}  // namespace ecl
