#pragma once

#include <cstdint>
#include <iosfwd>
#include <vector>

#include "ecl/contracts/graph.hpp"
#include "ecl/node/staleness.hpp"

namespace ecl {

/// What travelled over each directed edge of a recorded run, as its reader saw it; `ecl replay` prints it.
class DeliveryReport {
 public:
  explicit DeliveryReport(const Graph& graph);

  /// Node i, at `step`, took on edge e a message that its sender had posted at `sender_step`.
  void add(NodeId i, int e, std::uint64_t step, std::uint64_t sender_step);
  /// Node i ended at `step`; `posted` messages had been sent to it on edge e.
  void close(NodeId i, int e, std::uint64_t step, std::uint64_t posted);

  /// A line an edge. `graph`: as above.
  void print(std::ostream& out, const Graph& graph) const;

 private:
  struct EdgeReport {
    std::uint64_t taken = 0, posted = 0, oldest = 0;
    Staleness staleness;
    std::uint64_t last = 0;                  ///< step of the last take
    std::uint64_t gap = 0, gap_started = 0;  ///< the longest between takes, in steps of the reader
  };

  std::vector<std::vector<EdgeReport>> nodes_;
};

}  // namespace ecl
