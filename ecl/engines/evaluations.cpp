#include "ecl/engines/evaluations.hpp"

#include <algorithm>
#include <type_traits>

#include "ecl/mpi/error.hpp"
#include "ecl/words/check.hpp"

namespace ecl {

static_assert(std::is_trivially_copyable_v<MetricsRow>, "rows travel as bytes");

Evaluations::Evaluations(const mpi::Comm& comm, std::size_t dim, std::uint64_t total, Finished finished)
    : sums_(comm.duplicate()), rows_(comm.duplicate()), total_(total), finished_(std::move(finished)), mean_(dim) {}

void Evaluations::begin(CVec x, const MetricsRow& row) { start(x, row, false); }

void Evaluations::call_off(CVec x, const MetricsRow& row) {
  called_off_ = true;
  while (begun_ < total_) start(x, row, true);
}

void Evaluations::start(CVec x, const MetricsRow& row, bool off) {
  ECL_CHECK(begun_ < total_);
  ++begun_;
  Pending& pending = pending_.emplace_back();
  pending.x.assign(x.begin(), x.end());
  pending.row = row;
  pending.last = begun_ == total_;
  pending.values.assign(x.begin(), x.end());
  pending.values.push_back(off ? 1 : 0);
  pending.sums.resize(pending.values.size());
  mpi::check(MPI_Iallreduce(pending.values.data(), pending.sums.data(), static_cast<int>(pending.values.size()),
                            MPI_DOUBLE, MPI_SUM, sums_.handle(), &pending.request),
             "MPI_Iallreduce");
}

void Evaluations::start_gathering(Pending& pending) {
  const double nodes = sums_.size();
  if (pending.sums.back() > 0) called_off_ = true;
  for (std::size_t d = 0; d < mean_.size(); ++d) mean_[d] = pending.sums[d] / nodes;
  pending.row.consensus_error = relative_distance(pending.x, mean_);
  pending.rows.resize(rows_.rank() == 0 ? rows_.size() : 0);
  const int bytes = static_cast<int>(sizeof(MetricsRow));
  mpi::check(MPI_Igather(&pending.row, bytes, MPI_BYTE, pending.rows.data(), bytes, MPI_BYTE, 0, rows_.handle(),
                         &pending.request),
             "MPI_Igather");
  pending.gathering = true;
}

void Evaluations::poke() {
  for (Pending& pending : pending_) {  // oldest first: gathers start in the same order on every rank
    if (pending.gathering) continue;
    int done = 0;
    mpi::check(MPI_Test(&pending.request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (!done) break;
    start_gathering(pending);
  }
  while (!pending_.empty() && pending_.front().gathering) {
    Pending& oldest = pending_.front();
    int done = 0;
    mpi::check(MPI_Test(&oldest.request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (!done) return;
    if (rows_.rank() == 0 && (oldest.sums.back() == 0 || oldest.last)) finished_(oldest.rows);
    pending_.pop_front();
  }
}

}  // namespace ecl
