#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "ecl/base/archive.hpp"

namespace ecl {

/// Histogram of how old messages are when they are taken, in steps of the reader: its own step less the sender's when
/// it posted (0 if the sender is ahead). Exact below 32, then four bins an octave. Fixed size: it lives in every node.
class Staleness {
 public:
  void add(std::uint64_t steps) {
    ++bins_[bin(steps)];
    ++count_;
  }

  /// The lower end of the bin that holds the quantile q; 0 if nothing was taken.
  double quantile(double q) const {
    const double wanted = q * static_cast<double>(count_);
    double seen = 0;
    for (std::size_t b = 0; b < bins_.size(); ++b) {
      seen += bins_[b];
      if (seen > 0 && seen >= wanted) return static_cast<double>(lower_end(b));
    }
    return 0;
  }

  void archive(Archive& archive) { archive(bins_, count_); }

 private:
  static constexpr std::size_t kExact = 32, kBins = 128;

  static std::size_t bin(std::uint64_t v) {
    if (v < kExact) return v;
    const int octave = std::bit_width(v) - 1;  // 5 for 32 .. 63
    const std::size_t b = kExact + 4 * (octave - 5) + ((v >> (octave - 2)) & 3);
    return b < kBins ? b : kBins - 1;
  }
  static std::uint64_t lower_end(std::size_t b) {
    if (b < kExact) return b;
    const std::size_t octave = 5 + (b - kExact) / 4, quarter = (b - kExact) % 4;
    return (4 + quarter) << (octave - 2);
  }

  std::array<std::uint32_t, kBins> bins_{};
  std::uint64_t count_ = 0;
};

}  // namespace ecl
