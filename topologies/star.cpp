// Star: node 0 with all others, as a parameter server is wired.
//
// Degree n-1 at the hub and 1 elsewhere, diameter 2, spectral gap 1/n for n > 2: two hops everywhere, and yet it mixes
// slowly, because Metropolis weights let the hub give each leaf only a share of 1/n.
// Source: the spectrum is textbook; Brouwer and Haemers, "Spectra of Graphs", Springer 2012, section 1.4.
#include "ecl/contracts/graph.hpp"

namespace ecl {

Graph make_star(NodeId n, std::uint64_t, Params&) {
  std::vector<Edge> edges;
  for (NodeId j = 1; j < n; ++j) edges.emplace_back(0, j);
  return Graph(n, edges, "topology star");
}

}  // namespace ecl
