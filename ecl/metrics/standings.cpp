#include "ecl/metrics/standings.hpp"

#include <algorithm>
#include <type_traits>

#include "ecl/mpi/error.hpp"

namespace ecl {
namespace {

constexpr int kStandingTag = 1;
static_assert(std::is_trivially_copyable_v<Standing>, "it travels as bytes");

}  // namespace

std::optional<NodeId> slowest(const std::vector<Standing>& nodes, const std::vector<NodeId>& lost) {
  std::optional<NodeId> found;
  for (NodeId i = 0; i < static_cast<NodeId>(nodes.size()); ++i) {
    if (nodes[i].heard_s < 0 || std::ranges::count(lost, i) > 0) continue;
    if (!found || nodes[i].step < nodes[*found].step) found = i;
  }
  return nodes.size() > 1 ? found : std::nullopt;
}

double share_done(const std::vector<Standing>& nodes, const std::vector<NodeId>& lost, std::uint64_t steps) {
  double made = 0;
  for (NodeId i = 0; i < static_cast<NodeId>(nodes.size()); ++i)
    if (std::ranges::count(lost, i) == 0) made += static_cast<double>(nodes[i].step);
  return made / (static_cast<double>(steps) * static_cast<double>(nodes.size() - lost.size()));
}

void Standings::tell(const Standing& standing, double now_s) {
  if (comm_.rank() == 0) {
    nodes_[0] = standing;
    nodes_[0].heard_s = now_s;
    return;
  }
  if (!comm_.finished(request_)) return;
  sending_ = standing;
  ++told_;
  mpi::check(MPI_Isend(&sending_, sizeof sending_, MPI_BYTE, 0, kStandingTag, comm_.handle(), &request_), "MPI_Isend");
}

void Standings::poke(double now_s) {
  for (int found = comm_.rank() == 0; found;) {
    MPI_Status status;
    mpi::check(MPI_Iprobe(MPI_ANY_SOURCE, kStandingTag, comm_.handle(), &found, &status), "MPI_Iprobe");
    if (!found) return;
    Standing& node = nodes_[status.MPI_SOURCE];  // it is here: this does not wait
    mpi::check(
        MPI_Recv(&node, sizeof node, MPI_BYTE, status.MPI_SOURCE, kStandingTag, comm_.handle(), MPI_STATUS_IGNORE),
        "MPI_Recv");
    node.heard_s = now_s;
    ++received_;
  }
}

void Standings::finish(const Standing& last, double now_s) {
  comm_.wait(request_);
  tell(last, now_s);
  const double all = comm_.sum(static_cast<double>(told_));
  while (comm_.rank() == 0 && static_cast<double>(received_) < all) poke(now_s);
  comm_.wait(request_);
}

}  // namespace ecl
