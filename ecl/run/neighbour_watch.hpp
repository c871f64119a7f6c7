#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ecl/contracts/graph.hpp"
#include "ecl/exchange/mpi_port.hpp"
#include "ecl/node/optimizer.hpp"

namespace ecl {

/// Tells the user, on stderr, of neighbours that have fallen silent or send what is no number. It changes nothing: an
/// asynchronous node goes on with what it has, and in lock step there is no way but to wait.
class NeighbourWatch {
 public:
  /// `stall_warn_s`: silence that is worth a line; 0: none is. `last_step`: of a node's last message; after that it
  /// may be silent. `directory`: of the run, whose events.csv keeps what is told.
  NeighbourWatch(const Graph& graph, NodeId node, double stall_warn_s, std::uint64_t last_step,
                 std::string directory = "");

  /// Call it now and then; most calls do nothing.
  void look(const Optimizer<MpiPort>& optimizer, double now_s);

  /// The neighbour of which no new step was heard for longest, among those that have steps to make. `peer` -1: none.
  struct Silence {
    NodeId peer = -1;
    double seconds = 0;
    bool warned = false;  ///< a line was said about it
  };
  Silence longest(double now_s) const;

 private:
  struct Edge {
    NodeId peer;
    Stamp heard = 0;    ///< its step, as the newest message taken says
    Stamp arrived = 0;  ///< number of the newest message, taken or not: within a long round none is
    double since_s = 0;
    bool expected = true;                  ///< it has steps to make, and lives
    bool silent = false, refused = false;  ///< a line was said about it
  };

  void look_at(Edge& edge, const Optimizer<MpiPort>::Heard& now, Stamp arrived, double now_s);

  NodeId node_;
  double stall_warn_s_;
  std::uint64_t last_step_;
  std::string directory_;
  std::vector<Edge> edges_;
  double looked_s_ = -1;
};

}  // namespace ecl
