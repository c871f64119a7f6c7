#include "ecl/base/check.hpp"
#include "ecl/contracts/solver.hpp"
#include "solvers/adaptive_steps.hpp"

#define ECL_REGISTRY solvers
#define ECL_FACTORY SolverFactory
#define ECL_KIND "solver"
#define ECL_JOINT '_'
#define ECL_ENTRIES "solvers/registry.def"
#include "ecl/base/registry_table.inc"

namespace ecl {

std::unique_ptr<Solver> make_solver(const Choice& choice, const SolverSetup& setup,
                                    std::span<const std::string> settings) {
  Params params = solvers().params(choice, settings);
  const auto make = [&](const SolverSetup& s) { return solvers().find(choice.name).make(s, params); };
  auto solver = setup.adam || setup.clip_norm > 0 ? with_adaptive_steps(choice.name, setup, make) : make(setup);
  params.finish();
  if (setup.graph.directed() && !solver->directed())
    throw Error("solver " + choice.name +
                " needs edges that work both ways, and this topology has one-way ones; use an undirected topology such "
                "as ring, or solver sgp");
  return solver;
}

}  // namespace ecl
