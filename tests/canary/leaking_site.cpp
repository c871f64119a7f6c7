// leaking_site PATTERN: every rank reads its own csv and, on purpose, sends a row of it to the others: what canary_test
// must notice.
#include "ecl/contracts/dataset.hpp"
#include "ecl/data/site_path.hpp"
#include "ecl/mpi/session.hpp"
#include "ecl/run/mpi_sites.hpp"

int main(int, char** arguments) {
  const ecl::mpi::Session session;
  const auto world = ecl::mpi::Comm::world();
  ecl::DatasetRequest request{ecl::site_path(arguments[1], world.rank(), ""), world.size(), 1};
  request.site = world.rank();
  const ecl::TrainTest data = ecl::read_dataset(ecl::Choice::parse("csv"), request);
  std::string row(data.train.features() * sizeof(float), '\0');
  data.train.gather(3, 1, reinterpret_cast<float*>(row.data()));
  ecl::MpiSites(world).gather({row});
  return 0;
}
