#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ecl/base/random.hpp"
#include "ecl/contracts/dataset.hpp"

/// What the partitions share.
namespace ecl {

/// The sample numbers of each class, ascending. Throws Error for a data set without classes; `partition` names the
/// partition in it.
std::vector<std::vector<std::int32_t>> rows_by_class(const Dataset& data, const std::string& partition);

/// Dirichlet(alpha) weights as running sums: `parts` numbers, non-decreasing, the last is 1.
std::vector<double> dirichlet_running_sums(NodeId parts, double alpha, Random& random);

/// Moves single samples from the largest nodes to those without any, in a fixed order. Needs at least as many samples
/// as nodes.
void fill_empty_nodes(Partition& partition);

/// Sorts each node's sample numbers.
void sort_nodes(Partition& partition);

}  // namespace ecl
