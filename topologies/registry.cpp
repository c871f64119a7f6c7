#include "ecl/contracts/graph.hpp"

#define ECL_REGISTRY topologies
#define ECL_FACTORY TopologyFactory
#define ECL_KIND "topology"
#define ECL_JOINT '_'
#define ECL_ENTRIES "topologies/registry.def"
#include "ecl/base/registry_table.inc"

namespace ecl {

Graph make_graph(const Choice& choice, NodeId n, std::uint64_t seed) {
  const auto& entry = topologies().find(choice.name);
  Params params = topologies().params(choice);
  if (n == 1) return Graph(1, {}, entry.name);
  Graph graph = entry.make(n, seed, params);
  params.finish();
  return graph;
}

}  // namespace ecl
