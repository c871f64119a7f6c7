// Directed exponential: node i sends to i + 1, 2, 4, ... (mod n), up to the largest power of two below n.
//
// Out-degree ceil(log2 n), diameter at most that; spectral gap of push-sum's matrix 2 / (1 + log2 n) for a power of
// two. The static graph of stochastic gradient push: it mixes as `exponential` does at half the traffic. Source: Assran
// et al., "Stochastic gradient push for distributed deep learning", ICML 2019; gap: Ying et al., "Exponential graph is
// provably efficient for decentralized deep training", NeurIPS 2021.
#include "topologies/edges.hpp"

namespace ecl {

Graph make_directed_exponential(NodeId n, std::uint64_t, Params&) {
  return Graph(n, circulant_arcs(n, powers_of_two_below(n)), "topology directed_exponential", Direction::forward);
}

}  // namespace ecl
