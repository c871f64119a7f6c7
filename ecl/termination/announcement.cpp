#include "ecl/termination/announcement.hpp"

#include <algorithm>

#include "ecl/mpi/error.hpp"

namespace ecl {
namespace {

constexpr int kNumberTag = 1;

}  // namespace

void Announcement::announce(std::uint64_t number) {
  last_ = number;
  for (const int rank : listeners_) {
    Message& message = sending_.emplace_back(Message{number});
    mpi::check(MPI_Isend(&message.number, 1, MPI_UINT64_T, rank, kNumberTag, comm_.handle(), &message.request),
               "MPI_Isend");
  }
}

void Announcement::poke() {
  while (!sending_.empty() && comm_.finished(sending_.front().request)) sending_.pop_front();
  if (std::find(listeners_.begin(), listeners_.end(), comm_.rank()) == listeners_.end()) return;
  for (int found = 1; found;) {
    mpi::check(MPI_Iprobe(0, kNumberTag, comm_.handle(), &found, MPI_STATUS_IGNORE), "MPI_Iprobe");
    if (!found) return;
    // It is here: this does not wait.
    mpi::check(MPI_Recv(&heard_, 1, MPI_UINT64_T, 0, kNumberTag, comm_.handle(), MPI_STATUS_IGNORE), "MPI_Recv");
  }
}

void Announcement::finish() {
  const auto last = static_cast<std::uint64_t>(comm_.max(static_cast<double>(last_)));
  const bool listens = std::find(listeners_.begin(), listeners_.end(), comm_.rank()) != listeners_.end();
  while (listens && heard_ < last) poke();
  for (Message& message : sending_) comm_.wait(message.request);
  sending_.clear();
}

}  // namespace ecl
