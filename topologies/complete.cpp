// Complete: every pair of nodes.
//
// Degree n-1, diameter 1, spectral gap 1: one round of gossip is the exact mean. The number of edges grows as n^2/2, so
// it is the reference for small n and nothing for large n.
// Source: the spectrum is textbook; Brouwer and Haemers, "Spectra of Graphs", Springer 2012, section 1.4.
#include <string>

#include "ecl/base/check.hpp"
#include "ecl/contracts/graph.hpp"

namespace ecl {

Graph make_complete(NodeId n, std::uint64_t, Params&) {
  constexpr NodeId kLargest = 20000;  // 2 * 10^8 edges, some GB
  if (n > kLargest)
    throw Error("topology complete: " + std::to_string(n) + " nodes have too many pairs; use at most " +
                std::to_string(kLargest) + " nodes, or exponential");
  std::vector<Edge> edges;
  edges.reserve(static_cast<std::size_t>(n) * (n - 1) / 2);
  for (NodeId i = 0; i < n; ++i)
    for (NodeId j = i + 1; j < n; ++j) edges.emplace_back(i, j);
  return Graph(n, edges, "topology complete");
}

}  // namespace ecl
