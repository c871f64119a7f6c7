#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "ecl/base/floats.hpp"
#include "ecl/contracts/graph.hpp"
#include "ecl/contracts/network_port.hpp"
#include "ecl/replay/delivery_log.hpp"

namespace ecl {

/// The mailboxes of a recorded run in one process. It keeps a message from its post until the take that the reader's
/// log tells of, and no message that nobody took: looking ahead in the logs says which those are.
///
/// Whoever owns the loop reads the logs and steps the nodes in any order in which posted() holds before each event.
class ReplayNetwork {
 public:
  /// `graph` outlives the network; `logs`: of every node, at their beginning.
  ReplayNetwork(const Graph& graph, std::size_t message_floats, const std::vector<DeliveryReader>& logs);
  ReplayNetwork(const ReplayNetwork&) = delete;
  ReplayNetwork& operator=(const ReplayNetwork&) = delete;

  /// Every message that node i takes in `event` has been posted.
  bool posted(NodeId i, const DeliveryEvent& event) const;
  /// Messages posted to node i's edge e so far.
  Stamp posted(NodeId i, int e) const { return boxes_[index(i, e)].posted; }
  /// What the message was posted with that node i takes next on edge e; it has been posted.
  Stamp next_stamp(NodeId i, int e) const { return boxes_[index(i, e)].waiting.front().step; }
  /// Node i is about to take the messages of `event`.
  void expect(NodeId i, const DeliveryEvent& event);
  /// It took them. Throws Error (io) if it did not: the log is not of this experiment.
  void check_taken(NodeId i);
  // What a port asks, of node i and its edge e.
  double now(NodeId i) const { return nodes_[i].time_s; }  ///< the recorded clock at its last evaluation
  Stamp arrived(NodeId i, int e) const { return boxes_[index(i, e)].posted; }
  Arrival take(NodeId i, int e);
  Arrival take(NodeId i, int e, Stamp number);
  Vec outbox(NodeId, int) { return outbox_; }
  void post(NodeId i, int e, Stamp step);
  const Traffic& traffic(NodeId i) const { return nodes_[i].traffic; }
  void set_clock(NodeId i, double time_s) { nodes_[i].time_s = time_s; }

 private:
  struct Message {
    Stamp number = 0, step = 0;
    Floats payload;
  };
  /// One directed edge, at its reader.
  struct Mailbox {
    DeliveryReader ahead;  ///< in the reader's log: looks for the next message wanted
    int edge;              ///< the reader's
    Stamp wanted = 0, posted = 0, taken = 0, expected = 0;
    std::deque<Message> waiting = {};
    Message held = {};  ///< until the next take
  };
  struct NodeState {
    double time_s = 0;
    bool takes = false;  ///< an event is expected
    Traffic traffic;
  };

  std::size_t index(NodeId i, int e) const { return first_edge_[i] + e; }
  Mailbox& box_of_peer(NodeId i, int e);
  [[noreturn]] void misfit(NodeId i) const;

  const Graph& graph_;
  std::vector<std::size_t> first_edge_;
  std::vector<Mailbox> boxes_;
  std::vector<NodeState> nodes_;
  Floats outbox_;  ///< the edges take turns
};

/// One node's port in the replay of a recorded run: a take yields what the log says.
using ReplayPort = NetworkPort<ReplayNetwork>;
static_assert(Port<ReplayPort>);

}  // namespace ecl
