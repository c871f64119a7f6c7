#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

namespace ecl {

/// What a random stream is for. Streams of different purposes are independent.
enum class Purpose : std::uint64_t {
  initial_model = 1,
  batches,
  partition,
  topology,
  dataset,
  step_time,
  network,
  compression,
  placement,
  test,
  augmentation
};

/// Counter-based random numbers: the stream is a pure function of (seed, purpose, node, step).
///
/// So a data split does not depend on the number of ranks that compute it, and a simulated event does not depend on
/// the order in which events are handled. Each output is a bijective mix (SplitMix64's finaliser; Steele, Lea and
/// Flood, OOPSLA 2014) of key + counter * odd constant. Models std::uniform_random_bit_generator, so it feeds the
/// distributions of <random>.
class Random {
 public:
  using result_type = std::uint64_t;

  Random(std::uint64_t seed, Purpose purpose, std::uint64_t node = 0, std::uint64_t step = 0)
      : state_(mix(mix(mix(mix(seed + kGolden) + static_cast<std::uint64_t>(purpose)) + node) + step)) {}

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }
  result_type operator()() { return mix(state_ += kGolden); }

  /// Uniform in [0, 1), 53 random bits.
  double uniform() { return static_cast<double>((*this)() >> 11) * 0x1p-53; }

  /// Uniform in 0 .. n-1, n > 0 (multiply-shift: the bias is below 2^-32 for n < 2^32).
  std::uint64_t below(std::uint64_t n) { return static_cast<std::uint64_t>((static_cast<Wide>((*this)()) * n) >> 64); }

 private:
  __extension__ using Wide = unsigned __int128;
  static constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15ull;

  static constexpr std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }

  std::uint64_t state_;
};

/// Fisher-Yates shuffle: the same order on every platform, which std::shuffle does not promise.
template <class Range>
void shuffle(Range& values, Random& random) {
  for (std::size_t n = values.size(); n > 1; --n) std::swap(values[n - 1], values[random.below(n)]);
}

}  // namespace ecl
