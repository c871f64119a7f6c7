// Every topology of the registry: simple, symmetric or directed by name, connected, and of the shape that its header
// comment promises.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <numbers>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/contracts/graph.hpp"
#include "ecl/tool/graph_report.hpp"
#include "topologies/edges.hpp"

namespace ecl {
namespace {

constexpr NodeId kSizes[] = {2, 3, 4, 5, 7, 8, 9, 16, 31, 64, 100};
constexpr double kPi = std::numbers::pi;

/// A text file that lives as long as the test.
class TempFile {
 public:
  explicit TempFile(const std::string& content) {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("ecl_topology_" + std::to_string(getpid()) + "_" + std::to_string(count++) + ".txt");
    std::ofstream(path_) << content;
  }
  ~TempFile() { std::filesystem::remove(path_); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  std::string choice() const { return "file:" + path_.string(); }

 private:
  std::filesystem::path path_;
};

Graph make(const std::string& choice, NodeId n, std::uint64_t seed = 1) {
  return make_graph(Choice::parse(choice), n, seed);
}

/// The message of the error that `choice` over n nodes gives; fails the test if there is none.
std::string error_of(const std::string& choice, NodeId n, Exit code = Exit::usage) {
  try {
    make(choice, n);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << choice << " over " << n << " nodes gives no error";
  return {};
}

void expect_error(const std::string& choice, NodeId n, const std::vector<std::string>& parts, Exit code = Exit::usage) {
  const std::string message = error_of(choice, n, code);
  for (const std::string& part : parts) EXPECT_NE(message.find(part), std::string::npos) << part << " in: " << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

std::vector<Edge> edges_of(const Graph& graph) {
  std::vector<Edge> edges;
  for (NodeId i = 0; i < graph.size(); ++i)
    for (const HalfEdge& edge : graph.edges(i))
      if (i < edge.peer) edges.emplace_back(i, edge.peer);
  return edges;
}

/// The ways messages travel, an edge both ways twice; or all of them backwards.
std::vector<Edge> arcs_of(const Graph& graph, bool backwards = false) {
  std::vector<Edge> arcs;
  for (NodeId i = 0; i < graph.size(); ++i)
    for (const HalfEdge& edge : graph.edges(i))
      if (edge.sends) arcs.push_back(backwards ? Edge{edge.peer, i} : Edge{i, edge.peer});
  return arcs;
}

/// Independent of the search in graph.cpp: labels spread along the arcs until nothing changes, and against them too.
bool strongly_connected(const Graph& graph) {
  for (const bool backwards : {false, true}) {
    const auto arcs = arcs_of(graph, backwards);
    std::vector<bool> seen(graph.size(), false);
    seen[0] = true;
    for (bool changed = true; changed;) {
      changed = false;
      for (const auto& [from, to] : arcs)
        if (seen[from] && !seen[to]) seen[to] = changed = true;
    }
    if (std::count(seen.begin(), seen.end(), true) != graph.size()) return false;
  }
  return true;
}

void expect_well_formed(const Graph& graph, NodeId n) {
  ASSERT_EQ(graph.size(), n);
  std::size_t ends = 0;
  bool one_way = false;
  for (NodeId i = 0; i < n; ++i) {
    const auto edges = graph.edges(i);
    ASSERT_EQ(static_cast<int>(edges.size()), graph.degree(i));
    ends += edges.size();
    for (std::size_t e = 0; e < edges.size(); ++e) {
      const auto [peer, twin, sends, receives] = edges[e];
      EXPECT_TRUE(sends || receives);
      one_way |= sends != receives;
      ASSERT_TRUE(peer >= 0 && peer < n && peer != i) << i << " - " << peer;
      if (e > 0) {
        ASSERT_LT(edges[e - 1].peer, peer) << "node " << i;
      }
      ASSERT_TRUE(twin >= 0 && twin < graph.degree(peer)) << i << " - " << peer;
      ASSERT_EQ(graph.edges(peer)[twin].peer, i);
      ASSERT_EQ(graph.edges(peer)[twin].twin, static_cast<std::int32_t>(e));
      ASSERT_EQ(graph.edges(peer)[twin].receives, sends) << i << " - " << peer;
      ASSERT_EQ(graph.edges(peer)[twin].sends, receives) << i << " - " << peer;
    }
  }
  EXPECT_EQ(graph.directed(), one_way);
  EXPECT_EQ(ends, 2 * graph.edge_count());
  EXPECT_TRUE(strongly_connected(graph));
}

void expect_doubly_stochastic(const Graph& graph) {
  std::vector<double> column(graph.size(), 0.0);
  for (NodeId i = 0; i < graph.size(); ++i) {
    double row = 0;
    for (const HalfEdge& edge : graph.edges(i)) {
      const double weight = metropolis_weight(graph, i, edge.peer);
      ASSERT_GT(weight, 0.0);
      ASSERT_EQ(weight, metropolis_weight(graph, edge.peer, i));
      row += weight, column[edge.peer] += weight;
    }
    EXPECT_GT(1.0 - row, 0.0) << "the own weight of node " << i;
    column[i] += 1.0 - row;
  }
  for (const double sum : column) EXPECT_NEAR(sum, 1.0, 1e-12);
}

/// What `name` is asked for: the family with its defaults, or a file with a path graph and a chord.
std::string edge_list(NodeId n) {
  std::ostringstream text;
  text << "# a test graph\n\n";
  for (NodeId i = 0; i + 1 < n; ++i) text << i + 1 << "\t" << i << "  # back to front\r\n";
  if (n > 3) text << "0 " << n - 2;
  return text.str();
}

/// The sizes that a family with its default parameters refuses; at all others it must make a graph.
bool refuses(const std::string& name, NodeId n) {
  if (name == "torus") return n == 2 || n == 3 || n == 5 || n == 7 || n == 31;
  if (name == "hypercube") return (n & (n - 1)) != 0;
  if (name == "random_regular") return n % 2 != 0 || n == 2;
  if (name == "small_world") return n <= 4;
  return false;
}

class EveryTopology : public testing::TestWithParam<std::string> {};

TEST_P(EveryTopology, IsWellFormedOrRefusedByName) {
  for (const NodeId n : kSizes) {
    SCOPED_TRACE(GetParam() + " over " + std::to_string(n));
    if (refuses(GetParam(), n)) {
      expect_error(GetParam(), n, {"topology " + GetParam(), std::to_string(n), "; use "});
      continue;
    }
    const TempFile file(edge_list(n));
    const Graph graph = make(GetParam() == "file" ? file.choice() : GetParam(), n);
    expect_well_formed(graph, n);
    if (graph.directed())
      EXPECT_EQ(GetParam().rfind("directed_", 0), 0u);
    else
      expect_doubly_stochastic(graph);
  }
}

TEST_P(EveryTopology, IsAFunctionOfTheSeed) {
  const TempFile file(edge_list(64));
  const std::string choice = GetParam() == "file" ? file.choice() : GetParam();
  const auto edges = edges_of(make(choice, 64, 7));
  EXPECT_EQ(edges, edges_of(make(choice, 64, 7)));
  const bool random = GetParam() == "random_regular" || GetParam() == "erdos_renyi" || GetParam() == "small_world";
  EXPECT_EQ(edges != edges_of(make(choice, 64, 8)), random);
}

TEST_P(EveryTopology, OfOneNodeHasNoEdges) {
  const Graph graph = make(GetParam(), 1);
  EXPECT_EQ(graph.size(), 1);
  EXPECT_EQ(graph.edge_count(), 0u);
  const GraphReport report = analyse(graph);
  EXPECT_EQ(report.diameter, 0);
  EXPECT_EQ(report.degree_max, 0);
  EXPECT_EQ(report.spectral_gap, 1.0);
}

TEST_P(EveryTopology, DeclaresItsParametersBeforeItRefusesASize) {
  const auto& entry = topologies().find(GetParam());
  const auto declared = [&](NodeId n) {
    Params params = topologies().params(Choice::parse(GetParam()));
    try {
      entry.make(n, 1, params);
    } catch (const Error&) {
    }
    std::vector<std::string> keys;
    for (const auto& parameter : params.declared()) {
      keys.push_back(parameter.key);
      EXPECT_FALSE(parameter.help.empty());
    }
    return keys;
  };
  EXPECT_EQ(declared(2), declared(64));
  EXPECT_EQ(declared(7), declared(64));
}

std::vector<std::string> names() {
  std::vector<std::string> list;
  for (const auto& entry : topologies().entries()) list.push_back(entry.name);
  return list;
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryTopology, testing::ValuesIn(names()),
                         [](const auto& entry) { return entry.param; });

TEST(Edges, CirculantOffsetsThatMeetCountOnce) {
  EXPECT_EQ(circulant_edges(2, {1, 2, 4}), (std::vector<Edge>{{0, 1}}));
  EXPECT_EQ(circulant_edges(4, {1, 3, 2}).size(), 6u);
  EXPECT_EQ(circulant_edges(9, {1, 8, 10}).size(), 9u);
}

TEST(Edges, DrawsUntilConnectedAndThenGivesUp) {
  EXPECT_TRUE(in_one_piece(3, {{2, 1}, {0, 2}}));
  EXPECT_FALSE(in_one_piece(4, {{0, 1}, {1, 2}, {0, 2}}));
  int draws = 0;
  const auto third = [&draws](Random&) { return ++draws < 3 ? std::vector<Edge>{} : std::vector<Edge>{{0, 1}}; };
  EXPECT_TRUE(first_connected(2, 1, "third", third).has_value());
  EXPECT_EQ(draws, 3);
  std::vector<std::uint64_t> streams;
  const auto hopeless = [&streams](Random& random) {
    streams.push_back(random());
    return std::vector<Edge>{};
  };
  EXPECT_FALSE(first_connected(2, 1, "hopeless", hopeless).has_value());
  EXPECT_EQ(streams.size(), static_cast<std::size_t>(kDraws));
  std::sort(streams.begin(), streams.end());
  EXPECT_EQ(std::adjacent_find(streams.begin(), streams.end()), streams.end()) << "two draws share a stream";
}

struct Shape {
  int degree_min, degree_max, diameter;
  double gap;
};

void expect_shape(const std::string& choice, NodeId n, const Shape& shape) {
  SCOPED_TRACE(choice + " over " + std::to_string(n));
  const GraphReport report = analyse(make(choice, n));
  EXPECT_EQ(report.nodes, n);
  EXPECT_EQ(report.degree_min, shape.degree_min);
  EXPECT_EQ(report.degree_max, shape.degree_max);
  EXPECT_EQ(report.diameter, shape.diameter);
  EXPECT_TRUE(report.diameter_exact);
  ASSERT_TRUE(report.spectral_gap.has_value());
  EXPECT_NEAR(*report.spectral_gap, shape.gap, 1e-10);
}

TEST(ClosedForm, Ring) {
  expect_shape("ring", 2, {1, 1, 1, 1.0});
  for (const NodeId n : {3, 4, 5, 16, 31, 100})
    expect_shape("ring", n, {2, 2, n / 2, 2.0 / 3 * (1 - std::cos(2 * kPi / n))});
}

TEST(ClosedForm, Chain) {
  for (const NodeId n : {3, 4, 16, 31, 100}) expect_shape("chain", n, {1, 2, n - 1, 2.0 / 3 * (1 - std::cos(kPi / n))});
}

TEST(ClosedForm, StarAndComplete) {
  for (const NodeId n : {3, 4, 16, 31, 100}) {
    expect_shape("star", n, {1, n - 1, 2, 1.0 / n});
    expect_shape("complete", n, {n - 1, n - 1, 1, 1.0});
  }
}

/// 1 - max |lambda_k|, k > 0, of a circulant graph with these offsets, none of which is n/2.
double circulant_gap(NodeId n, const std::vector<int>& offsets) {
  double largest = 0;
  for (NodeId k = 1; k < n; ++k) {
    double sum = 1;
    for (const int offset : offsets) sum += 2 * std::cos(2 * kPi * k * offset / n);
    largest = std::max(largest, std::abs(sum / (1.0 + 2.0 * offsets.size())));
  }
  return 1 - largest;
}

TEST(ClosedForm, DoubleRing) {
  for (const NodeId n : {5, 7, 16, 31, 100})
    expect_shape("double_ring", n, {4, 4, (n / 2 + 1) / 2, circulant_gap(n, {1, 2})});
  const std::size_t complete[] = {1, 3, 6, 10};
  for (const NodeId n : {2, 3, 4, 5}) EXPECT_EQ(make("double_ring", n).edge_count(), complete[n - 2]) << n;
}

TEST(ClosedForm, Exponential) {
  expect_shape("exponential", 31, {10, 10, 2, circulant_gap(31, {1, 2, 4, 8, 15})});
  const GraphReport report = analyse(make("exponential", 64));
  EXPECT_EQ(report.degree_min, 2 * 6 - 1);  // + 32 and - 32 are one node
  EXPECT_EQ(report.degree_max, 2 * 6 - 1);
  EXPECT_LE(report.diameter, 6);
}

TEST(ClosedForm, Torus) {
  expect_shape("torus", 16, {4, 4, 4, 0.4});
  expect_shape("torus", 9, {4, 4, 2, 0.6});
  expect_shape("torus", 100, {4, 4, 10, 0.4 * (1 - std::cos(2 * kPi / 10))});
  expect_shape("torus:5", 100, {4, 4, 12, 0.4 * (1 - std::cos(2 * kPi / 20))});
  expect_shape("torus", 4, {2, 2, 2, 2.0 / 3});  // 2 x 2 is the ring of four
  expect_shape("torus", 8, {3, 3, 3, 0.5});      // 2 x 4 is the cube
  EXPECT_EQ(edges_of(make("torus:rows=4", 8)).size(), 12u);
}

TEST(ClosedForm, Hypercube) {
  for (int bits = 1; bits <= 6; ++bits) expect_shape("hypercube", 1 << bits, {bits, bits, bits, 2.0 / (bits + 1)});
}

TEST(ClosedForm, DirectedRing) {
  expect_shape("directed_ring", 2, {1, 1, 1, 1.0});  // one edge both ways
  for (const NodeId n : {3, 8, 31}) {
    expect_shape("directed_ring", n, {1, 1, n - 1, 1 - std::cos(kPi / n)});
    const Graph graph = make("directed_ring", n);
    EXPECT_EQ(graph.edge_count(), static_cast<std::size_t>(n));
    for (const auto& [from, to] : arcs_of(graph)) EXPECT_EQ(to, (from + 1) % n);
  }
}

TEST(ClosedForm, DirectedExponential) {
  expect_shape("directed_exponential", 4, {2, 2, 2, 2.0 / 3});
  expect_shape("directed_exponential", 16, {4, 4, 4, 2.0 / 5});
  expect_shape("directed_exponential", 64, {6, 6, 6, 2.0 / 7});
  const GraphReport report = analyse(make("directed_exponential", 16));
  EXPECT_EQ(report.one_way, 48u);  // i + 8 and i - 8 are one node
  EXPECT_EQ(report.edges, 56u);
}

TEST(ClosedForm, Tree) {
  const GraphReport report = analyse(make("tree", 31));
  EXPECT_EQ(report.edges, 30u);
  EXPECT_EQ(report.degree_min, 1);
  EXPECT_EQ(report.degree_max, 3);
  EXPECT_EQ(report.diameter, 8);
  EXPECT_TRUE(report.bipartite);
  EXPECT_EQ(edges_of(make("tree:1", 9)), edges_of(make("chain", 9)));
  EXPECT_EQ(edges_of(make("tree:99", 9)), edges_of(make("star", 9)));
}

TEST(RandomRegular, HasTheDegreeAskedFor) {
  for (const NodeId n : {4, 5, 6, 7, 8, 9, 16, 31}) {
    for (int degree = 2; degree < n; ++degree) {
      if (n * degree % 2 != 0) continue;
      for (std::uint64_t seed = 0; seed < 5; ++seed) {
        SCOPED_TRACE(std::to_string(n) + " nodes, degree " + std::to_string(degree));
        const Graph graph = make("random_regular:" + std::to_string(degree), n, seed);
        expect_well_formed(graph, n);
        for (NodeId i = 0; i < n; ++i) ASSERT_EQ(graph.degree(i), degree);
      }
    }
  }
  EXPECT_EQ(make("random_regular:1", 2).edge_count(), 1u);
}

TEST(RandomRegular, DrawsEveryPairAlike) {
  constexpr int kSeeds = 2000;
  int together = 0, far = 0;  // are 0-1 and 3-9 as frequent as D/(n-1)?
  for (int seed = 0; seed < kSeeds; ++seed) {
    const auto edges = edges_of(make("random_regular:4", 12, seed));
    together += std::binary_search(edges.begin(), edges.end(), Edge{0, 1});
    far += std::binary_search(edges.begin(), edges.end(), Edge{3, 9});
  }
  EXPECT_NEAR(together / double{kSeeds}, 4.0 / 11, 0.05);  // 4.6 standard deviations
  EXPECT_NEAR(far / double{kSeeds}, 4.0 / 11, 0.05);
}

TEST(RandomRegular, IsAnExpander) {
  const auto report = analyse(make("random_regular:4", 1000));
  const double limit = 1 - (1 + 2 * std::sqrt(3.0)) / 5;  // Friedman: reached up to o(1)
  EXPECT_NEAR(*report.spectral_gap, limit, 0.03);
}

TEST(ErdosRenyi, HasTheDensityAskedFor) {
  EXPECT_EQ(edges_of(make("erdos_renyi:1", 31)), edges_of(make("complete", 31)));
  double edges = 0, first = 0, last = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const auto drawn = edges_of(make("erdos_renyi:0.3", 31, seed));
    edges += drawn.size() / 400.0;
    first += std::binary_search(drawn.begin(), drawn.end(), Edge{0, 1}) / 400.0;
    last += std::binary_search(drawn.begin(), drawn.end(), Edge{29, 30}) / 400.0;
  }
  EXPECT_NEAR(edges, 0.3 * 31 * 30 / 2, 2.5);  // five standard deviations
  EXPECT_NEAR(first, 0.3, 0.115);
  EXPECT_NEAR(last, 0.3, 0.115);
}

TEST(SmallWorld, GoesFromLatticeToRandom) {
  EXPECT_EQ(edges_of(make("small_world:4,0", 31)), edges_of(make("double_ring", 31)));
  const auto lattice = edges_of(make("small_world:4,0", 100));
  for (const double probability : {0.1, 0.5, 1.0}) {
    double moved = 0;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      const auto edges = edges_of(make("small_world:neighbours=4,rewire=" + std::to_string(probability), 100, seed));
      EXPECT_EQ(edges.size(), 200u);
      std::vector<Edge> kept;
      std::set_intersection(edges.begin(), edges.end(), lattice.begin(), lattice.end(), std::back_inserter(kept));
      moved += (200.0 - kept.size()) / 200 / 50;
    }
    EXPECT_NEAR(moved, probability, 0.04);  // a few moved edges land on the lattice again
  }
  EXPECT_LT(analyse(make("small_world:4,0.5", 100)).diameter, analyse(make("double_ring", 100)).diameter / 2);
}

TEST(Errors, NameTheTopologyAndWhatWorks) {
  expect_error("torus", 7, {"topology torus", "7 nodes", "use 6 or 8 nodes, or ring"});
  expect_error("torus", 2, {"use 4 nodes, or ring"});
  expect_error("torus:5", 16, {"5 rows", "use torus:4"});
  expect_error("torus:1", 16, {"1 rows", "use torus:4"});
  expect_error("torus:16", 16, {"16 rows", "use torus:4"});
  expect_error("hypercube", 6, {"topology hypercube", "use 4 or 8 nodes, or exponential"});
  expect_error("random_regular:3", 9, {"topology random_regular", "half an edge", "use random_regular:4"});
  expect_error("random_regular:8", 8, {"topology random_regular", "use random_regular:7 or at least 9 nodes"});
  expect_error("random_regular:1", 8, {"pairs", "use random_regular:2"});
  expect_error("random_regular:0", 8, {"degree = 0 is outside 1"});
  expect_error("erdos_renyi:0.001", 100, {"topology erdos_renyi", "0.001 is too small for 100 nodes", "use at least"});
  expect_error("erdos_renyi:0", 2, {"too small"});
  expect_error("erdos_renyi:1.5", 100, {"probability = 1.5 is outside 0 .. 1"});
  expect_error("small_world:3", 16, {"topology small_world", "use 2 or 4"});
  expect_error("small_world:6", 6, {"at least 7 nodes", "use small_world:4 or complete"});
  expect_error("tree:0", 8, {"topology tree", "children = 0"});
  expect_error("tree:two", 8, {"topology tree", "'two' is not a whole number"});
}

TEST(Errors, UnknownNamesAndParameters) {
  expect_error("rign", 4, {"unknown topology 'rign'", "did you mean 'ring'?", "random_regular"});
  expect_error("torus:row=2", 4, {"topology torus", "unknown parameter 'row'", "did you mean 'rows'?"});
  expect_error("ring:3", 4, {"topology ring", "'3'"});
  expect_error("random_regular:3,4", 8, {"topology random_regular", "'4' is one too many"});
  EXPECT_EQ(edges_of(make("double-ring", 9)), edges_of(make("double_ring", 9)));
}

TEST(File, IsReadAsWritten) {
  const TempFile file("# header\n 2 0 # first\n\n\t0 1\n1   3");
  EXPECT_EQ(edges_of(make(file.choice(), 4)), (std::vector<Edge>{{0, 1}, {0, 2}, {1, 3}}));
}

TEST(File, ReadsEdgesWithCommasToo) {
  const TempFile blanks("0 1\n1 2\n0 2\n"), commas("0,1\n1, 2\r\n 0 ,2 # the last\n");
  const Graph a = make(blanks.choice(), 3), b = make(commas.choice(), 3);
  EXPECT_EQ(b.edge_count(), 3u);
  for (NodeId i = 0; i < 3; ++i)
    for (int e = 0; e < 2; ++e) EXPECT_EQ(a.edges(i)[e].peer, b.edges(i)[e].peer);
}

TEST(File, ErrorsNameFileAndLine) {
  const auto expect_file_error = [](const std::string& content, const std::vector<std::string>& parts,
                                    Exit code = Exit::usage) {
    const TempFile file(content);
    std::vector<std::string> all = parts;
    all.push_back(file.choice().substr(5));
    expect_error(file.choice(), 4, all, code);
  };
  expect_file_error("0 1\n2 3\n", {"in pieces", "2 of 4"});
  expect_file_error("", {"in pieces"});
  expect_file_error("0 1\n1 2\n", {"in pieces", "3 of 4"});
  expect_file_error("0 1\n# no edge\n2 2\n", {":3:3: ", "node 2 has an edge to itself"});
  expect_file_error("0 1\n1 2\n2 3\n1 0\n", {":4:1: ", "0-1", "in line 1"});
  expect_file_error("0 1\n1 2x\n", {":2:3: ", "'2x' is not a whole number"}, Exit::io);
  expect_file_error("0 1\n1 4\n", {":2:3: ", "node 4 is outside 0 .. 3"});
  expect_file_error("-1 1\n", {":1:1: ", "node -1 is outside 0 .. 3"});
  expect_file_error("0 1 0.5\n", {":1:1: ", "two node numbers"});
  expect_file_error("0\n", {":1:1: ", "two node numbers"});
  expect_error("file", 4, {"topology file", "path"});
  expect_error("file:no/such/edges.txt", 4, {"no file 'no/such/edges.txt'", "topology file", "edge list"});
}

TEST(File, OfADirectoryIsAUsageError) {
  expect_error("file:" + std::filesystem::temp_directory_path().string(), 4, {"is a directory", "edge list"});
}

TEST(Report, KnowsTheLimitsOfItsSearch) {
  const GraphReport chain = analyse(make("chain", 5000));
  EXPECT_EQ(chain.diameter, 4999);
  EXPECT_FALSE(chain.diameter_exact);
  EXPECT_FALSE(chain.spectral_gap.has_value());
  EXPECT_TRUE(chain.bipartite);
  std::ostringstream text;
  print(text, chain);
  EXPECT_NE(text.str().find("at least 4999\n"), std::string::npos) << text.str();
  EXPECT_NE(text.str().find("not computed"), std::string::npos) << text.str();
}

// On K(3,3) the smallest eigenvalue, -1/2, weighs more than the second largest, 1/4.
TEST(Report, GapCountsNegativeEigenvalues) {
  const TempFile file("0 3\n0 4\n0 5\n1 3\n1 4\n1 5\n2 3\n2 4\n2 5\n");
  expect_shape(file.choice(), 6, {3, 3, 2, 0.5});
}

TEST(Report, TellsBipartiteGraphs) {
  EXPECT_TRUE(analyse(make("ring", 16)).bipartite);
  EXPECT_FALSE(analyse(make("ring", 31)).bipartite);
  EXPECT_TRUE(analyse(make("hypercube", 16)).bipartite);
  EXPECT_FALSE(analyse(make("complete", 3)).bipartite);
}

TEST(Report, PrintsAlignedLines) {
  std::ostringstream text;
  print(text, analyse(make("star", 5)));
  EXPECT_EQ(text.str(),
            "nodes         5\n"
            "edges         4\n"
            "degree        1 .. 4, mean 1.6\n"
            "diameter      2\n"
            "spectral gap  0.2 (Metropolis weights)\n"
            "bipartite     yes\n");
}

TEST(Report, TellsOneWayEdges) {
  std::ostringstream text;
  print(text, analyse(make("directed_exponential", 4)));
  EXPECT_EQ(text.str(),
            "nodes         4\n"
            "edges         6, 4 of them one-way\n"
            "out-degree    2\n"
            "diameter      2\n"
            "spectral gap  0.6667 (push-sum)\n"
            "bipartite     no\n");
}

TEST(Dot, HasArrowsWhereEdgesAreOneWay) {
  EXPECT_EQ(to_dot(make("directed_ring", 3), "cycle"),
            "digraph \"cycle\" {\n  node [shape=circle];\n  0;\n  1;\n  2;\n  0 -> 1;\n  1 -> 2;\n  2 -> 0;\n}\n");
  const std::string mixed = to_dot(make("directed_exponential", 4), "mixed");
  EXPECT_NE(mixed.find("  0 -> 1;\n  0 -> 2 [dir=both];\n"), std::string::npos) << mixed;
  EXPECT_EQ(mixed.find("2 -> 0"), std::string::npos) << mixed;
}

TEST(Dot, HasEachNodeAndEachEdgeOnce) {
  EXPECT_EQ(to_dot(make("chain", 3), "a \"chain\""),
            "graph \"a \\\"chain\\\"\" {\n  node [shape=circle];\n  0;\n  1;\n  2;\n  0 -- 1;\n  1 -- 2;\n}\n");
  EXPECT_EQ(to_dot(make("ring", 1), "one"), "graph \"one\" {\n  node [shape=circle];\n  0;\n}\n");
}

// A quadratic construction would take minutes, beyond the test's time limit.
TEST(Scale, AHundredThousandNodesAreQuick) {
  for (const std::string choice : {"ring", "torus", "random_regular", "erdos_renyi", "small_world", "exponential"})
    EXPECT_EQ(make(choice, 100'000).size(), 100'000);
}

}  // namespace
}  // namespace ecl
