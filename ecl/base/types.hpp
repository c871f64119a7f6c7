#pragma once

#include <cstdint>
#include <span>

/// The words that every floor shares.
///
/// Index names are the same everywhere: `i`, `j` nodes; `e` a node's local edge (0 .. degree-1); `k` a step;
/// `d` the dimension of the model.
namespace ecl {

using NodeId = std::int32_t;
using Vec = std::span<float>;         ///< d floats that the callee writes
using CVec = std::span<const float>;  ///< d floats that the callee reads
using Stamp = std::uint64_t;          ///< number of a message on its edge: 1 for the first, 0 for "none yet"

}  // namespace ecl
