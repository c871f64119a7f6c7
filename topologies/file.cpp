// File: any connected graph, as a list of edges in a text file (plain or gzip).
//
// One edge `i j` a line, nodes 0 .. n-1, each edge once and in either order. `#` starts a comment; blank lines are
// skipped. Degree, diameter and spectral gap are what `ecl topology file:PATH -n N` prints.
#include <algorithm>
#include <map>
#include <string>
#include <string_view>

#include "ecl/base/gzip.hpp"
#include "ecl/base/text_lines.hpp"
#include "ecl/contracts/graph.hpp"

namespace ecl {
namespace {

constexpr std::string_view kBetween = " \t\r,";  // the two numbers of an edge

NodeId parse_node(const TextLines& lines, std::string_view word, NodeId n) {
  const std::int64_t i = lines.integer(word);
  if (i < 0 || i >= n)
    lines.fail(word,
               "node " + std::to_string(i) + " is outside 0 .. " + std::to_string(n - 1) +
                   "; nodes count from 0 and there are " + std::to_string(n),
               Exit::usage);
  return static_cast<NodeId>(i);
}

}  // namespace

Graph make_file(NodeId n, std::uint64_t, Params& params) {
  const std::string path = params.text("path", std::nullopt, "edge list: one edge `i j` a line, # starts a comment");
  const Bytes content = read_file(path, "topology file needs an edge list, one edge `i j` a line");
  std::vector<Edge> edges;
  std::map<Edge, std::size_t> line_of;
  for (TextLines lines(path, content); lines.next();) {
    std::string_view rest = lines.line().substr(0, lines.line().find('#'));
    const std::string_view from = next_word(rest, kBetween), to = next_word(rest, kBetween);
    if (from.empty()) continue;
    if (to.empty() || !next_word(rest, kBetween).empty())
      lines.fail(from, "an edge is two node numbers, `i j` or `i,j`", Exit::usage);
    const Edge edge = std::minmax({parse_node(lines, from, n), parse_node(lines, to, n)});
    const auto& [i, j] = edge;
    if (i == j) lines.fail(to, "node " + std::to_string(i) + " has an edge to itself; remove it", Exit::usage);
    const auto [first, fresh] = line_of.emplace(edge, lines.line_number());
    if (!fresh)
      lines.fail(from,
                 "edge " + std::to_string(i) + "-" + std::to_string(j) + " is there already, in line " +
                     std::to_string(first->second) + "; give it once",
                 Exit::usage);
    edges.push_back(edge);
  }
  return Graph(n, edges, "topology file: " + path);
}

}  // namespace ecl
