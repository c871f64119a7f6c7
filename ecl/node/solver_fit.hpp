#pragma once

#include <string>

#include "ecl/contracts/graph.hpp"
#include "ecl/contracts/port.hpp"
#include "ecl/contracts/solver.hpp"

namespace ecl {

/// Throws Error if a solver cannot work in this mode, or talk in it on this graph. `name`: what errors call it.
void require_fit(const Solver& solver, const std::string& name, const Graph& graph, Mode mode);

}  // namespace ecl
