#include "ecl/mpi/mean.hpp"

#include <algorithm>
#include <mpi.h>
#include <vector>

#include "ecl/mpi/error.hpp"

namespace ecl::mpi {

void mean_over(const Comm& comm, std::span<float> values) {
  constexpr std::size_t kPiece = 1 << 18;  // in doubles, which sums need: 2 MB
  std::vector<double> mine, all;
  for (; !values.empty(); values = values.subspan(mine.size())) {
    const auto piece = values.first(std::min(values.size(), kPiece));
    mine.assign(piece.begin(), piece.end());
    all.resize(mine.size());
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Iallreduce(mine.data(), all.data(), static_cast<int>(mine.size()), MPI_DOUBLE, MPI_SUM, comm.handle(),
                         &request),
          "MPI_Iallreduce");
    comm.wait(request);
    std::transform(all.begin(), all.end(), piece.begin(),
                   [&](double sum) { return static_cast<float>(sum / comm.size()); });
  }
}

}  // namespace ecl::mpi
