#include "ecl/contracts/dataset.hpp"

#define ECL_REGISTRY datasets
#define ECL_FACTORY DatasetFactory
#define ECL_KIND "dataset"
#define ECL_JOINT '-'
#define ECL_ENTRIES "ecl/datasets/registry.def"
#include "ecl/words/registry_table.inc"
