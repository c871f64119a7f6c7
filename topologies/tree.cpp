// Tree: the complete tree with C children a node, filled level by level; node i hangs from (i-1)/C.
//
// Degree C+1 inside, 1 at the leaves; diameter about 2 log_C n; spectral gap of order 1/n: short paths, but all traffic
// between the halves passes the root. Every edge is a bridge.
// Source: the order of the gap follows from the cut at the root (Cheeger); Chung, "Spectral Graph Theory", AMS 1997.
#include <limits>

#include "ecl/contracts/graph.hpp"

namespace ecl {

Graph make_tree(NodeId n, std::uint64_t, Params& params) {
  const std::int64_t children =
      params.integer("children", 2, 1, std::numeric_limits<NodeId>::max(), "children of each inner node");
  std::vector<Edge> edges;
  for (NodeId i = 1; i < n; ++i) edges.emplace_back(static_cast<NodeId>((i - 1) / children), i);
  return Graph(n, edges, "topology tree");
}

}  // namespace ecl
