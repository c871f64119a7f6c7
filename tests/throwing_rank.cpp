// One rank throws while the others wait for it, or is killed while they part: the job must end, and soon.
#include <csignal>
#include <stdexcept>

#include "ecl/exchange/mpi_port.hpp"
#include "ecl/mpi/hosts.hpp"
#include "ecl/mpi/roster.hpp"
#include "ecl/mpi/session.hpp"

namespace {

void meet(const ecl::mpi::Comm& world) {
  const ecl::Graph ring = ecl::make_graph(ecl::Choice::parse("ring"), world.size(), 1);
  ecl::MpiPort port(world, ring, 10, ecl::Mode::async);
  if (world.rank() == 1) throw std::runtime_error("on purpose");
  world.barrier();
}

void part(const ecl::mpi::Comm& world) {
  const ecl::mpi::Hosts hosts(world);
  ecl::mpi::Roster roster(world, hosts);
  ecl::mpi::Comm comm = world.duplicate();
  comm.watch([&] {
    if (!roster.newly_dead().empty()) comm.abort(3);
  });
  const ecl::Graph ring = ecl::make_graph(ecl::Choice::parse("ring"), comm.size(), 1);
  ecl::MpiPort port(comm, ring, 10, ecl::Mode::async, ecl::Exchange::messages);
  comm.barrier();
  if (comm.rank() == 1) std::raise(SIGKILL);
}  // the port waits for the neighbours' last messages

}  // namespace

int main(int argc, char**) {
  try {
    const ecl::mpi::Session session;
    const bool parting = argc > 1;
    (parting ? part : meet)(ecl::mpi::Comm::world());
  } catch (const std::exception&) {
    return 1;  // not reached: the session aborts the job
  }
  return 0;
}
