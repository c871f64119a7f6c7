#include "ecl/contracts/solver.hpp"

#include "ecl/words/check.hpp"

namespace ecl {

std::unique_ptr<Solver> make_solver(const Choice& choice, const SolverSetup& setup,
                                    std::span<const std::string> settings) {
  Params params = solvers().params(choice, settings);
  auto solver = solvers().find(choice.name).make(setup, params);
  params.finish();
  if (setup.graph.directed() && !solver->directed())
    throw Error("solver " + choice.name +
                " needs edges that work both ways, and this topology has one-way ones; use an undirected topology such "
                "as ring, or solver sgp");
  return solver;
}

}  // namespace ecl
