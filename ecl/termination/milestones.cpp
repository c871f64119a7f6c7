#include "ecl/termination/milestones.hpp"

#include "ecl/base/check.hpp"
#include "ecl/mpi/error.hpp"

namespace ecl {
namespace {

constexpr int kMilestoneTag = 1;

}  // namespace

Milestones::Milestones(const mpi::Comm& comm, int count)
    : comm_(comm.duplicate()), count_(count), heard_(static_cast<std::size_t>(comm.size()) * count) {}

void Milestones::pass(int milestone, std::uint64_t number) {
  std::optional<std::uint64_t>& mine = heard_[comm_.rank() * count_ + milestone];
  if (mine == number) return;
  mine = number;
  for (int rank = 0; rank < comm_.size(); ++rank) {
    if (rank == comm_.rank()) continue;
    Message& message = sending_.emplace_back(Message{{static_cast<std::uint64_t>(milestone), number}});
    mpi::check(MPI_Isend(message.content, 2, MPI_UINT64_T, rank, kMilestoneTag, comm_.handle(), &message.request),
               "MPI_Isend");
  }
}

void Milestones::poke() {
  while (!sending_.empty() && comm_.finished(sending_.front().request)) sending_.pop_front();
  for (;;) {
    int found = 0;
    MPI_Status status;
    mpi::check(MPI_Iprobe(MPI_ANY_SOURCE, kMilestoneTag, comm_.handle(), &found, &status), "MPI_Iprobe");
    if (!found) return;
    std::uint64_t content[2] = {};  // it is here: this does not wait
    mpi::check(MPI_Recv(content, 2, MPI_UINT64_T, status.MPI_SOURCE, kMilestoneTag, comm_.handle(), MPI_STATUS_IGNORE),
               "MPI_Recv");
    ECL_CHECK(content[0] < static_cast<std::uint64_t>(count_));
    heard_[status.MPI_SOURCE * count_ + static_cast<int>(content[0])] = content[1];
  }
}

bool Milestones::passed_by_all(int milestone) const {
  for (int rank = 0; rank < comm_.size(); ++rank)
    if (!of(rank, milestone)) return false;
  return true;
}

}  // namespace ecl
