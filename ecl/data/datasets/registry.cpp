#include "ecl/contracts/dataset.hpp"

#define ECL_REGISTRY datasets
#define ECL_FACTORY DatasetFactory
#define ECL_KIND "dataset"
#define ECL_JOINT '-'
#define ECL_ENTRIES "ecl/data/datasets/registry.def"
#include "ecl/base/registry_table.inc"
