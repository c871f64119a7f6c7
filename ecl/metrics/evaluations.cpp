#include "ecl/metrics/evaluations.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/metrics/consensus.hpp"
#include "ecl/mpi/error.hpp"

namespace ecl {

static_assert(std::is_trivially_copyable_v<MetricsRow>, "rows travel as bytes");

Evaluations::Evaluations(const mpi::Comm& comm, std::size_t dim, std::uint64_t total, Look look, Finished finished)
    : sums_(comm.duplicate()),
      rows_(comm.duplicate()),
      stop_(comm),
      total_(total),
      look_(std::move(look)),
      finished_(std::move(finished)),
      mean_(dim) {
  ECL_CHECK(dim < std::numeric_limits<int>::max());  // MPI counts are int, and a part has one number more
}

void Evaluations::begin(CVec x, const MetricsRow& row) { start(x, row, false); }

void Evaluations::stop_early(CVec x, const MetricsRow& row) {
  ECL_CHECK(!closing_);
  closing_ = Part{{x.begin(), x.end()}, row};
  stop_.announce({begun_});
  agreeing_ = true;
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

void Evaluations::archive(Archive& archive, std::uint64_t complete) {
  std::vector<Part> parts;
  if (!archive.loading()) {
    ECL_CHECK(complete <= begun_ && begun_ - complete <= pending_.size());
    for (std::size_t p = pending_.size() - (begun_ - complete); p < pending_.size(); ++p)
      parts.push_back({pending_[p].x, pending_[p].row});
  }
  archive(complete);
  archive.list(parts);
  if (!archive.loading()) return;
  for (const Part& part : parts)
    if (part.x.size() != mean_.size()) archive.fail("holds a model of another size");
  if (complete > total_ || parts.size() > total_ - complete) archive.fail("holds more evaluations than the run has");
  begun_ = complete;
  loaded_ = std::move(parts);
}

void Evaluations::resume() {
  for (const Part& part : std::exchange(loaded_, {})) start(part.x, part.row, false);
}

void Evaluations::start_gathering(Pending& pending) {
  for (std::size_t d = 0; d < mean_.size(); ++d) mean_[d] = pending.sums[d] / sums_.size();
  pending.row.consensus_error = relative_distance(pending.x, mean_);
  pending.mine.assign(reinterpret_cast<const char*>(&pending.row), sizeof pending.row);
  if (pending.sums.back() == 0) pending.mine += look_(mean_);
  const int bytes = static_cast<int>(pending.mine.size());
  pending.all.resize(rows_.rank() == 0 ? pending.mine.size() * rows_.size() : 0);
  mpi::check(MPI_Igather(pending.mine.data(), bytes, MPI_BYTE, pending.all.data(), bytes, MPI_BYTE, 0, rows_.handle(),
                         &pending.request),
             "MPI_Igather");
  pending.gathering = true;
}

void Evaluations::hand_over(const Pending& pending) {
  std::vector<MetricsRow> rows(rows_.size());
  std::vector<std::string> looks;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string_view part = std::string_view(pending.all).substr(i * pending.mine.size(), pending.mine.size());
    std::memcpy(&rows[i], part.data(), sizeof rows[i]);
    looks.emplace_back(part.substr(sizeof rows[i]));
  }
  finished_(rows, looks);
}

/// Once all have said how far they got: begin what is missing, then the last evaluation.
void Evaluations::finish_agreeing() {
  if (!stop_.reached()) return;
  std::uint64_t foremost = 0;
  for (const auto& [begun, unused, unused_too] : stop_.statements()) foremost = std::max(foremost, begun);
  total_ = std::min(foremost + 1, total_);
  while (begun_ + 1 < total_) start(closing_->x, closing_->row, true);
  if (begun_ < total_) start(closing_->x, closing_->row, false);
  agreeing_ = false;
}

void Evaluations::poke() {
  if (!stopped_early()) heard_ = stop_.heard();
  if (agreeing_) finish_agreeing();
  for (Pending& pending : pending_) {  // oldest first: gathers start in the same order on every rank
    if (pending.gathering) continue;
    if (!sums_.finished(pending.request)) break;
    start_gathering(pending);
  }
  while (!pending_.empty() && pending_.front().gathering && rows_.finished(pending_.front().request)) {
    const Pending& oldest = pending_.front();
    if (rows_.rank() == 0 && oldest.sums.back() == 0) hand_over(oldest);
    pending_.pop_front();
  }
}

}  // namespace ecl
