#include "ecl/base/check.hpp"
#include "ecl/contracts/dataset.hpp"

#define ECL_REGISTRY partitions
#define ECL_FACTORY PartitionFactory
#define ECL_KIND "partition"
#define ECL_JOINT '-'
#define ECL_ENTRIES "ecl/data/partitions/registry.def"
#include "ecl/base/registry_table.inc"

namespace ecl {

Partition make_partition(const Choice& choice, const Dataset& data, NodeId nodes, std::uint64_t seed) {
  const auto& entry = partitions().find(choice.name);
  Params params = partitions().params(choice);
  if (data.size() < static_cast<std::size_t>(nodes))
    throw Error("partition " + entry.name + ": " + std::to_string(nodes) + " nodes cannot share " +
                std::to_string(data.size()) + " samples; use at most " + std::to_string(data.size()) + " nodes");
  Partition partition = entry.make(data, nodes, seed, params);
  params.finish();
  ECL_CHECK(partition.size() == static_cast<std::size_t>(nodes));
  ECL_CHECK(disjoint_and_complete(partition, data.size()));
  for (NodeId i = 0; i < nodes; ++i)
    if (partition[i].empty())
      throw Error("partition " + choice.text() + ": node " + std::to_string(i) +
                  " would hold no sample; use fewer nodes, a milder split or another seed");
  return partition;
}

}  // namespace ecl
