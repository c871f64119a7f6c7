// Erdos-Renyi: each pair of nodes is an edge with probability P, independently; drawn again until connected.
//
// Mean degree P (n-1); from P = 2 ln n / n up, the default, connected with high probability, of diameter about
// ln n / ln(n P) and a spectral gap that does not shrink with n.
// Source: Erdos and Renyi, "On random graphs I", 1959; Gilbert, "Random graphs", 1959. Drawing by geometric skips over
// the pairs that are no edge: Batagelj and Brandes, "Efficient generation of large random networks", Phys. Rev. E 2005.
#include <algorithm>
#include <cmath>
#include <sstream>

#include "topologies/edges.hpp"

namespace ecl {
namespace {

/// Time in the number of edges and nodes, not of pairs: the gap to the next edge is geometric.
std::vector<Edge> draw_pairs(NodeId n, double probability, Random& random) {
  std::vector<Edge> edges;
  const double pairs = 0.5 * n * (n - 1.0), log_miss = std::log1p(-probability);
  NodeId row = 1;  // pairs in order (1,0), (2,0), (2,1), (3,0), ...
  std::int64_t column = -1;
  while (row < n) {
    const double skipped = probability > 0 ? std::log(1.0 - random.uniform()) / log_miss : pairs;
    column += 1 + static_cast<std::int64_t>(std::min(skipped, pairs));
    while (row < n && column >= row) column -= row++;
    if (row < n) edges.emplace_back(static_cast<NodeId>(column), row);
  }
  return edges;
}

}  // namespace

Graph make_erdos_renyi(NodeId n, std::uint64_t seed, Params& params) {
  const double connecting = std::min(1.0, 2.0 * std::log(n) / n);
  const double probability =
      params.number("probability", connecting, 0, 1, "probability of each edge; by default 2 ln n / n");
  auto graph = first_connected(n, seed, "topology erdos_renyi",
                               [&](Random& random) { return draw_pairs(n, probability, random); });
  if (graph) return *std::move(graph);
  std::ostringstream message;
  message << "topology erdos_renyi: probability " << probability << " is too small for " << n << " nodes: none of "
          << kDraws << " draws is connected; use at least " << std::ceil(1e3 * n * connecting) / (1e3 * n)
          << ", or random_regular";
  throw Error(message.str());
}

}  // namespace ecl
