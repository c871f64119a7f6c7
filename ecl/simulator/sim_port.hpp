#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "ecl/base/archive.hpp"
#include "ecl/contracts/graph.hpp"
#include "ecl/contracts/network_port.hpp"
#include "ecl/contracts/tracer.hpp"

namespace ecl {

/// How the simulated links behave. All of it is a function of (seed, edge, message number); of messages that wait for a
/// busy link, each in the place of the one before, jitter and repetition are the first one's.
struct LinkModel {
  double latency_s = 0;
  double bandwidth_bytes_s = 0;  ///< per directed edge, which sends one message at a time; 0: infinite
  double jitter = 0;             ///< a transit takes (1 - jitter + jitter * E) times as long, E exponential with mean 1
  double drop = 0;               ///< probability that a message is lost; in lock step its round goes on without it
  double duplicate = 0;          ///< ... that it arrives a second time, later
  double tear = 0;               ///< ... that it arrives damaged; the reader detects that and rejects it
  std::uint64_t seed = 1;
};

/// The simulated world: a virtual clock, the events to come, and every directed edge's mailbox.
///
/// Two runs with the same arguments and the same calls give the same bits: events are ordered by (time, number of
/// their scheduling), and no random stream depends on that order. Whoever owns the loop calls next() and steps the
/// node that it names; deliveries happen inside.
class SimNetwork {
 public:
  /// `graph` outlives the network.
  SimNetwork(const Graph& graph, std::size_t message_floats, const LinkModel& links, Mode mode);
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  double now() const { return now_; }
  // What a port asks, of node i and its edge e.
  double now(NodeId) const { return now_; }
  Stamp arrived(NodeId i, int e) const;
  Arrival take(NodeId i, int e);
  Arrival take(NodeId i, int e, Stamp number);
  Vec outbox(NodeId i, int e);
  void post(NodeId i, int e, Stamp step);
  const Traffic& traffic(NodeId i) const { return traffic_[i]; }
  /// How long a message keeps its link busy.
  double sending_seconds() const;
  /// From here on node i's `tracer`, which outlives this, is told of its posts and takes.
  void trace(NodeId i, Tracer* tracer) { tracers_[i] = tracer; }
  /// Wake node i at `time` (not before now).
  void wake_at(double time, NodeId i) { push({time, ++scheduled_, i, kNoBuffer}); }
  /// Wake node i as soon as a message reaches it.
  void park(NodeId i) { parked_[i] = 1; }
  /// Saves or loads time, events, mailboxes and messages; not the traffic, which the nodes' optimizers keep.
  void archive(Archive& archive);

  /// The next node to wake, the clock set to its time; none when nothing is left to happen.
  std::optional<NodeId> next();

 private:
  static constexpr std::uint32_t kNoBuffer = 0xffffffff;

  struct Event {
    double time;
    std::uint64_t order;
    std::int32_t target;   ///< node to wake, or directed edge (by reader) that a message reaches
    std::uint32_t buffer;  ///< its payload; kNoBuffer: a wake-up
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.time != b.time ? a.time > b.time : a.order > b.order;
    }
  };
  struct Buffer {
    std::vector<float> payload;
    Stamp number = 0, step = 0;
    bool torn = false, lost = false;
    void archive(Archive& archive) { archive(payload, number, step, torn, lost); }
  };
  /// One directed edge, at its reader.
  struct Mailbox {
    NodeId reader = 0;
    Stamp taken = 0;                                    ///< number of the last message taken
    std::uint32_t held = kNoBuffer;                     ///< its payload, until the next take
    std::uint32_t waiting[2] = {kNoBuffer, kNoBuffer};  ///< async: [0] is the newest; lock step: by number mod 2
    std::uint32_t outbox = kNoBuffer;                   ///< what the writer is filling
    Stamp posted = 0;
    std::uint32_t sending = kNoBuffer;  ///< what the link carries, or carries next
    double starts_at = 0, free_at = 0;  ///< when it begins with that, and can begin with another

    void archive(Archive& archive) {
      archive(reader, taken, held, waiting, outbox, posted, sending, starts_at, free_at);
    }
  };

  void push(const Event& event) {
    events_.push_back(event);
    std::push_heap(events_.begin(), events_.end(), Later());
  }
  std::size_t index(NodeId i, int e) const { return first_edge_[i] + e; }
  std::uint32_t acquire();
  void release(std::uint32_t buffer) {
    if (buffer != kNoBuffer) free_.push_back(buffer);
  }
  void send(std::size_t at, std::uint32_t buffer);
  void deliver(const Event& event);
  void check_loaded(const Archive& archive) const;
  Arrival hand_over(Mailbox& box, int e, std::uint32_t& place);
  void told(TraceEvent::Kind kind, NodeId i, int e, Stamp number);
  double transit_seconds(double exponential) const;

  const Graph& graph_;
  std::size_t floats_;
  LinkModel links_;
  Mode mode_;
  double now_ = 0;
  std::uint64_t scheduled_ = 0;
  std::vector<Event> events_;  ///< a heap, the next one first
  std::vector<char> parked_;
  std::vector<std::size_t> first_edge_;  ///< mailbox of (node, edge 0)
  std::vector<Mailbox> boxes_;
  std::deque<Buffer> buffers_;
  std::vector<std::uint32_t> free_;
  std::vector<Traffic> traffic_;
  std::vector<Tracer*> tracers_;  ///< by node; null: none
};

/// One simulated node's port.
using SimPort = NetworkPort<SimNetwork>;
static_assert(Port<SimPort>);

}  // namespace ecl
