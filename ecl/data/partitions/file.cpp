// A partition that the user made: line n of a text file (plain or gzip) names the node, from 0, of training sample n.
#include "ecl/base/check.hpp"
#include "ecl/base/gzip.hpp"
#include "ecl/base/text_lines.hpp"
#include "ecl/data/partitions/shares.hpp"

namespace ecl {

Partition make_file(const Dataset& data, NodeId nodes, std::uint64_t, Params& params) {
  const std::string path = params.text("path", std::nullopt, "text file, one node number a line");
  const Bytes content = read_file(path, "write file:PATH, PATH a text file with one node number a line");
  TextLines lines(path, content);
  Partition partition(nodes);
  std::size_t samples = 0;
  while (lines.next()) {
    const auto cells = split_cells(lines, ',');
    if (cells.size() != 1) lines.fail(lines.line(), "a line holds one node number");
    const std::int64_t node = lines.integer(cells[0]);
    if (node < 0 || node >= nodes)
      lines.fail(cells[0], "node " + std::to_string(node) + " is outside 0 .. " + std::to_string(nodes - 1),
                 Exit::usage);
    if (samples == data.size())
      lines.fail(cells[0], "one line too many for the " + std::to_string(data.size()) + " training samples",
                 Exit::usage);
    partition[node].push_back(static_cast<std::int32_t>(samples++));
  }
  if (samples != data.size())
    throw Error("'" + path + "' has " + std::to_string(samples) + " node numbers for " + std::to_string(data.size()) +
                " training samples; it needs one a line for each");
  for (NodeId i = 0; i < nodes; ++i)
    if (partition[i].empty())
      throw Error("'" + path + "' gives no sample to node " + std::to_string(i) + " of 0 .. " +
                  std::to_string(nodes - 1) + "; name every node at least once");
  return partition;
}

}  // namespace ecl
