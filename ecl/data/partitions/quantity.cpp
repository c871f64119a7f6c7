// Shuffled samples in shares of unlike size: one each, the rest by Dirichlet(A) weights.
#include <numeric>

#include "ecl/data/partitions/shares.hpp"

namespace ecl {

Partition make_quantity(const Dataset& data, NodeId nodes, std::uint64_t seed, Params& params) {
  const double alpha = params.number("A", std::nullopt, 1e-3, 1e6, "concentration: 0.1 very uneven, 100 nearly equal");
  std::vector<std::int32_t> order(data.size());
  std::iota(order.begin(), order.end(), 0);
  Random random(seed, Purpose::partition);
  shuffle(order, random);
  const std::vector<double> sums = dirichlet_running_sums(nodes, alpha, random);
  const auto to_share = static_cast<double>(data.size() - nodes);
  Partition partition(nodes);
  std::size_t begin = 0;
  for (NodeId i = 0; i < nodes; ++i) {
    const std::size_t end = static_cast<std::size_t>(sums[i] * to_share) + static_cast<std::size_t>(i) + 1;
    for (; begin < end; ++begin) partition[i].push_back(order[begin]);
  }
  sort_nodes(partition);
  return partition;
}

}  // namespace ecl
