// The table behind `ecl list`: one entry per line of registry.def.
#include "ecl/contracts/graph.hpp"

namespace ecl {

#define ENTRY(name, description) Graph make_##name(NodeId, std::uint64_t, Params&);
#include "topologies/registry.def"
#undef ENTRY

const Registry<TopologyFactory>& topologies() {
  static const Registry<TopologyFactory> table("topology", {
#define ENTRY(name, description) {#name, description, make_##name},
#include "topologies/registry.def"
#undef ENTRY
  });
  return table;
}

}  // namespace ecl
