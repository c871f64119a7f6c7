// The table behind `ecl list`: one entry per line of registry.def.
#include "ecl/contracts/dataset.hpp"

namespace ecl {

#define ENTRY(name, description) Partition make_##name(const Dataset&, NodeId, std::uint64_t, Params&);
#include "ecl/partitions/registry.def"
#undef ENTRY

const Registry<PartitionFactory>& partitions() {
  static const Registry<PartitionFactory> table("partition", {
#define ENTRY(name, description) {#name, description, make_##name},
#include "ecl/partitions/registry.def"
#undef ENTRY
                                                             });
  return table;
}

}  // namespace ecl
