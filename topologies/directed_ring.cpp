// Directed ring: node i sends to i+1 (mod n) and hears from i-1 alone.
//
// Out-degree 1, diameter n-1; spectral gap of push-sum's matrix 1 - cos(pi/n), of order 1/n^2: the sparsest strongly
// connected graph. Two nodes hear each other. For solvers that take one-way edges, such as sgp.
#include "topologies/edges.hpp"

namespace ecl {

Graph make_directed_ring(NodeId n, std::uint64_t, Params&) {
  return Graph(n, circulant_arcs(n, {1}), "topology directed_ring", Direction::forward);
}

}  // namespace ecl
