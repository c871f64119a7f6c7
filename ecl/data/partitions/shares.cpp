#include "ecl/data/partitions/shares.hpp"

#include <algorithm>
#include <cmath>
#include <queue>
#include <random>
#include <utility>

#include "ecl/base/check.hpp"

namespace ecl {

std::vector<std::vector<std::int32_t>> rows_by_class(const Dataset& data, const std::string& partition) {
  if (data.classes() == 0)
    throw Error("partition " + partition + ": this data set has no classes; use iid or quantity");
  if (data.multi_label())
    throw Error("partition " + partition +
                " deals samples by their class, and these have several labels, or one that " +
                "is 0 or 1; use iid, quantity, or by-column:NAME with group=NAME");
  std::vector<std::vector<std::int32_t>> rows(data.classes());
  for (std::size_t n = 0; n < data.size(); ++n) rows[data.labels()[n]].push_back(static_cast<std::int32_t>(n));
  return rows;
}

std::vector<double> dirichlet_running_sums(NodeId parts, double alpha, Random& random) {
  std::gamma_distribution<double> gamma(alpha);
  std::vector<double> sums(parts);
  double total = 0;
  for (double& sum : sums) sum = total += gamma(random);
  if (!(total > 0)) {
    // A tiny alpha underflows to all zeros; its limit is one part that takes everything.
    std::fill(sums.begin() + static_cast<std::ptrdiff_t>(random.below(parts)), sums.end(), 1.0);
  } else {
    for (double& sum : sums) sum /= total;
  }
  sums.back() = 1;
  return sums;
}

void fill_empty_nodes(Partition& partition) {
  // The largest node first, the lowest number among equals; then the order depends on nothing else.
  std::priority_queue<std::pair<std::size_t, NodeId>> largest;
  const auto nodes = static_cast<NodeId>(partition.size());
  for (NodeId i = 0; i < nodes; ++i) largest.emplace(partition[i].size(), -i);
  for (NodeId i = 0; i < nodes; ++i) {
    if (!partition[i].empty()) continue;
    const NodeId donor = -largest.top().second;
    ECL_CHECK(partition[donor].size() > 1);
    largest.pop();
    partition[i].push_back(partition[donor].back());
    partition[donor].pop_back();
    largest.emplace(partition[donor].size(), -donor);
  }
}

void sort_nodes(Partition& partition) {
  for (auto& rows : partition) std::sort(rows.begin(), rows.end());
}

}  // namespace ecl
