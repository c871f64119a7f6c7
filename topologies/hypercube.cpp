// Hypercube: two nodes are joined when their numbers differ in one bit. n is a power of two.
//
// Degree and diameter log2 n, spectral gap 2/(1 + log2 n).
// Source: the spectrum is textbook; Brouwer and Haemers, "Spectra of Graphs", Springer 2012, section 1.4.
#include <bit>
#include <string>

#include "ecl/contracts/graph.hpp"

namespace ecl {

Graph make_hypercube(NodeId n, std::uint64_t, Params&) {
  const auto count = static_cast<std::uint32_t>(n);
  if (!std::has_single_bit(count)) {
    const std::uint64_t below = std::bit_floor(count);
    throw Error("topology hypercube: " + std::to_string(n) + " nodes are not a power of two; use " +
                std::to_string(below) + " or " + std::to_string(2 * below) + " nodes, or exponential");
  }
  std::vector<Edge> edges;
  for (std::uint32_t i = 0; i < count; ++i)
    for (std::uint32_t bit = 1; bit < count; bit *= 2)
      if ((i & bit) == 0) edges.emplace_back(static_cast<NodeId>(i), static_cast<NodeId>(i | bit));
  return Graph(n, edges, "topology hypercube");
}

}  // namespace ecl
