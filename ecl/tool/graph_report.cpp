#include "ecl/tool/graph_report.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <iomanip>
#include <ostream>
#include <sstream>
#include <vector>

namespace ecl {
namespace {

constexpr NodeId kLargestDenseDirected = 512;       // nodes; a matrix without symmetry takes many times as long
constexpr NodeId kLargestExact = 4096;              // nodes; a search from every node takes n * edges,
constexpr std::size_t kMostVisits = 1'000'000'000;  // which must not pass this either: dense graphs

NodeId largest_dense(bool directed) { return directed ? kLargestDenseDirected : Graph::kLargestDense; }

/// Hops from node `start` to every node, the way messages travel.
void search(const Graph& graph, NodeId start, std::vector<int>& hops) {
  hops.assign(graph.size(), -1);
  std::vector<NodeId> queue = {start};
  queue.reserve(graph.size());
  hops[start] = 0;
  for (std::size_t next = 0; next < queue.size(); ++next) {
    const NodeId i = queue[next];
    for (const HalfEdge& edge : graph.edges(i))
      if (edge.sends && hops[edge.peer] < 0) hops[edge.peer] = hops[i] + 1, queue.push_back(edge.peer);
  }
}

int exact_diameter(const Graph& graph) {
  std::vector<int> hops;
  int diameter = 0;
  for (NodeId i = 0; i < graph.size(); ++i) {
    search(graph, i, hops);
    diameter = std::max(diameter, *std::max_element(hops.begin(), hops.end()));
  }
  return diameter;
}

/// Double sweep: the node farthest from node 0, then the distance farthest from that one. Exact on trees.
int diameter_at_least(const Graph& graph) {
  std::vector<int> hops;
  search(graph, 0, hops);
  search(graph, static_cast<NodeId>(std::max_element(hops.begin(), hops.end()) - hops.begin()), hops);
  return *std::max_element(hops.begin(), hops.end());
}

/// No edge joins two nodes at distances of the same parity from node 0.
bool two_colourable(const Graph& graph) {
  std::vector<int> hops;
  search(graph, 0, hops);
  for (NodeId i = 0; i < graph.size(); ++i)
    for (const HalfEdge& edge : graph.edges(i))
      if ((hops[i] - hops[edge.peer]) % 2 == 0) return false;
  return true;
}

int out_degree(const Graph& graph, NodeId i) {
  const auto edges = graph.edges(i);
  return static_cast<int>(std::count_if(edges.begin(), edges.end(), [](const HalfEdge& edge) { return edge.sends; }));
}

/// Of the matrix by which push-sum moves mass: a node keeps as much as it sends on each of its out-edges.
double push_sum_gap(const Graph& graph) {
  const NodeId n = graph.size();
  Eigen::MatrixXd shares = Eigen::MatrixXd::Zero(n, n);
  for (NodeId i = 0; i < n; ++i) {
    const double share = 1.0 / (1 + out_degree(graph, i));
    shares(i, i) = share;
    for (const HalfEdge& edge : graph.edges(i))
      if (edge.sends) shares(edge.peer, i) = share;
  }
  Eigen::VectorXd sizes = Eigen::EigenSolver<Eigen::MatrixXd>(shares, false).eigenvalues().cwiseAbs();
  std::sort(sizes.begin(), sizes.end());  // the last one is 1
  return 1.0 - sizes[n - 2];
}

}  // namespace

GraphReport analyse(const Graph& graph) {
  GraphReport report;
  report.nodes = graph.size();
  report.edges = graph.edge_count();
  report.directed = graph.directed();
  report.degree_min = report.degree_max = out_degree(graph, 0);
  std::size_t arcs = 0;
  for (NodeId i = 0; i < graph.size(); ++i) {
    const int degree = out_degree(graph, i);
    report.degree_min = std::min(report.degree_min, degree);
    report.degree_max = std::max(report.degree_max, degree);
    arcs += degree;
  }
  report.one_way = 2 * report.edges - arcs;  // an edge both ways is two arcs
  report.degree_mean = static_cast<double>(arcs) / report.nodes;
  if (report.degree_min == report.nodes - 1) {
    report.diameter = std::min(report.nodes - 1, 1);  // complete: nothing to search
  } else {
    report.diameter_exact = report.nodes <= kLargestExact && 2 * report.edges * report.nodes <= kMostVisits;
    report.diameter = report.diameter_exact ? exact_diameter(graph) : diameter_at_least(graph);
  }
  if (report.nodes <= largest_dense(report.directed))
    report.spectral_gap = report.directed ? push_sum_gap(graph) : 1.0 - graph.second_singular_value();
  report.bipartite = two_colourable(graph);
  return report;
}

void print(std::ostream& out, const GraphReport& report) {
  std::ostringstream text;  // its own stream: the caller's number format stays as it is
  const auto line = [&text](const char* label) -> std::ostream& { return text << std::left << std::setw(14) << label; };
  line("nodes") << report.nodes << "\n";
  line("edges") << report.edges;
  if (report.directed) text << ", " << report.one_way << " of them one-way";
  text << "\n";
  line(report.directed ? "out-degree" : "degree") << report.degree_min;
  if (report.degree_max != report.degree_min)
    text << " .. " << report.degree_max << ", mean " << std::setprecision(4) << report.degree_mean;
  text << "\n";
  line("diameter") << (report.diameter_exact ? "" : "at least ") << report.diameter << "\n";
  line("spectral gap");
  if (report.spectral_gap)
    text << std::setprecision(4) << *report.spectral_gap << " "
         << (report.directed ? "(push-sum)\n" : "(Metropolis weights)\n");
  else
    text << "not computed above " << largest_dense(report.directed) << " nodes\n";
  line("bipartite") << (report.bipartite ? "yes" : "no") << "\n";
  out << text.str();
}

std::string to_dot(const Graph& graph, const std::string& name) {
  std::ostringstream out;
  const char* line = graph.directed() ? " -> " : " -- ";
  out << (graph.directed() ? "digraph " : "graph ") << std::quoted(name) << " {\n  node [shape=circle];\n";
  for (NodeId i = 0; i < graph.size(); ++i) out << "  " << i << ";\n";
  for (NodeId i = 0; i < graph.size(); ++i)
    for (const HalfEdge& edge : graph.edges(i)) {
      const bool both = edge.sends && edge.receives;
      if (both ? i > edge.peer : !edge.sends) continue;  // the other end's
      out << "  " << i << line << edge.peer << (both && graph.directed() ? " [dir=both]" : "") << ";\n";
    }
  out << "}\n";
  return out.str();
}

}  // namespace ecl
