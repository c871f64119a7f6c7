#include "ecl/run/settling.hpp"

#include <algorithm>

namespace ecl {
namespace {

constexpr std::uint64_t kLeastExchanges = 4, kMostExchanges = 32;  // between two looks at the consensus error
constexpr double kMargin = 0.9;  // asynchronously, models still move a little after the last look

}  // namespace

Settling::Settling(const Experiment& experiment)
    : limit_(kMargin * experiment.spec.consensus_error),
      most_s_(experiment.spec.settle_s),
      most_(experiment.nodes() > 1 && experiment.exchanges() ? experiment.spec.settle : 0),
      unheard_(experiment.rounds() == 1) {}

int Settling::next(double error, double seconds) {
  const bool agree = error <= limit_ && !(unheard_ && done_ == 0);
  if (agree || seconds >= most_s_ || done_ >= most_) return 0;
  const std::uint64_t exchanges = std::min(std::clamp(done_ / 4, kLeastExchanges, kMostExchanges), most_ - done_);
  done_ += exchanges;
  return static_cast<int>(exchanges);
}

}  // namespace ecl
