#include "ecl/contracts/solver.hpp"

namespace ecl {

std::unique_ptr<Solver> make_solver(const Choice& choice, const SolverSetup& setup,
                                    std::span<const std::string> settings) {
  Params params = solvers().params(choice, settings);
  auto solver = solvers().find(choice.name).make(setup, params);
  params.finish();
  return solver;
}

}  // namespace ecl
