#include "ecl/termination/tally.hpp"

#include "ecl/mpi/error.hpp"

namespace ecl {
namespace {

constexpr int kReportTag = 1;

}  // namespace

void Tally::report(std::uint64_t number) {
  ++reported_;
  if (comm_.rank() == 0) {
    ++done_[number], ++received_;
    return;
  }
  Report& report = sending_.emplace_back(Report{number});
  mpi::check(MPI_Isend(&report.number, 1, MPI_UINT64_T, 0, kReportTag, comm_.handle(), &report.request), "MPI_Isend");
}

void Tally::poke() {
  while (!sending_.empty() && comm_.finished(sending_.front().request)) sending_.pop_front();
  for (int found = comm_.rank() == 0; found;) {
    MPI_Status status;
    mpi::check(MPI_Iprobe(MPI_ANY_SOURCE, kReportTag, comm_.handle(), &found, &status), "MPI_Iprobe");
    if (!found) return;
    std::uint64_t number = 0;  // it is here: this does not wait
    mpi::check(MPI_Recv(&number, 1, MPI_UINT64_T, status.MPI_SOURCE, kReportTag, comm_.handle(), MPI_STATUS_IGNORE),
               "MPI_Recv");
    ++done_[number], ++received_;
  }
}

bool Tally::complete(std::uint64_t number) const {
  const auto found = done_.find(number);
  return found != done_.end() && found->second == comm_.size();
}

void Tally::finish() {
  const double all = comm_.sum(static_cast<double>(reported_));
  while (comm_.rank() == 0 && static_cast<double>(received_) < all) poke();
  for (Report& report : sending_) comm_.wait(report.request);
  sending_.clear();
}

}  // namespace ecl
