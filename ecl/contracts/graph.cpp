#include "ecl/contracts/graph.hpp"

#include <algorithm>
#include <string>

#include "ecl/words/check.hpp"

namespace ecl {
namespace {

/// Number of nodes that a walk from node 0 reaches.
NodeId reached(const Graph& graph) {
  std::vector<bool> seen(graph.size(), false);
  std::vector<NodeId> stack = {0};
  seen[0] = true;
  NodeId count = 0;
  while (!stack.empty()) {
    const NodeId i = stack.back();
    stack.pop_back();
    ++count;
    for (const HalfEdge& edge : graph.edges(i))
      if (!seen[edge.peer]) seen[edge.peer] = true, stack.push_back(edge.peer);
  }
  return count;
}

}  // namespace

Graph::Graph(NodeId n, std::vector<Edge> edges, const std::string& name) {
  ECL_CHECK(n >= 1);
  for (Edge& edge : edges) {
    if (edge.first < 0 || edge.second < 0 || edge.first >= n || edge.second >= n)
      throw Error(name + ": edge " + std::to_string(edge.first) + "-" + std::to_string(edge.second) +
                  " leaves the nodes 0 .. " + std::to_string(n - 1));
    if (edge.first == edge.second)
      throw Error(name + ": node " + std::to_string(edge.first) + " has an edge to itself; remove it");
    if (edge.first > edge.second) std::swap(edge.first, edge.second);
  }
  std::sort(edges.begin(), edges.end());
  const auto twice = std::adjacent_find(edges.begin(), edges.end());
  if (twice != edges.end())
    throw Error(name + ": edge " + std::to_string(twice->first) + "-" + std::to_string(twice->second) +
                " is there twice; give it once");

  offsets_.assign(n + 1, 0);
  for (const auto& [i, j] : edges) ++offsets_[i + 1], ++offsets_[j + 1];
  for (NodeId i = 0; i < n; ++i) offsets_[i + 1] += offsets_[i];

  // Two passes over the sorted edges fill each node's list by ascending peer: first the smaller peers, then the larger.
  half_edges_.resize(2 * edges.size());
  std::vector<std::size_t> next(offsets_.begin(), offsets_.end() - 1);
  for (const auto& [i, j] : edges) half_edges_[next[j]++] = {i, 0};
  std::vector<std::size_t> twin_of_smaller(offsets_.begin(), offsets_.end() - 1);
  for (const auto& [i, j] : edges) {
    const std::size_t at_j = twin_of_smaller[j]++, at_i = next[i]++;
    half_edges_[at_i] = {j, static_cast<std::int32_t>(at_j - offsets_[j])};
    half_edges_[at_j].twin = static_cast<std::int32_t>(at_i - offsets_[i]);
  }
  const NodeId count = reached(*this);
  if (count != n)
    throw Error(name + ": the graph is in pieces: node 0 reaches " + std::to_string(count) + " of " +
                std::to_string(n) + " nodes; consensus needs a connected graph");
}

double metropolis_weight(const Graph& graph, NodeId i, NodeId j) {
  return 1.0 / (1.0 + std::max(graph.degree(i), graph.degree(j)));
}

Graph make_graph(const Choice& choice, NodeId n, std::uint64_t seed) {
  const auto& entry = topologies().find(choice.name);
  Params params = topologies().params(choice);
  if (n == 1) return Graph(1, {}, entry.name);
  Graph graph = entry.make(n, seed, params);
  params.finish();
  return graph;
}

}  // namespace ecl
