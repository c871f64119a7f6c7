// Node i of N holds the K classes from floor(C i / N) on, modulo C: neighbours on a ring share classes, and every class
// has a holder when K N >= C. Each class is shared equally by its holders.
#include "ecl/base/check.hpp"
#include "ecl/data/partitions/shares.hpp"

namespace ecl {
namespace {

std::vector<std::vector<NodeId>> holders_of_classes(std::int64_t classes, std::int64_t held, NodeId nodes) {
  std::vector<std::vector<NodeId>> holders(classes);
  for (NodeId i = 0; i < nodes; ++i)
    for (std::int64_t t = 0; t < held; ++t) holders[(classes * i / nodes + t) % classes].push_back(i);
  return holders;
}

}  // namespace

Partition make_classes(const Dataset& data, NodeId nodes, std::uint64_t seed, Params& params) {
  auto rows = rows_by_class(data, "classes");
  const std::int64_t classes = data.classes();
  const std::int64_t held = params.integer("K", std::nullopt, 1, classes, "classes that each node holds");
  if (held * nodes < classes)
    throw Error("partition classes: " + std::to_string(nodes) + " nodes with K = " + std::to_string(held) +
                " leave some of the " + std::to_string(classes) +
                " classes to nobody; use K = " + std::to_string((classes + nodes - 1) / nodes) +
                " or more, or at least " + std::to_string((classes + held - 1) / held) + " nodes");

  const auto holders = holders_of_classes(classes, held, nodes);
  Partition partition(nodes);
  for (std::int64_t c = 0; c < classes; ++c) {
    Random random(seed, Purpose::partition, c);
    shuffle(rows[c], random);
    const std::size_t count = rows[c].size(), shares = holders[c].size();
    for (std::size_t h = 0; h < shares; ++h) {
      auto& mine = partition[holders[c][h]];
      mine.insert(mine.end(), rows[c].begin() + static_cast<std::ptrdiff_t>(count * h / shares),
                  rows[c].begin() + static_cast<std::ptrdiff_t>(count * (h + 1) / shares));
    }
  }
  sort_nodes(partition);
  return partition;
}

}  // namespace ecl
