// Small world: a ring where each node knows its K nearest, then each edge's far end moves, with probability P, to a
// random node.
//
// Mean degree K, every degree at least K/2; with P > 0 fixed, the diameter is of order log n and the spectral gap of
// order 1/log^2 n, where P = 0 has n/K and 1/n^2. A few long edges are worth many short ones.
// Source: Watts and Strogatz, "Collective dynamics of small-world networks", Nature 1998; gap, for the variant that
// adds the long edges: Addario-Berry and Lei, "The mixing time of the Newman-Watts small-world model", 2015.
#include <algorithm>
#include <limits>
#include <string>

#include "topologies/edges.hpp"

namespace ecl {
namespace {

std::vector<Edge> rewire(NodeId n, NodeId reach, double probability, Random& random) {
  std::vector<std::vector<NodeId>> peers(n);
  for (NodeId i = 0; i < n; ++i)
    for (NodeId o = 1; o <= reach; ++o) peers[i].push_back((i + o) % n), peers[(i + o) % n].push_back(i);
  std::vector<Edge> edges;
  for (NodeId o = 1; o <= reach; ++o) {
    for (NodeId i = 0; i < n; ++i) {
      NodeId j = (i + o) % n;
      if (random.uniform() < probability && static_cast<NodeId>(peers[i].size()) < n - 1) {
        const auto taken = [&](NodeId k) { return k == i || std::count(peers[i].begin(), peers[i].end(), k) > 0; };
        NodeId fresh;
        do fresh = static_cast<NodeId>(random.below(n));
        while (taken(fresh));
        std::erase(peers[j], i);
        *std::find(peers[i].begin(), peers[i].end(), j) = fresh;
        peers[fresh].push_back(i);
        j = fresh;
      }
      edges.emplace_back(i, j);
    }
  }
  return edges;
}

}  // namespace

Graph make_small_world(NodeId n, std::uint64_t seed, Params& params) {
  const std::int64_t neighbours = params.integer("neighbours", 4, 2, std::numeric_limits<NodeId>::max(),
                                                 "neighbours of each node before rewiring; even");
  const double probability = params.number("rewire", 0.1, 0, 1, "probability that an edge's far end moves");
  const std::string what = "topology small_world: " + std::to_string(neighbours) + " neighbours ";
  if (neighbours % 2 != 0)
    throw Error(what + "cannot lie half on each side; use " + std::to_string(neighbours - 1) + " or " +
                std::to_string(neighbours + 1));
  if (neighbours >= n)
    throw Error(what + "need at least " + std::to_string(neighbours + 1) + " nodes, there are " + std::to_string(n) +
                "; use " + (n > 2 ? "small_world:" + std::to_string((n - 1) / 2 * 2) + " or " : "") + "complete");
  const auto reach = static_cast<NodeId>(neighbours / 2);
  auto graph = first_connected(n, seed, "topology small_world",
                               [&](Random& random) { return rewire(n, reach, probability, random); });
  if (graph) return *std::move(graph);
  throw Error(what + "fall apart on " + std::to_string(n) + " nodes when rewired: none of " + std::to_string(kDraws) +
              " draws is connected; use small_world:" + std::to_string(neighbours + 2) + " or rewire less");
}

}  // namespace ecl
