// Chain: node i with i+1, open: the path graph.
//
// Degree 1 at both ends, else 2; diameter n-1; spectral gap (2/3)(1 - cos(pi/n)) for n > 2, of order 1/n^2 and about a
// quarter of the ring's. Every edge is a bridge: losing one cuts the network.
// Source: the spectrum of the path is textbook; Brouwer and Haemers, "Spectra of Graphs", Springer 2012, section 1.4.
#include "ecl/contracts/graph.hpp"

namespace ecl {

Graph make_chain(NodeId n, std::uint64_t, Params&) {
  std::vector<Edge> edges;
  for (NodeId i = 0; i + 1 < n; ++i) edges.emplace_back(i, i + 1);
  return Graph(n, edges, "topology chain");
}

}  // namespace ecl
