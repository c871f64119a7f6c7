#include "ecl/replay/delivery_report.hpp"

#include <algorithm>
#include <cstdio>
#include <ostream>

namespace ecl {

DeliveryReport::DeliveryReport(const Graph& graph) {
  for (NodeId i = 0; i < graph.size(); ++i) nodes_.emplace_back(graph.degree(i));
}

void DeliveryReport::add(NodeId i, int e, std::uint64_t step, std::uint64_t sender_step) {
  EdgeReport& edge = nodes_[i][e];
  const std::uint64_t age = step > sender_step ? step - sender_step : 0;
  edge.staleness.add(age);
  edge.oldest = std::max(edge.oldest, age);
  close(i, e, step, edge.posted);
  edge.last = step;
  ++edge.taken;
}

void DeliveryReport::close(NodeId i, int e, std::uint64_t step, std::uint64_t posted) {
  EdgeReport& edge = nodes_[i][e];
  edge.posted = posted;
  if (step - edge.last <= edge.gap) return;
  edge.gap = step - edge.last;
  edge.gap_started = edge.last;
}

void DeliveryReport::print(std::ostream& out, const Graph& graph) const {
  char line[160];
  std::snprintf(line, sizeof line, "%13s %10s %10s %10s %8s %8s %12s %12s\n", "edge", "posted", "taken", "stale p50",
                "p99", "oldest", "longest gap", "from step");
  out << line;
  for (NodeId i = 0; i < graph.size(); ++i)
    for (int e = 0; e < graph.degree(i); ++e) {
      const HalfEdge& half = graph.edges(i)[e];
      if (!half.receives) continue;
      const EdgeReport& edge = nodes_[i][e];
      std::snprintf(line, sizeof line, "%5d -> %-5d %9llu %10llu %10g %8g %8llu %12llu %12llu\n", half.peer, i,
                    static_cast<unsigned long long>(edge.posted), static_cast<unsigned long long>(edge.taken),
                    edge.staleness.quantile(0.5), edge.staleness.quantile(0.99),
                    static_cast<unsigned long long>(edge.oldest), static_cast<unsigned long long>(edge.gap),
                    static_cast<unsigned long long>(edge.gap_started));
      out << line;
    }
  out << "Ages and gaps are in steps of the reader: its own step less the sender's, and between two messages.\n";
}

}  // namespace ecl
