// Double ring: node i with i+1 and i+2 (mod n).
//
// Degree 4 from n = 5 up (smaller ones are complete), diameter ceil(floor(n/2) / 2), spectral gap about 4 pi^2/n^2:
// three times the ring's, at twice the traffic.
// Source: the multiplex ring of Niwa et al., "Asynchronous decentralized optimization with implicit stochastic variance
// reduction", ICML 2021.
#include "topologies/edges.hpp"

namespace ecl {

Graph make_double_ring(NodeId n, std::uint64_t, Params&) {
  return Graph(n, circulant_edges(n, {1, 2}), "topology double_ring");
}

}  // namespace ecl
