#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ecl/base/params.hpp"
#include "ecl/base/registry.hpp"
#include "ecl/base/types.hpp"

namespace ecl {

/// One end of an edge, as its node sees it.
struct HalfEdge {
  NodeId peer;
  std::int32_t twin;                   ///< this edge's local index at the peer
  bool sends = true, receives = true;  ///< what this node does on it; one of them only on a one-way edge
};

using Edge = std::pair<NodeId, NodeId>;

/// Whether messages travel both ways on an edge, or from its first node to its second only.
enum class Direction { both, forward };

/// The communication graph: simple and connected. A value: every rank builds the same one.
///
/// Local edges of a node are numbered by ascending peer. Both ends agree on everything about an edge without a message:
/// the twin index says where in the peer's window a node's block lies.
class Graph {
 public:
  Graph() = default;

  /// Edges in any order, each once; Direction::forward makes arcs of them, and {i,j} with {j,i} an edge both ways.
  /// Throws Error for a self-loop, a duplicate, an end outside 0 .. n-1, or if some node cannot reach some other;
  /// `name` is for that message.
  Graph(NodeId n, const std::vector<Edge>& edges, const std::string& name, Direction direction = Direction::both);

  NodeId size() const { return static_cast<NodeId>(offsets_.size()) - 1; }
  std::span<const HalfEdge> edges(NodeId i) const {
    return {half_edges_.data() + offsets_[i], half_edges_.data() + offsets_[i + 1]};
  }
  int degree(NodeId i) const { return static_cast<int>(offsets_[i + 1] - offsets_[i]); }
  std::size_t edge_count() const { return half_edges_.size() / 2; }
  bool directed() const { return directed_; }  ///< some edge is one-way

  static constexpr NodeId kLargestDense = 2048;  ///< nodes; eigenvalues take n^3, some seconds at this size
  /// The second largest of the matrix of metropolis_weight(): what a round of gossip leaves of the disagreement, as a
  /// share in the worst direction. 0 for one node. Computed once for all copies, by whichever thread comes first;
  /// size() <= kLargestDense.
  double second_singular_value() const;

 private:
  struct Spectrum {
    std::once_flag computed;
    double second = 0;
  };

  std::vector<std::size_t> offsets_ = {0};
  std::vector<HalfEdge> half_edges_;
  bool directed_ = false;
  std::shared_ptr<Spectrum> spectrum_ = std::make_shared<Spectrum>();
};

/// Metropolis-Hastings weight of the edge {i, j}: 1 / (1 + max(d_i, d_j)). The matrix of these weights, with
/// W_ii = 1 - sum_j W_ij, is symmetric and doubly stochastic on every graph (Xiao, Boyd and Lall, IPSN 2005).
double metropolis_weight(const Graph& graph, NodeId i, NodeId j);

/// Makes a topology over n nodes; random ones are a function of the seed. Throws Error if the family has no member of
/// size n. `n` is at least 2: a single node has the graph without edges, whatever the topology (see make_graph).
using TopologyFactory = Graph(NodeId n, std::uint64_t seed, Params& params);
const Registry<TopologyFactory>& topologies();

/// The graph of `choice` over n nodes, parameters checked to the last one.
Graph make_graph(const Choice& choice, NodeId n, std::uint64_t seed);

}  // namespace ecl
