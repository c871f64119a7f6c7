#include "ecl/contracts/model.hpp"

#define ECL_REGISTRY models
#define ECL_FACTORY ModelFactory
#define ECL_KIND "model"
#define ECL_JOINT '_'
#define ECL_ENTRIES "ecl/models/registry.def"
#include "ecl/base/registry_table.inc"
