// One rank throws while the others wait for it: the job must end, and soon.
#include <stdexcept>

#include "ecl/exchange/mpi_port.hpp"
#include "ecl/mpi/session.hpp"

namespace {

void meet(const ecl::mpi::Comm& world) {
  const ecl::Graph ring = ecl::make_graph(ecl::Choice::parse("ring"), world.size(), 1);
  ecl::MpiPort port(world, ring, 10, ecl::Mode::async);
  if (world.rank() == 1) throw std::runtime_error("on purpose");
  world.barrier();
}

}  // namespace

int main() {
  try {
    const ecl::mpi::Session session;
    meet(ecl::mpi::Comm::world());
  } catch (const std::exception&) {
    return 1;  // not reached: the session aborts the job
  }
  return 0;
}
