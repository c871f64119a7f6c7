#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "ecl/contracts/graph.hpp"
#include "ecl/node/optimizer.hpp"

namespace ecl {

/// The lines of edges.csv that are node i's: what it has read on each of its edges.
template <Port P>
std::string edge_lines(const Graph& graph, NodeId i, const Optimizer<P>& optimizer) {
  std::string text;
  int e = 0;
  for (const HalfEdge& edge : graph.edges(i)) {
    const auto heard = optimizer.heard(e++);
    if (!edge.receives) continue;
    const MessageAges& ages = heard.ages;
    const double mean = ages.taken == 0 ? 0 : static_cast<double>(ages.sum) / static_cast<double>(ages.taken);
    char line[160];
    std::snprintf(line, sizeof line, "%d,%d,%llu,%.6g,%llu,%llu\n", edge.peer, i,
                  static_cast<unsigned long long>(ages.taken), mean, static_cast<unsigned long long>(ages.oldest),
                  static_cast<unsigned long long>(heard.refused));
    text += line;
  }
  return text;
}

/// edges.csv, of all nodes' lines.
inline std::string edges_csv(const std::vector<std::string>& lines) {
  std::string text = "from,to,messages_taken,age_mean,age_oldest,messages_refused\n";
  for (const std::string& of_node : lines) text += of_node;
  return text;
}

}  // namespace ecl
