#include "ecl/contracts/solver.hpp"

#define ECL_REGISTRY solvers
#define ECL_FACTORY SolverFactory
#define ECL_KIND "solver"
#define ECL_JOINT '_'
#define ECL_ENTRIES "solvers/registry.def"
#include "ecl/words/registry_table.inc"
