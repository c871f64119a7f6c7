// All samples shuffled and cut into equal shares (they differ by at most one).
#include <numeric>

#include "ecl/data/partitions/shares.hpp"

namespace ecl {

Partition make_iid(const Dataset& data, NodeId nodes, std::uint64_t seed, Params&) {
  std::vector<std::int32_t> order(data.size());
  std::iota(order.begin(), order.end(), 0);
  Random random(seed, Purpose::partition);
  shuffle(order, random);
  Partition partition(nodes);
  for (NodeId i = 0; i < nodes; ++i)
    partition[i].assign(order.begin() + static_cast<std::ptrdiff_t>(order.size() * i / nodes),
                        order.begin() + static_cast<std::ptrdiff_t>(order.size() * (i + 1) / nodes));
  sort_nodes(partition);
  return partition;
}

}  // namespace ecl
