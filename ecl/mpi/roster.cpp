#include "ecl/mpi/roster.hpp"

#include <algorithm>
#include <unistd.h>

#include "ecl/base/host.hpp"

namespace ecl::mpi {
namespace {

constexpr double kLookEvery_s = 0.2;

}  // namespace

Roster::Roster(const Comm& comm, const Hosts& hosts)
    : rank_(comm.rank()), processes_(comm.size()), watched_(comm.size()), dead_(comm.size()) {
  const Process mine{getpid(), process_started(getpid())};
  comm.gather_all(&mine, sizeof mine, processes_.data());
  for (int rank = 0; rank < comm.size(); ++rank)  // ranks in containers of their own may not see each other
    watched_[rank] = rank != comm.rank() && hosts.host_of(rank) == hosts.host_of(comm.rank()) &&
                     processes_[rank].started != 0 && process_started(processes_[rank].pid) == processes_[rank].started;
  comm.barrier();  // nobody ends before all have looked
}

std::vector<int> Roster::newly_dead() {
  std::vector<int> found;
  const double now_s = Comm::clock_s();
  if (now_s - looked_s_ < kLookEvery_s) return found;
  looked_s_ = now_s;
  for (int rank = 0; rank < static_cast<int>(processes_.size()); ++rank) {
    if (!watched_[rank] || dead_[rank] || process_started(processes_[rank].pid) == processes_[rank].started) continue;
    dead_[rank] = 1;
    found.push_back(rank);
  }
  return found;
}

bool Roster::sees_all() const { return std::count(watched_.begin(), watched_.end(), 0) == 1; }

int Roster::lowest() const { return static_cast<int>(std::find(dead_.begin(), dead_.end(), 0) - dead_.begin()); }

int Roster::ahead() const {
  int count = 0;
  for (int rank = 0; rank < rank_; ++rank) count += watched_[rank] && !dead_[rank];
  return count;
}

}  // namespace ecl::mpi
