#include "ecl/engines/evaluations.hpp"

#include <algorithm>
#include <type_traits>

#include "ecl/mpi/error.hpp"
#include "ecl/words/check.hpp"

namespace ecl {
namespace {

constexpr int kCallOffTag = 1;

}  // namespace

static_assert(std::is_trivially_copyable_v<MetricsRow>, "rows travel as bytes");

Evaluations::Evaluations(const mpi::Comm& comm, std::size_t dim, std::uint64_t total, Finished finished)
    : sums_(comm.duplicate()),
      rows_(comm.duplicate()),
      calls_(comm.duplicate()),
      total_(total),
      finished_(std::move(finished)),
      mean_(dim) {}

void Evaluations::begin(CVec x, const MetricsRow& row) { start(x, row, false); }

void Evaluations::call_off(CVec x, const MetricsRow& row) {
  ECL_CHECK(!closing_);
  closing_.emplace();
  closing_->x.assign(x.begin(), x.end());
  closing_->row = row;
  closing_->mine = {begun_, heard_ ? 0u : 1u};
  if (!heard_) {
    for (int rank = 0; rank < calls_.size(); ++rank) {
      if (rank == calls_.rank()) continue;
      MPI_Request& request = closing_->told.emplace_back(MPI_REQUEST_NULL);
      mpi::check(MPI_Isend(nullptr, 0, MPI_BYTE, rank, kCallOffTag, calls_.handle(), &request), "MPI_Isend");
    }
  }
  closing_->all.resize(calls_.size());
  const int bytes = static_cast<int>(sizeof(Count));
  mpi::check(MPI_Iallgather(&closing_->mine, bytes, MPI_BYTE, closing_->all.data(), bytes, MPI_BYTE, calls_.handle(),
                            &closing_->counted),
             "MPI_Iallgather");
  counting_ = true;
}

void Evaluations::start(CVec x, const MetricsRow& row, bool empty) {
  ECL_CHECK(begun_ < total_);
  ++begun_;
  Pending& pending = pending_.emplace_back();
  pending.x.assign(x.begin(), x.end());
  pending.row = row;
  pending.values.assign(x.begin(), x.end());
  pending.values.push_back(empty ? 1 : 0);
  pending.sums.resize(pending.values.size());
  mpi::check(MPI_Iallreduce(pending.values.data(), pending.sums.data(), static_cast<int>(pending.values.size()),
                            MPI_DOUBLE, MPI_SUM, sums_.handle(), &pending.request),
             "MPI_Iallreduce");
}

void Evaluations::start_gathering(Pending& pending) {
  for (std::size_t d = 0; d < mean_.size(); ++d) mean_[d] = pending.sums[d] / sums_.size();
  pending.row.consensus_error = relative_distance(pending.x, mean_);
  pending.rows.resize(rows_.rank() == 0 ? rows_.size() : 0);
  const int bytes = static_cast<int>(sizeof(MetricsRow));
  mpi::check(MPI_Igather(&pending.row, bytes, MPI_BYTE, pending.rows.data(), bytes, MPI_BYTE, 0, rows_.handle(),
                         &pending.request),
             "MPI_Igather");
  pending.gathering = true;
}

/// Another rank's word that the run is called off; every such message is received exactly once.
void Evaluations::listen() {
  int found = 0;
  MPI_Status status;
  mpi::check(MPI_Iprobe(MPI_ANY_SOURCE, kCallOffTag, calls_.handle(), &found, &status), "MPI_Iprobe");
  if (found) heard_ = true;
}

/// Once all have said how far they got: begin what is missing, then the last evaluation.
void Evaluations::finish_counting() {
  if (!calls_.finished(closing_->counted)) return;
  std::uint64_t foremost = 0;
  for (int rank = 0; rank < calls_.size(); ++rank) {
    foremost = std::max(foremost, closing_->all[rank].begun);
    if (rank == calls_.rank() || closing_->all[rank].told == 0) continue;
    MPI_Request request = MPI_REQUEST_NULL;  // its message is on the way or here
    mpi::check(MPI_Irecv(nullptr, 0, MPI_BYTE, rank, kCallOffTag, calls_.handle(), &request), "MPI_Irecv");
    calls_.wait(request);
  }
  for (MPI_Request& request : closing_->told) calls_.wait(request);
  total_ = std::min(foremost + 1, total_);
  while (begun_ + 1 < total_) start(closing_->x, closing_->row, true);
  if (begun_ < total_) start(closing_->x, closing_->row, false);
  counting_ = false;
}

void Evaluations::poke() {
  if (!called_off()) listen();
  if (counting_) finish_counting();
  for (Pending& pending : pending_) {  // oldest first: gathers start in the same order on every rank
    if (pending.gathering) continue;
    if (!sums_.finished(pending.request)) break;
    start_gathering(pending);
  }
  while (!pending_.empty() && pending_.front().gathering && rows_.finished(pending_.front().request)) {
    const Pending& oldest = pending_.front();
    if (rows_.rank() == 0 && oldest.sums.back() == 0) finished_(oldest.rows);
    pending_.pop_front();
  }
}

}  // namespace ecl
