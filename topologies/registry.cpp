#include "ecl/contracts/graph.hpp"

#define ECL_REGISTRY topologies
#define ECL_FACTORY TopologyFactory
#define ECL_KIND "topology"
#define ECL_JOINT '_'
#define ECL_ENTRIES "topologies/registry.def"
#include "ecl/words/registry_table.inc"
