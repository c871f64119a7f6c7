// Exponential: node i with i +- 1, 2, 4, ... (mod n), up to the largest power of two below n.
//
// Degree at most 2 ceil(log2 n), less where two offsets meet (2 log2(n) - 1 for a power of two); diameter at most
// ceil(log2 n); spectral gap of order 1/log n: nearly as good as the complete graph at a fraction of the traffic.
// Source: symmetrised from Assran et al., "Stochastic gradient push for distributed deep learning", ICML 2019; gap:
// Ying et al., "Exponential graph is provably efficient for decentralized deep training", NeurIPS 2021.
#include "topologies/edges.hpp"

namespace ecl {

Graph make_exponential(NodeId n, std::uint64_t, Params&) {
  return Graph(n, circulant_edges(n, powers_of_two_below(n)), "topology exponential");
}

}  // namespace ecl
