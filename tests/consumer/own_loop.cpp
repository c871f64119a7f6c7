// A training loop of one's own over an installed ecl: rank i wants x = i, together they want the mean rank.
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include "ecl/exchange/mpi_port.hpp"
#include "ecl/mpi/session.hpp"
#include "ecl/node/optimizer.hpp"

int main() {
  const ecl::mpi::Session session;
  const auto world = ecl::mpi::Comm::world();
  const ecl::Graph graph = ecl::make_graph(ecl::Choice::parse("ring"), world.size(), /*seed=*/1);

  std::vector<float> x(1000, 0.0f), g(1000);  // x: the same first values on all ranks
  const ecl::StepRule rule{.learning_rate = 0.1, .local_steps = 8};
  auto solver = ecl::make_solver(ecl::Choice::parse("ecl:theta=0.5"),
                                 {graph, world.rank(), x, rule.initial_step_size(), rule.local_steps, rule.momentum});
  ecl::MpiPort port(world, graph, solver->message_size(), ecl::Mode::lock_step);
  ecl::Optimizer<ecl::MpiPort> optimizer(std::move(port), std::move(solver), graph, world.rank(), rule,
                                         ecl::Mode::lock_step);
  while (optimizer.steps() < 4000) {
    while (!optimizer.ready()) world.poke();  // lock step only: asynchronous ranks wait for nobody
    optimizer.begin(x);                       // what the neighbours said may move x
    for (std::size_t d = 0; d < x.size(); ++d) g[d] = x[d] - static_cast<float>(world.rank());
    optimizer.step(x, g);
  }
  world.barrier();  // a rank that is done stays until all are: its neighbours still write to it
  const double error = world.max(std::abs(x[0] - (world.size() - 1) / 2.0));
  if (world.rank() == 0) std::printf("%d ranks agree on %.4f, error %.1e\n", world.size(), x[0], error);
  return error < 1e-4 ? 0 : 1;
}
