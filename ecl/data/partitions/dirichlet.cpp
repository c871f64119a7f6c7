// Each class is cut by its own Dirichlet(A) weights: small A, few classes per node. Hsu, Qi and Brown 2019,
// arXiv:1909.06335, who draw per node; per class is the usual variant and is complete. No node is left empty.
#include "ecl/data/partitions/shares.hpp"

namespace ecl {

Partition make_dirichlet(const Dataset& data, NodeId nodes, std::uint64_t seed, Params& params) {
  auto rows = rows_by_class(data, "dirichlet");
  const double alpha = params.number("A", std::nullopt, 1e-3, 1e6, "concentration: 0.1 very uneven, 100 nearly iid");
  Partition partition(nodes);
  for (std::size_t c = 0; c < rows.size(); ++c) {
    Random random(seed, Purpose::partition, c);
    shuffle(rows[c], random);
    const std::vector<double> sums = dirichlet_running_sums(nodes, alpha, random);
    std::size_t begin = 0;
    for (NodeId i = 0; i < nodes; ++i) {
      const auto end = static_cast<std::size_t>(sums[i] * static_cast<double>(rows[c].size()));
      for (; begin < end; ++begin) partition[i].push_back(rows[c][begin]);
    }
  }
  fill_empty_nodes(partition);
  sort_nodes(partition);
  return partition;
}

}  // namespace ecl
