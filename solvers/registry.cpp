// The table behind `ecl list`: one entry per line of registry.def.
#include "ecl/contracts/solver.hpp"

namespace ecl {

#define ENTRY(name, description) std::unique_ptr<Solver> make_##name(const SolverSetup&, Params&);
#include "solvers/registry.def"
#undef ENTRY

const Registry<SolverFactory>& solvers() {
  static const Registry<SolverFactory> table("solver", {
#define ENTRY(name, description) {#name, description, make_##name},
#include "solvers/registry.def"
#undef ENTRY
                                                       });
  return table;
}

}  // namespace ecl
