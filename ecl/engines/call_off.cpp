#include "ecl/engines/call_off.hpp"

#include "ecl/mpi/error.hpp"
#include "ecl/words/check.hpp"

namespace ecl {
namespace {

constexpr int kCallTag = 1, kReportTag = 2;

}  // namespace

void CallOff::call(const Words& mine) {
  ECL_CHECK(!called_);
  called_ = true;
  mine_ = {mine, heard_ ? 0u : 1u};
  for (int rank = 0; rank < comm_.size() && !heard_; ++rank) {
    if (rank == comm_.rank()) continue;
    MPI_Request& request = telling_.emplace_back(MPI_REQUEST_NULL);
    mpi::check(MPI_Isend(nullptr, 0, MPI_BYTE, rank, kCallTag, comm_.handle(), &request), "MPI_Isend");
  }
  everybody_.resize(comm_.size());
  const int bytes = static_cast<int>(sizeof(Said));
  mpi::check(MPI_Iallgather(&mine_, bytes, MPI_BYTE, everybody_.data(), bytes, MPI_BYTE, comm_.handle(), &counting_),
             "MPI_Iallgather");
}

bool CallOff::heard() {
  if (called_ || heard_) return heard_ && !called_;
  int found = 0;
  MPI_Status status;
  mpi::check(MPI_Iprobe(MPI_ANY_SOURCE, kCallTag, comm_.handle(), &found, &status), "MPI_Iprobe");
  heard_ = found != 0;
  return heard_;
}

bool CallOff::counted() {
  if (counted_ || !called_ || !comm_.finished(counting_)) return counted_;
  for (int rank = 0; rank < comm_.size(); ++rank) {
    said_.push_back(everybody_[rank].words);
    if (rank == comm_.rank() || everybody_[rank].told == 0) continue;
    MPI_Request request = MPI_REQUEST_NULL;  // every such message is received once; it is on the way or here
    mpi::check(MPI_Irecv(nullptr, 0, MPI_BYTE, rank, kCallTag, comm_.handle(), &request), "MPI_Irecv");
    comm_.wait(request);
  }
  for (MPI_Request& request : telling_) comm_.wait(request);
  return counted_ = true;
}

void CallOff::finish(const Words& mine) {
  if (comm_.max(called_ ? 1 : 0) == 0) return;
  if (!called_) call(mine);
  comm_.wait(counting_);
  counted();
}

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
