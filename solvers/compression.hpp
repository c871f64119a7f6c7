#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "ecl/base/check.hpp"
#include "ecl/base/random.hpp"
#include "ecl/contracts/solver.hpp"

namespace ecl {

/// The bfloat16 nearest to x, as a float: 8 bits of mantissa, the exponent of a float.
inline float to_bfloat16(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t half = 0x7fff + ((bits >> 16) & 1);  // ties to even
  return std::bit_cast<float>((bits + half) & 0xffff0000u);
}

/// What of a vector travels in one message. Each form is absolute, coordinate by coordinate, so that a lost message
/// still costs only age: the receiver keeps what it had.
///
///     none       all d floats
///     bf16       all coordinates as bfloat16, two in a float: half the bytes, a relative error of 2^-9 (no scale is
///                shared between coordinates)
///     rand_k:P   k = P d of the coordinates, drawn anew for each message, one from each of k equal stretches; the last
///                float is the message's number, from which the receiver draws the same ones (the masked form
///                of C-ECL: Takezawa, Niwa and Yamada 2022, arXiv 2205.03779, with the masks known to both ends)
class Compression {
 public:
  Compression(const SolverSetup& setup, const std::string& text)
      : dim_(setup.initial.size()), node_(setup.node), nodes_(setup.graph.size()), seed_(setup.seed) {
    const Choice choice = Choice::parse(text);
    Params params("compress " + choice.name, choice.arguments);
    if (choice.name == "rand_k")
      drawn_ = std::max<std::size_t>(
          1, std::llround(params.number("share", 0.1, 1e-6, 1, "of the coordinates") * static_cast<double>(dim_)));
    else if (choice.name == "bf16")
      halves_ = true;
    else if (choice.name != "none")
      throw Error("compress: unknown form '" + choice.name + "' (known: none, bf16, rand_k:P)");
    params.finish();
  }

  /// Floats a message.
  std::size_t message_size() const {
    if (halves_) return (dim_ + 1) / 2;
    return drawn_ > 0 ? drawn_ + 1 : dim_;
  }

  /// Fills `message`, the `number`-th to `peer`; `value(d)` brings coordinate d of the sent vector up to date. What is
  /// sent of it is also what it becomes.
  template <class Value>
  void encode(NodeId peer, std::uint64_t number, Vec message, const Value& value) const {
    if (halves_) {
      for (std::size_t d = 0; d < dim_; ++d) {
        float& x = value(d);
        x = to_bfloat16(x);
        const auto upper = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16);
        std::memcpy(reinterpret_cast<char*>(message.data()) + d * sizeof upper, &upper, sizeof upper);
      }
      if (dim_ % 2 != 0) std::memset(reinterpret_cast<char*>(message.data()) + dim_ * 2, 0, 2);
    } else if (drawn_ > 0) {
      std::size_t k = 0;
      number %= kNumbers;
      draw(node_, peer, number, [&](std::size_t d) { message[k++] = value(d); });
      message[k] = static_cast<float>(number);
    } else {
      for (std::size_t d = 0; d < dim_; ++d) message[d] = value(d);
    }
  }

  /// Writes what `message` from `peer` holds into its places in `vector`.
  void decode(NodeId peer, CVec message, Vec vector) const {
    if (halves_) {
      for (std::size_t d = 0; d < dim_; ++d) {
        std::uint16_t upper;
        std::memcpy(&upper, reinterpret_cast<const char*>(message.data()) + d * sizeof upper, sizeof upper);
        const float x = std::bit_cast<float>(static_cast<std::uint32_t>(upper) << 16);
        if (std::isfinite(x)) vector[d] = x;  // the engine's look at whole floats sees every second coordinate only
      }
    } else if (drawn_ > 0) {
      std::size_t k = 0;
      const auto number = static_cast<std::uint64_t>(std::abs(std::fmod(message.back(), float{kNumbers})));
      draw(peer, node_, number, [&](std::size_t d) { vector[d] = message[k++]; });
    } else {
      std::copy(message.begin(), message.end(), vector.begin());
    }
  }

 private:
  static constexpr std::uint32_t kNumbers = 1u << 24;  // a float counts no further

  template <class Visit>
  void draw(NodeId writer, NodeId reader, std::uint64_t number, const Visit& visit) const {
    Random random(seed_, Purpose::compression, static_cast<std::uint64_t>(writer) * nodes_ + reader, number);
    for (std::size_t k = 0; k < drawn_; ++k) {
      const std::size_t first = k * dim_ / drawn_, end = (k + 1) * dim_ / drawn_;
      visit(first + random.below(end - first));
    }
  }

  std::size_t dim_;
  NodeId node_, nodes_;
  std::uint64_t seed_;
  std::size_t drawn_ = 0;  ///< k; 0: all
  bool halves_ = false;
};

}  // namespace ecl
