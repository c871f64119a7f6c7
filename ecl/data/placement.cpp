#include "ecl/data/placement.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/random.hpp"

namespace ecl {
namespace {

double distance(const Position& a, const Position& b) { return std::hypot(a.x - b.x, a.y - b.y); }

}  // namespace

Placement::Placement(const std::string& text, NodeId devices) : text_(text), devices_(devices) {
  const Choice choice = Choice::parse(text);
  if (devices < 0) throw Error("--devices " + std::to_string(devices) + " is not at least 0 (0: as many as nodes)");
  if (choice.name == "edge") {
    where_ = Where::edge;
    if (choice.arguments.empty()) throw Error("--placement edge:S: how many servers S? as in edge:4");
    servers_ = static_cast<NodeId>(std::clamp<std::int64_t>(to_integer(choice.arguments, "--placement edge:S"), 0,
                                                            std::numeric_limits<NodeId>::max()));
    if (servers_ < 1) throw Error("--placement " + text + ": S servers, at least 1, as in edge:4");
  } else if (text == "cloud") {
    where_ = Where::cloud;
  } else if (text != "device") {
    throw Error("--placement: unknown placement '" + text + "' (known: device, edge:S, cloud)");
  }
  if (moves() && devices == 0)
    throw Error("--placement " + text + " needs --devices M: how many devices the samples come from");
  if (servers_ > devices && moves())
    throw Error("--placement " + text + ": more servers than the " + std::to_string(devices) + " devices");
}

NodeId Placement::nodes(NodeId unless) const {
  if (where_ == Where::edge) return servers_;
  if (where_ == Where::cloud) return 1;
  return devices_ == 0 ? unless : devices_;
}

NodeId Placement::devices(NodeId nodes) const {
  const NodeId own = this->nodes(nodes);
  if (own != nodes)
    throw Error("--placement " + text_ + " with --devices " + std::to_string(devices_) + " makes " +
                std::to_string(own) + (own == 1 ? " node" : " nodes") + ", not " + std::to_string(nodes) +
                "; use mpirun -n " + std::to_string(own) + ", or leave --nodes out");
  return devices_ == 0 ? nodes : devices_;
}

std::vector<NodeId> Placement::homes(NodeId devices, std::uint64_t seed) const {
  std::vector<NodeId> homes(devices, 0);
  if (where_ == Where::device)
    for (NodeId i = 0; i < devices; ++i) homes[i] = i;
  if (where_ != Where::edge) return homes;
  const std::vector<Position> at = device_positions(devices, seed);
  const std::vector<NodeId> sites = edge_sites(at, servers_);
  for (NodeId i = 0; i < devices; ++i)
    for (NodeId s = 1; s < servers_; ++s)
      if (distance(at[i], at[sites[s]]) < distance(at[i], at[sites[homes[i]]])) homes[i] = s;
  return homes;
}

std::vector<Position> device_positions(NodeId devices, std::uint64_t seed) {
  std::vector<Position> positions;
  for (NodeId i = 0; i < devices; ++i) {
    Random random(seed, Purpose::placement, i);
    const double x = random.uniform();
    positions.push_back({x, random.uniform()});
  }
  return positions;
}

std::vector<NodeId> edge_sites(const std::vector<Position>& devices, NodeId servers) {
  ECL_CHECK(servers >= 1 && servers <= static_cast<NodeId>(devices.size()));
  std::vector<double> nearest;  // distance to the nearest server; of the first round, minus that to the middle
  for (const Position& device : devices) nearest.push_back(-distance(device, {0.5, 0.5}));
  std::vector<NodeId> sites;
  while (static_cast<NodeId>(sites.size()) < servers) {
    sites.push_back(static_cast<NodeId>(std::max_element(nearest.begin(), nearest.end()) - nearest.begin()));
    for (std::size_t i = 0; i < devices.size(); ++i) {
      const double away = distance(devices[i], devices[sites.back()]);
      nearest[i] = sites.size() == 1 ? away : std::min(nearest[i], away);
    }
  }
  return sites;
}

PlacedData place(const Placement& placement, const Choice& partition, const Dataset& data, NodeId nodes,
                 std::uint64_t seed) {
  PlacedData placed;
  placed.devices = placement.devices(nodes);
  Partition by_device = make_partition(partition, data, placed.devices, seed);
  if (!placement.moves()) {
    placed.partition = std::move(by_device);
    return placed;
  }
  const std::vector<NodeId> homes = placement.homes(placed.devices, seed);
  placed.partition.resize(nodes);
  for (NodeId i = 0; i < placed.devices; ++i) {
    auto& node = placed.partition[homes[i]];
    node.insert(node.end(), by_device[i].begin(), by_device[i].end());
  }
  for (auto& rows : placed.partition) std::sort(rows.begin(), rows.end());
  placed.samples_moved = data.size();
  return placed;
}

}  // namespace ecl
