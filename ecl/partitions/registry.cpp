#include "ecl/contracts/dataset.hpp"

#define ECL_REGISTRY partitions
#define ECL_FACTORY PartitionFactory
#define ECL_KIND "partition"
#define ECL_JOINT '-'
#define ECL_ENTRIES "ecl/partitions/registry.def"
#include "ecl/words/registry_table.inc"
