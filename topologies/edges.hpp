#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ecl/base/random.hpp"
#include "ecl/base/types.hpp"
#include "ecl/contracts/graph.hpp"

/// What several graph families share: edges and arcs of circulant graphs, and drawing until a graph is in one piece.
namespace ecl {

/// Node i with i +- o (mod n) for each offset o > 0. Offsets that mean the same edges, or none, count once: so a family
/// needs no case for small n.
inline std::vector<Edge> circulant_edges(NodeId n, std::vector<std::int64_t> offsets) {
  for (std::int64_t& offset : offsets) offset %= n, offset = std::min(offset, n - offset);
  std::sort(offsets.begin(), offsets.end());
  offsets.erase(std::unique(offsets.begin(), offsets.end()), offsets.end());
  std::vector<Edge> edges;
  for (const std::int64_t offset : offsets) {
    if (offset == 0) continue;
    const NodeId ends = 2 * offset == n ? n / 2 : n;  // i + n/2 and i - n/2 are one node
    for (NodeId i = 0; i < ends; ++i) edges.emplace_back(i, static_cast<NodeId>((i + offset) % n));
  }
  return edges;
}

/// Arcs from node i to i + o (mod n) for each offset, all different and 0 < o < n.
inline std::vector<Edge> circulant_arcs(NodeId n, const std::vector<std::int64_t>& offsets) {
  std::vector<Edge> arcs;
  for (const std::int64_t offset : offsets)
    for (NodeId i = 0; i < n; ++i) arcs.emplace_back(i, static_cast<NodeId>((i + offset) % n));
  return arcs;
}

/// 1, 2, 4, ... below n: the offsets of the exponential graphs.
inline std::vector<std::int64_t> powers_of_two_below(NodeId n) {
  std::vector<std::int64_t> powers;
  for (std::int64_t power = 1; power < n; power *= 2) powers.push_back(power);
  return powers;
}

/// Whether the edges join all n nodes: union-find with path halving.
inline bool in_one_piece(NodeId n, const std::vector<Edge>& edges) {
  if (static_cast<std::int64_t>(edges.size()) < n - 1) return false;
  std::vector<NodeId> parent(n);
  std::iota(parent.begin(), parent.end(), 0);
  const auto root = [&parent](NodeId i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  };
  NodeId pieces = n;
  for (const auto& [i, j] : edges) {
    const NodeId a = root(i), b = root(j);
    if (a != b) parent[std::max(a, b)] = std::min(a, b), --pieces;
  }
  return pieces == 1;
}

constexpr int kDraws = 100;  ///< a family whose draws all fall apart this often is asked for with hopeless parameters

/// The first of up to kDraws draws that is connected, or nothing. `draw(Random&)` gives simple edges; each draw has its
/// own random stream, so the result is a function of the seed alone.
template <class Draw>
std::optional<Graph> first_connected(NodeId n, std::uint64_t seed, const std::string& name, Draw draw) {
  for (int attempt = 0; attempt < kDraws; ++attempt) {
    Random random(seed, Purpose::topology, 0, attempt);
    std::vector<Edge> edges = draw(random);
    if (in_one_piece(n, edges)) return Graph(n, edges, name);
  }
  return std::nullopt;
}

}  // namespace ecl
