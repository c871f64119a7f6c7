#include "ecl/contracts/graph.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <string>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

/// Number of nodes that messages from node 0 reach; with `backwards`, that can reach node 0.
NodeId reached(const Graph& graph, bool backwards) {
  std::vector<bool> seen(graph.size(), false);
  std::vector<NodeId> stack = {0};
  seen[0] = true;
  NodeId count = 0;
  while (!stack.empty()) {
    const NodeId i = stack.back();
    stack.pop_back();
    ++count;
    for (const HalfEdge& edge : graph.edges(i)) {
      if (seen[edge.peer] || !(backwards ? edge.receives : edge.sends)) continue;
      seen[edge.peer] = true;
      stack.push_back(edge.peer);
    }
  }
  return count;
}

/// An edge {i, j} with i < j and the ways in which messages travel on it.
struct Ways {
  NodeId i, j;
  bool up, down;  ///< i to j, j to i
  bool operator<(const Ways& other) const { return std::pair(i, j) < std::pair(other.i, other.j); }
};

std::vector<Ways> in_order(NodeId n, const std::vector<Edge>& edges, const std::string& name, bool forward) {
  std::vector<Ways> all;
  all.reserve(edges.size());
  for (const auto& [from, to] : edges) {
    if (from < 0 || to < 0 || from >= n || to >= n)
      throw Error(name + ": edge " + std::to_string(from) + "-" + std::to_string(to) + " leaves the nodes 0 .. " +
                  std::to_string(n - 1));
    if (from == to) throw Error(name + ": node " + std::to_string(from) + " has an edge to itself; remove it");
    all.push_back({std::min(from, to), std::max(from, to), !forward || from < to, !forward || from > to});
  }
  std::sort(all.begin(), all.end());
  std::size_t kept = 0;
  for (const Ways& ways : all) {
    if (kept == 0 || all[kept - 1] < ways) {
      all[kept++] = ways;
      continue;
    }
    Ways& last = all[kept - 1];
    if ((last.up && ways.up) || (last.down && ways.down))
      throw Error(name + ": edge " + std::to_string(ways.i) + "-" + std::to_string(ways.j) +
                  " is there twice; give it once");
    last.up = last.down = true;
  }
  all.resize(kept);
  return all;
}

double computed_second_singular_value(const Graph& graph) {
  const NodeId n = graph.size();
  if (n == 1) return 0;
  Eigen::MatrixXd weights = Eigen::MatrixXd::Zero(n, n);
  for (NodeId i = 0; i < n; ++i) {
    for (const HalfEdge& edge : graph.edges(i)) weights(i, edge.peer) = metropolis_weight(graph, i, edge.peer);
    weights(i, i) = 1.0 - weights.row(i).sum();
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(weights, Eigen::EigenvaluesOnly);
  const Eigen::VectorXd& values = solver.eigenvalues();  // ascending; the last one is 1
  return std::max(std::abs(values[n - 2]), std::abs(values[0]));
}

}  // namespace

Graph::Graph(NodeId n, const std::vector<Edge>& pairs, const std::string& name, Direction direction) {
  ECL_CHECK(n >= 1);
  const std::vector<Ways> edges = in_order(n, pairs, name, direction == Direction::forward);
  offsets_.assign(n + 1, 0);
  for (const Ways& edge : edges) ++offsets_[edge.i + 1], ++offsets_[edge.j + 1];
  for (NodeId i = 0; i < n; ++i) offsets_[i + 1] += offsets_[i];

  // Two passes over the sorted edges fill each node's list by ascending peer: first the smaller peers, then the larger.
  half_edges_.resize(2 * edges.size());
  std::vector<std::size_t> next(offsets_.begin(), offsets_.end() - 1);
  for (const auto& [i, j, up, down] : edges) half_edges_[next[j]++] = {i, 0, down, up};
  std::vector<std::size_t> twin_of_smaller(offsets_.begin(), offsets_.end() - 1);
  for (const auto& [i, j, up, down] : edges) {
    const std::size_t at_j = twin_of_smaller[j]++, at_i = next[i]++;
    half_edges_[at_i] = {j, static_cast<std::int32_t>(at_j - offsets_[j]), up, down};
    half_edges_[at_j].twin = static_cast<std::int32_t>(at_i - offsets_[i]);
    directed_ |= up != down;
  }
  for (const bool backwards : {false, true}) {
    const NodeId count = reached(*this, backwards);
    if (count == n) continue;
    throw Error(name + ": the graph is in pieces: node 0 " + (backwards ? "is reached from " : "reaches ") +
                std::to_string(count) + " of " + std::to_string(n) + " nodes; consensus needs a connected graph");
  }
}

double Graph::second_singular_value() const {
  ECL_CHECK(size() >= 1 && size() <= kLargestDense);
  std::call_once(spectrum_->computed, [this] { spectrum_->second = computed_second_singular_value(*this); });
  return spectrum_->second;
}

double metropolis_weight(const Graph& graph, NodeId i, NodeId j) {
  return 1.0 / (1.0 + std::max(graph.degree(i), graph.degree(j)));
}

}  // namespace ecl
