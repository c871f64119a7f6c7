// Torus: a grid of rows x columns, closed both ways. A side of two nodes is joined by one edge, not two.
//
// Degree 4 (one less for each side of two nodes), diameter floor(rows/2) + floor(columns/2), spectral gap
// (2/5)(1 - cos(2 pi/longer side)) for sides of three and more: of order 1/n when the grid is near square.
// Source: Xiao and Boyd, "Fast linear iterations for distributed averaging", Systems & Control Letters 2004.
#include <limits>
#include <string>

#include "ecl/contracts/graph.hpp"

namespace ecl {
namespace {

/// The largest divisor of n not above its square root: 1 for a prime.
NodeId near_square_rows(NodeId n) {
  NodeId rows = 1;
  for (NodeId r = 2; r <= n / r; ++r)
    if (n % r == 0) rows = r;
  return rows;
}

[[noreturn]] void refuse_size(NodeId n) {
  const auto no_grid = [](NodeId size) { return size < 4 || near_square_rows(size) == 1; };
  NodeId below = n, above = n;
  while (below >= 4 && no_grid(below)) --below;
  while (no_grid(above)) ++above;
  throw Error("topology torus: " + std::to_string(n) + " nodes make no grid of at least 2 x 2; use " +
              (below >= 4 ? std::to_string(below) + " or " : "") + std::to_string(above) + " nodes, or ring");
}

}  // namespace

Graph make_torus(NodeId n, std::uint64_t, Params& params) {
  const std::int64_t wanted = params.integer("rows", near_square_rows(n), 1, std::numeric_limits<NodeId>::max(),
                                             "rows of the grid; by default as near to a square as n allows");
  if (near_square_rows(n) == 1) refuse_size(n);
  if (wanted < 2 || n % wanted != 0 || n / wanted < 2)
    throw Error("topology torus: " + std::to_string(n) + " nodes make no grid of " + std::to_string(wanted) +
                " rows and at least 2 x 2; use torus:" + std::to_string(near_square_rows(n)) + ", or ring");
  const NodeId rows = static_cast<NodeId>(wanted), columns = n / rows;
  std::vector<Edge> edges;
  for (NodeId row = 0; row < rows; ++row) {
    for (NodeId column = 0; column < columns; ++column) {
      const NodeId i = row * columns + column;
      if (column + 1 < columns || columns > 2) edges.emplace_back(i, row * columns + (column + 1) % columns);
      if (row + 1 < rows || rows > 2) edges.emplace_back(i, (row + 1) % rows * columns + column);
    }
  }
  return Graph(n, edges, "topology torus");
}

}  // namespace ecl
