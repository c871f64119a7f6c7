// File: any connected graph, as a list of edges in a text file.
//
// One edge `i j` a line, nodes 0 .. n-1, each edge once and in either order. `#` starts a comment; blank lines are
// skipped. Degree, diameter and spectral gap are what `ecl topology file:PATH -n N` prints.
#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "ecl/contracts/graph.hpp"

namespace ecl {
namespace {

NodeId parse_node(const std::string& word, NodeId n, const std::string& where) {
  const std::int64_t i = to_integer(word, where);
  if (i < 0 || i >= n)
    throw Error(where + ": node " + word + " is outside 0 .. " + std::to_string(n - 1) + "; nodes count from 0 and " +
                "there are " + std::to_string(n));
  return static_cast<NodeId>(i);
}

/// The edge in `line`, or false for a line without one.
bool parse_edge(std::string line, NodeId n, const std::string& where, Edge& edge) {
  line.resize(std::min(line.find('#'), line.size()));
  std::istringstream words(line);
  std::array<std::string, 3> word;
  if (!(words >> word[0])) return false;
  words >> word[1] >> word[2];
  if (word[1].empty() || !word[2].empty()) throw Error(where + ": an edge is two node numbers, `i j`");
  edge = std::minmax({parse_node(word[0], n, where), parse_node(word[1], n, where)});
  if (edge.first == edge.second) throw Error(where + ": node " + word[0] + " has an edge to itself; remove it");
  return true;
}

}  // namespace

Graph make_file(NodeId n, std::uint64_t, Params& params) {
  const std::string path = params.text("path", std::nullopt, "edge list: one edge `i j` a line, # starts a comment");
  const std::string name = "topology file: " + path;
  std::ifstream in(path);
  if (!in) throw Error(name + ": cannot be opened; give the path of an edge list");
  std::vector<Edge> edges;
  std::map<Edge, int> line_of;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::string where = name + ":" + std::to_string(number);
    Edge edge;
    if (!parse_edge(line, n, where, edge)) continue;
    const auto [first, fresh] = line_of.emplace(edge, number);
    if (!fresh)
      throw Error(where + ": edge " + std::to_string(edge.first) + "-" + std::to_string(edge.second) +
                  " is there already, in line " + std::to_string(first->second) + "; give it once");
    edges.push_back(edge);
  }
  if (in.bad()) throw Error(name + ": reading failed; is it a regular file?", Exit::io);
  return Graph(n, std::move(edges), name);
}

}  // namespace ecl
