#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ecl/base/archive.hpp"
#include "ecl/node/node.hpp"

namespace ecl {

/// Whose model a checkpoint holds, and of when.
struct ModelStamp {
  std::uint64_t node, step;
  double epoch;
};

/// Saves or loads the models of `nodes`, the first of which is `first`: what every file of a checkpoint begins with, so
/// that they can be read without the rest (read_stored_model).
template <Port P>
void archive_models(Archive& archive, std::span<Node<P>> nodes, NodeId first, double epochs_per_step) {
  std::vector<ModelStamp> stamps;
  for (const Node<P>& node : nodes) {
    const std::uint64_t step = node.optimizer().steps();
    stamps.push_back({first + stamps.size(), step, static_cast<double>(step) * epochs_per_step});
  }
  archive.list(stamps);
  if (stamps.size() != nodes.size() || stamps[0].node != static_cast<std::uint64_t>(first))
    archive.fail("holds other nodes' models");
  for (Node<P>& node : nodes) node.archive_model(archive);
}

}  // namespace ecl
