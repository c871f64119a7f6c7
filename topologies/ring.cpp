// Ring: node i with i+1 (mod n). Two nodes share one edge.
//
// Degree 2, diameter floor(n/2), spectral gap (2/3)(1 - cos(2 pi/n)), of order 1/n^2: the slowest graph to mix whose
// nodes are all alike, and the usual hard case of the literature.
// Source: Xiao and Boyd, "Fast linear iterations for distributed averaging", Systems & Control Letters 2004.
#include "topologies/edges.hpp"

namespace ecl {

Graph make_ring(NodeId n, std::uint64_t, Params&) { return Graph(n, circulant_edges(n, {1}), "topology ring"); }

}  // namespace ecl
