#include "ecl/mpi/hosts.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string>
#include <sys/statvfs.h>

#include "ecl/base/check.hpp"
#include "ecl/mpi/error.hpp"

namespace ecl::mpi {
namespace {

Comm split_by_host(const Comm& comm) {
  MPI_Comm host = MPI_COMM_NULL;
  check(MPI_Comm_split_type(comm.handle(), MPI_COMM_TYPE_SHARED, comm.rank(), MPI_INFO_NULL, &host),
        "MPI_Comm_split_type");
  Comm here(host);
  check(MPI_Comm_free(&host), "MPI_Comm_free");
  return here;
}

}  // namespace

Hosts::Hosts(const Comm& comm) : here_(split_by_host(comm)), places_(comm.size()) {
  const int lowest = static_cast<int>(-here_.max(-comm.rank()));
  const Place mine{lowest, here_.rank()};
  comm.gather_all(&mine, sizeof mine, places_.data());
  std::vector<int> lowest_ranks;
  for (const Place& place : places_) lowest_ranks.push_back(place.host);
  std::sort(lowest_ranks.begin(), lowest_ranks.end());
  lowest_ranks.erase(std::unique(lowest_ranks.begin(), lowest_ranks.end()), lowest_ranks.end());
  count_ = static_cast<int>(lowest_ranks.size());
  for (Place& place : places_)
    place.host =
        static_cast<int>(std::lower_bound(lowest_ranks.begin(), lowest_ranks.end(), place.host) - lowest_ranks.begin());
}

SharedMemory shared_memory() {
  const char* moved = std::getenv("OMPI_MCA_osc_sm_backing_directory");
  const std::string directory = moved ? moved : "/dev/shm";
  struct statvfs space {};
  if (statvfs(directory.c_str(), &space) != 0) return {directory, std::numeric_limits<double>::infinity()};
  return {directory, static_cast<double>(space.f_bavail) * static_cast<double>(space.f_frsize)};
}

void require_shared_memory(const Comm& here, std::size_t bytes) {
  const double needed = here.sum(static_cast<double>(bytes));
  here.together([&] {
    const SharedMemory memory = shared_memory();
    if (needed > memory.free_bytes)
      throw ecl::Error("the ranks of this host need " + std::to_string(static_cast<long>(needed / 1e6) + 1) +
                           " MB of shared memory for their mailboxes, " + memory.directory + " has " +
                           std::to_string(static_cast<long>(memory.free_bytes / 1e6)) +
                           " MB; enlarge it (docker: --shm-size), use fewer ranks or exchange messages",
                       Exit::io);
  });
}

}  // namespace ecl::mpi
