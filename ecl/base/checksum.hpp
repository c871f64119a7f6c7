#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ecl {

/// CRC-32 of `bytes`, going on from `before`, the checksum of what came before them.
std::uint32_t checksum(std::span<const std::byte> bytes, std::uint32_t before = 0);

}  // namespace ecl
