#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ecl/contracts/dataset.hpp"

namespace ecl {

/// Where the training happens (--placement, --devices): on the devices that hold the samples, on edge servers, each
/// with the samples of the devices nearest to it, or in one cloud with all of them.
class Placement {
 public:
  /// `text`: device, edge:S or cloud. `devices`: 0 where as many as nodes, which only `device` allows. Throws Error.
  Placement(const std::string& text, NodeId devices);

  /// Of the run: S for edge:S, 1 for cloud, else one per device; `unless` if --devices leaves that open.
  NodeId nodes(NodeId unless) const;
  /// The number of devices of a run on `nodes` nodes. Throws Error if the placement makes another number of nodes.
  NodeId devices(NodeId nodes) const;
  /// The node that trains on each device's samples. A function of the arguments alone.
  std::vector<NodeId> homes(NodeId devices, std::uint64_t seed) const;
  /// Samples leave their devices.
  bool moves() const { return where_ != Where::device; }

 private:
  enum class Where { device, edge, cloud };

  std::string text_;
  NodeId devices_;
  Where where_ = Where::device;
  NodeId servers_ = 0;  ///< of edge
};

/// A place in the unit square.
struct Position {
  double x, y;
};

/// Uniform in the unit square.
std::vector<Position> device_positions(NodeId devices, std::uint64_t seed);

/// The devices beside which the `servers` edge servers stand: the first at the device nearest to the middle, every
/// other at the one farthest from those before (Gonzalez, 1985: at most twice the least possible distance to the
/// nearest server). So each server has at least that device. `servers` is at most the number of devices.
std::vector<NodeId> edge_sites(const std::vector<Position>& devices, NodeId servers);

/// The training samples where they are trained on.
struct PlacedData {
  NodeId devices = 0;
  Partition partition;              ///< per node: the samples of its devices
  std::uint64_t samples_moved = 0;  ///< that left the device they were on
};

/// Deals `data` to the devices as `partition` says, and each device's share to its node. Throws Error.
PlacedData place(const Placement& placement, const Choice& partition, const Dataset& data, NodeId nodes,
                 std::uint64_t seed);

}  // namespace ecl
