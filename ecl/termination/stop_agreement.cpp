#include "ecl/termination/stop_agreement.hpp"

#include "ecl/base/check.hpp"
#include "ecl/mpi/error.hpp"

namespace ecl {
namespace {

constexpr int kStopTag = 1;

}  // namespace

void StopAgreement::announce(const Statement& mine) {
  ECL_CHECK(!announced_);
  announced_ = true;
  mine_ = {mine, heard_ ? 0u : 1u};
  for (int rank = 0; rank < comm_.size() && !heard_; ++rank) {
    if (rank == comm_.rank()) continue;
    MPI_Request& request = telling_.emplace_back(MPI_REQUEST_NULL);
    mpi::check(MPI_Isend(nullptr, 0, MPI_BYTE, rank, kStopTag, comm_.handle(), &request), "MPI_Isend");
  }
  everybody_.resize(comm_.size());
  const int bytes = static_cast<int>(sizeof(Announcement));
  mpi::check(MPI_Iallgather(&mine_, bytes, MPI_BYTE, everybody_.data(), bytes, MPI_BYTE, comm_.handle(), &gathering_),
             "MPI_Iallgather");
}

bool StopAgreement::heard() {
  if (announced_ || heard_) return heard_ && !announced_;
  int found = 0;
  MPI_Status status;
  mpi::check(MPI_Iprobe(MPI_ANY_SOURCE, kStopTag, comm_.handle(), &found, &status), "MPI_Iprobe");
  heard_ = found != 0;
  return heard_;
}

bool StopAgreement::reached() {
  if (reached_ || !announced_ || !comm_.finished(gathering_)) return reached_;
  for (int rank = 0; rank < comm_.size(); ++rank) {
    statements_.push_back(everybody_[rank].statement);
    if (rank == comm_.rank() || everybody_[rank].told == 0) continue;
    MPI_Request request = MPI_REQUEST_NULL;  // every such message is received once; it is on the way or here
    mpi::check(MPI_Irecv(nullptr, 0, MPI_BYTE, rank, kStopTag, comm_.handle(), &request), "MPI_Irecv");
    comm_.wait(request);
  }
  for (MPI_Request& request : telling_) comm_.wait(request);
  return reached_ = true;
}

void StopAgreement::finish(const Statement& mine) {
  if (counts_.max(announced_ ? 1 : 0) == 0) return;
  if (!announced_) announce(mine);
  comm_.wait(gathering_);
  reached();
}

}  // namespace ecl
