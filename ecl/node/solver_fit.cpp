#include "ecl/node/solver_fit.hpp"

#include "ecl/base/check.hpp"

namespace ecl {

void require_fit(const Solver& solver, const std::string& name, const Graph& graph, Mode mode) {
  if (mode == Mode::async && solver.delivery() == Delivery::lock_step)
    throw Error(name + " needs every message of a round exactly once, which mode async does not promise; use mode " +
                "lock-step, or solver ecl");
  if (mode == Mode::lock_step && solver.message_size() != 0 && graph.directed())
    throw Error(
        "mode lock-step needs edges that work both ways, as a message is acknowledged by the one that comes back, and "
        "this topology has one-way ones; use mode async, or an undirected topology such as ring");
}

}  // namespace ecl
