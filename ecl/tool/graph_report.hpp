#pragma once

#include <cstddef>
#include <iosfwd>
#include <optional>
#include <string>

#include "ecl/base/types.hpp"
#include "ecl/contracts/graph.hpp"

namespace ecl {

/// What a graph means for learning on it; `ecl topology` prints it.
struct GraphReport {
  NodeId nodes = 0;
  std::size_t edges = 0;
  bool directed = false;
  std::size_t one_way = 0;             ///< of the edges
  int degree_min = 0, degree_max = 0;  ///< edges that a node sends on
  double degree_mean = 0;
  int diameter = 0;            ///< hops from a node to the one farthest from it, the way messages travel
  bool diameter_exact = true;  ///< false: too large to search from every node; `diameter` is a lower bound
  /// 1 - max(|lambda_2|, |lambda_n|) of the Metropolis matrix, of a directed graph that of push-sum: what a round of
  /// gossip takes off the disagreement, as a share in the worst direction. Nothing if the graph is too large for a
  /// dense eigenvalue problem.
  std::optional<double> spectral_gap;
  bool bipartite = false;
};

/// Takes a few seconds for the largest graphs that are still searched exactly.
GraphReport analyse(const Graph& graph);

/// One aligned line a figure, without a heading.
void print(std::ostream& out, const GraphReport& report);

/// The graph in Graphviz's language, with arrows if some edge is one-way: `ecl topology ... --dot | neato -Tsvg`.
std::string to_dot(const Graph& graph, const std::string& name);

}  // namespace ecl
