// Where samples are trained on: on devices, on the nearest edge server, in one cloud.
#include "ecl/data/placement.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <set>

#include "ecl/base/check.hpp"
#include "support/simulated.hpp"

namespace ecl {
namespace {

constexpr NodeId kDevices = 32;

Dataset digits() { return load_dataset(Choice::parse("digits"), {"", kDevices, 1}).train; }

PlacedData placed(const std::string& placement, NodeId nodes, std::uint64_t seed = 1) {
  return place({placement, kDevices}, Choice::parse("classes:2"), digits(), nodes, seed);
}

double distance(const Position& a, const Position& b) { return std::hypot(a.x - b.x, a.y - b.y); }

std::string mistake(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Placement, EverySampleIsInExactlyOnePlace) {
  const Dataset data = digits();
  for (const auto& [placement, nodes] :
       {std::pair{"device", kDevices}, {"edge:1", 1}, {"edge:4", 4}, {"edge:32", 32}, {"cloud", 1}}) {
    const PlacedData result = placed(placement, nodes);
    EXPECT_EQ(result.devices, kDevices) << placement;
    ASSERT_EQ(result.partition.size(), nodes) << placement;
    EXPECT_TRUE(disjoint_and_complete(result.partition, data.size())) << placement;
    for (const auto& rows : result.partition) {
      EXPECT_FALSE(rows.empty()) << placement;
      EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end())) << placement;
    }
  }
}

TEST(Placement, CountsWhatLeavesADevice) {
  const Dataset data = digits();
  const PlacedData device = placed("device", kDevices), edge = placed("edge:4", 4), cloud = placed("cloud", 1);
  EXPECT_EQ(device.samples_moved, 0u);
  EXPECT_EQ(edge.samples_moved, data.size());
  EXPECT_EQ(cloud.samples_moved, data.size());
  const Dataset pictures(784, 10, std::vector<std::uint8_t>(784), {{0, 1}}, {3});
  const Dataset table(7, 2, std::vector<float>(7), {1});
  EXPECT_EQ(pictures.bytes_per_sample(), 784u + 4);
  EXPECT_EQ(table.bytes_per_sample(), 7 * 4u + 4);
}

TEST(Placement, DevicesGoWholeToTheNearestServer) {
  constexpr NodeId kServers = 5;
  const PlacedData edge = placed("edge:5", kServers), device = placed("device", kDevices);
  const std::vector<Position> at = device_positions(kDevices, 1);
  const std::vector<NodeId> sites = edge_sites(at, kServers), homes = Placement("edge:5", kDevices).homes(kDevices, 1);
  std::vector<std::set<std::int32_t>> held;
  for (const auto& rows : edge.partition) held.emplace_back(rows.begin(), rows.end());
  for (NodeId i = 0; i < kDevices; ++i) {
    for (NodeId s = 0; s < kServers; ++s)
      EXPECT_LE(distance(at[i], at[sites[homes[i]]]), distance(at[i], at[sites[s]])) << "device " << i;
    for (const std::int32_t row : device.partition[i]) EXPECT_TRUE(held[homes[i]].count(row)) << "device " << i;
  }
}

TEST(Placement, ServersAreSpreadOut) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const std::vector<Position> at = device_positions(kDevices, seed);
    for (const NodeId servers : {1, 2, 4, 8, 31, 32}) {
      const std::vector<NodeId> sites = edge_sites(at, servers);
      EXPECT_EQ(std::set<NodeId>(sites.begin(), sites.end()).size(), static_cast<std::size_t>(servers));
      // What the rule promises: no device is farther from its server than any two servers are from each other.
      double farthest = 0, nearest_pair = 2;
      for (const Position& device : at) {
        double nearest = 2;
        for (const NodeId site : sites) nearest = std::min(nearest, distance(device, at[site]));
        farthest = std::max(farthest, nearest);
      }
      for (const NodeId a : sites)
        for (const NodeId b : sites)
          if (a != b) nearest_pair = std::min(nearest_pair, distance(at[a], at[b]));
      EXPECT_LE(farthest, nearest_pair) << servers << " servers, seed " << seed;
    }
  }
}

TEST(Placement, IsAFunctionOfTheSeed) {
  EXPECT_EQ(placed("edge:4", 4, 3).partition, placed("edge:4", 4, 3).partition);
  const Placement edge("edge:4", kDevices);
  EXPECT_EQ(edge.homes(kDevices, 3), edge.homes(kDevices, 3));
  EXPECT_NE(edge.homes(kDevices, 3), edge.homes(kDevices, 4));
  for (const Position& p : device_positions(1000, 7)) EXPECT_TRUE(p.x >= 0 && p.x < 1 && p.y >= 0 && p.y < 1);
}

TEST(Placement, NumberOfNodesFollows) {
  EXPECT_EQ(Placement("device", 0).nodes(8), 8);
  EXPECT_EQ(Placement("device", 0).devices(8), 8);
  EXPECT_EQ(Placement("device", 12).nodes(8), 12);
  EXPECT_EQ(Placement("edge:4", 32).nodes(8), 4);
  EXPECT_EQ(Placement("edge:4", 32).devices(4), 32);
  EXPECT_EQ(Placement("cloud", 32).nodes(8), 1);
}

TEST(Placement, TellsMistakes) {
  EXPECT_EQ(mistake([] { Placement("clowd", 8); }),
            "--placement: unknown placement 'clowd' (known: device, edge:S, cloud)");
  EXPECT_EQ(mistake([] { Placement("edge:0", 8); }), "--placement edge:0: S servers, at least 1, as in edge:4");
  EXPECT_EQ(mistake([] { Placement("edge:9", 8); }), "--placement edge:9: more servers than the 8 devices");
  EXPECT_EQ(mistake([] { Placement("cloud", 0); }),
            "--placement cloud needs --devices M: how many devices the samples come from");
  EXPECT_NE(mistake([] { Placement("edge", 8); }).find("--placement edge:S"), std::string::npos);
  EXPECT_NE(mistake([] { Placement("device", -1); }).find("--devices -1"), std::string::npos);
  EXPECT_EQ(mistake([] { Placement("edge:4", 32).devices(8); }),
            "--placement edge:4 with --devices 32 makes 4 nodes, not 8; use mpirun -n 4, or leave --nodes out");
}

TEST(Placement, CloudIsCentralTraining) {
  Spec spec = test::quadratics(1, 50);
  spec.dataset = "quadratic:samples=16";
  Spec cloud = spec;
  cloud.placement = "cloud", cloud.devices = 16;
  test::Simulation one(spec), all(cloud);
  one.run(50), all.run(50);
  const CVec a = one.nodes()[0].x(), b = all.nodes()[0].x();
  EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end()));
}

TEST(Placement, WeightsKeepTheOptimumTheCentralOne) {
  // Servers hold unequal numbers of devices, and yet the network's optimum is that of all the samples.
  Spec spec = test::quadratics(4, 12000);
  spec.dataset = "quadratic:samples=64";
  spec.placement = "edge:4", spec.devices = 32;
  test::Simulation simulation(spec);
  std::set<std::size_t> sizes;
  for (const std::size_t size : simulation.experiment().data.shard_sizes()) sizes.insert(size);
  EXPECT_GT(sizes.size(), 1u);
  simulation.run(12000);
  EXPECT_LT(simulation.error(simulation.experiment().optimum), 1e-5);
}

}  // namespace
}  // namespace ecl
