// Random regular: a random graph where every node has exactly D neighbours.
//
// Degree D, diameter about log n / log(D-1), and for D > 2 a spectral gap near 1 - (1 + 2 sqrt(D-1)) / (D+1), which
// does not shrink with n: an expander, the best one can do with a fixed number of neighbours. D = 2 is a ring in random
// order. Source: pairing of edge ends as in Steger and Wormald, "Generating random regular graphs quickly", 1999, with
// clashing pairs switched against random edges as in McKay and Wormald, 1990; gap: Friedman, "A proof of Alon's second
// eigenvalue conjecture", 2008.
#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "topologies/edges.hpp"

namespace ecl {
namespace {

/// Pairs `degree` ends of each node at random: simple edges, in O(n degree) steps for small degrees. Gives no edges if
/// the repair gets stuck, which only small graphs do.
class Pairing {
 public:
  Pairing(NodeId n, NodeId degree, Random& random) : degree_(degree), peers_(n), random_(random) {}

  std::vector<Edge> draw() {
    std::vector<NodeId> ends;
    for (NodeId i = 0; i < static_cast<NodeId>(peers_.size()); ++i) ends.insert(ends.end(), degree_, i);
    shuffle(ends, random_);
    std::vector<Edge> clashes;
    for (std::size_t end = 0; end + 1 < ends.size(); end += 2) {
      const NodeId i = ends[end], j = ends[end + 1];
      if (free(i, j))
        edges_.push_back(join(i, j));
      else
        clashes.emplace_back(i, j);
    }
    for (const auto& [i, j] : clashes)
      if (!repair(i, j)) return {};
    return std::move(edges_);
  }

 private:
  bool free(NodeId i, NodeId j) const {
    return i != j && std::find(peers_[i].begin(), peers_[i].end(), j) == peers_[i].end();
  }

  Edge join(NodeId i, NodeId j) {
    peers_[i].push_back(j), peers_[j].push_back(i);
    return {i, j};
  }

  /// Instead of the clashing pair i-j and some edge x-y: i-x and j-y.
  bool repair(NodeId i, NodeId j) {
    constexpr int kTries = 1000;
    for (int attempt = 0; attempt < kTries && !edges_.empty(); ++attempt) {
      Edge& other = edges_[random_.below(edges_.size())];
      auto [x, y] = other;
      if (random_.below(2) == 1) std::swap(x, y);
      if (!free(i, x) || !free(j, y)) continue;
      std::erase(peers_[x], y), std::erase(peers_[y], x);
      other = join(i, x);
      edges_.push_back(join(j, y));
      return true;
    }
    return false;
  }

  NodeId degree_;
  std::vector<std::vector<NodeId>> peers_;
  std::vector<Edge> edges_;
  Random& random_;
};

std::vector<Edge> random_cycle(NodeId n, Random& random) {
  std::vector<NodeId> order(n);
  std::iota(order.begin(), order.end(), 0);
  shuffle(order, random);
  std::vector<Edge> edges = circulant_edges(n, {1});
  for (auto& [i, j] : edges) i = order[i], j = order[j];
  return edges;
}

std::vector<Edge> complement(NodeId n, const std::vector<Edge>& edges) {
  std::vector<std::vector<NodeId>> missing(n);
  for (const auto& [i, j] : edges) missing[std::min(i, j)].push_back(std::max(i, j));
  std::vector<Edge> others;
  for (NodeId i = 0; i < n; ++i) {
    std::sort(missing[i].begin(), missing[i].end());
    for (NodeId j = i + 1; j < n; ++j)
      if (!std::binary_search(missing[i].begin(), missing[i].end(), j)) others.emplace_back(i, j);
  }
  return others;
}

std::vector<Edge> draw_regular(NodeId n, NodeId degree, Random& random) {
  if (degree == 2) return random_cycle(n, random);  // paired at random, 2-regular graphs are nearly never in one piece
  if (degree <= (n - 1) / 2) return Pairing(n, degree, random).draw();
  const NodeId absent = n - 1 - degree;  // a dense graph leaves no room for repairs: draw the edges that it lacks
  if (absent == 0) return complement(n, {});
  const std::vector<Edge> edges = Pairing(n, absent, random).draw();
  return edges.empty() ? edges : complement(n, edges);
}

}  // namespace

Graph make_random_regular(NodeId n, std::uint64_t seed, Params& params) {
  const std::int64_t degree =
      params.integer("degree", 3, 1, std::numeric_limits<NodeId>::max(), "neighbours of each node");
  const std::string what =
      "topology random_regular: " + std::to_string(n) + " nodes of " + std::to_string(degree) + " neighbours each ";
  if (degree >= n)
    throw Error(what + "are too few; use random_regular:" + std::to_string(n - 1) + " or at least " +
                std::to_string(degree + 1) + " nodes");
  if (n * degree % 2 != 0)
    throw Error(what + "would have half an edge; use random_regular:" + std::to_string(degree + 1) +
                " or an even number of nodes");
  if (degree == 1 && n > 2) throw Error(what + "form separate pairs; use random_regular:2 or more");
  auto graph = first_connected(n, seed, "topology random_regular",
                               [&](Random& random) { return draw_regular(n, static_cast<NodeId>(degree), random); });
  if (graph) return *std::move(graph);
  throw Error(what + "gave no connected graph in " + std::to_string(kDraws) +
              " draws; use more neighbours or another seed");
}

}  // namespace ecl
