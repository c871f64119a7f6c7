// Natural shards: the samples that share a value of a column stay together. The largest group goes first, each to the
// node that holds least so far (Graham's rule), so sizes are balanced as far as the groups allow.
#include <algorithm>
#include <map>
#include <queue>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/data/partitions/shares.hpp"

namespace ecl {
namespace {

const std::vector<std::int32_t>& column_of(const Dataset& data, const std::string& name) {
  if (const auto found = data.columns.find(name); found != data.columns.end()) return found->second;
  if (name == "label" && data.multi_label())
    throw Error("partition by-column:label: a row has any number of labels here; name a group column");
  if (name == "label") return data.labels();
  std::vector<std::string> known{"label"};
  for (const auto& [column, groups] : data.columns) known.push_back(column);
  std::string list;
  for (const std::string& column : known) list += (list.empty() ? "" : ", ") + column;
  throw Error("partition by-column: this data set has no column '" + name + "'" + suggestion(name, known) +
              " (known: " + list + ")" +
              (data.columns.empty() ? "; group= or groups= of the data set says what belongs together" : ""));
}

}  // namespace

Partition make_by_column(const Dataset& data, NodeId nodes, std::uint64_t, Params& params) {
  const std::string name = params.text("column", std::nullopt, "a group column of the data set, or label");
  std::map<std::int32_t, std::vector<std::int32_t>> groups;
  const auto& column = column_of(data, name);
  for (std::size_t n = 0; n < column.size(); ++n) groups[column[n]].push_back(static_cast<std::int32_t>(n));
  if (groups.size() < static_cast<std::size_t>(nodes))
    throw Error("partition by-column: column '" + name + "' has " + std::to_string(groups.size()) + " groups for " +
                std::to_string(nodes) + " nodes; use at most " + std::to_string(groups.size()) + " nodes");

  std::vector<const std::vector<std::int32_t>*> largest_first;
  for (const auto& [number, rows] : groups) largest_first.push_back(&rows);
  std::stable_sort(largest_first.begin(), largest_first.end(),
                   [](const auto* a, const auto* b) { return a->size() > b->size(); });
  using Load = std::pair<std::size_t, NodeId>;
  std::priority_queue<Load, std::vector<Load>, std::greater<>> lightest;
  for (NodeId i = 0; i < nodes; ++i) lightest.emplace(0, i);
  Partition partition(nodes);
  for (const auto* rows : largest_first) {
    const NodeId node = lightest.top().second;
    lightest.pop();
    partition[node].insert(partition[node].end(), rows->begin(), rows->end());
    lightest.emplace(partition[node].size(), node);
  }
  sort_nodes(partition);
  return partition;
}

}  // namespace ecl
