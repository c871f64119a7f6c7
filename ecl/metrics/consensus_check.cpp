#include "ecl/metrics/consensus_check.hpp"

#include <cmath>
#include <limits>

#include "ecl/base/check.hpp"
#include "ecl/metrics/consensus.hpp"
#include "ecl/mpi/error.hpp"

namespace ecl {

ConsensusCheck::ConsensusCheck(const mpi::Comm& comm, std::size_t dim)
    : comm_(comm.duplicate()), counts_(comm.duplicate()), mean_(dim) {
  ECL_CHECK(dim <= std::numeric_limits<int>::max());  // MPI counts are int
}

void ConsensusCheck::begin(CVec x, double seconds) {
  ECL_CHECK(!running());
  ++begun_;
  x_.assign(x.begin(), x.end());
  values_.assign(x.begin(), x.end());
  distances_[1] = seconds;
  measuring_ = false;
  mpi::check(MPI_Iallreduce(values_.data(), mean_.data(), static_cast<int>(mean_.size()), MPI_DOUBLE, MPI_SUM,
                            comm_.handle(), &request_),
             "MPI_Iallreduce");
}

std::optional<ConsensusCheck::Result> ConsensusCheck::poke() {
  if (!running() || !comm_.finished(request_)) return std::nullopt;
  if (!measuring_) {
    for (double& value : mean_) value /= comm_.size();
    distances_[0] = std::pow(relative_distance(x_, mean_), 2);
    mpi::check(MPI_Iallreduce(distances_, sums_, 2, MPI_DOUBLE, MPI_SUM, comm_.handle(), &request_), "MPI_Iallreduce");
    measuring_ = true;
    return std::nullopt;
  }
  return Result{std::sqrt(sums_[0] / comm_.size()), sums_[1] / comm_.size()};
}

void ConsensusCheck::finish(CVec x) {
  const auto most = static_cast<std::uint64_t>(counts_.max(static_cast<double>(begun_)));
  ECL_CHECK(most - begun_ <= 1);
  const auto complete = [this] {
    while (running() && !poke()) comm_.poke();
  };
  complete();  // all have begun that one
  if (begun_ < most) begin(x, 0);
  complete();
}

}  // namespace ecl
