#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ecl/contracts/graph.hpp"
#include "ecl/contracts/port.hpp"
#include "ecl/contracts/tracer.hpp"
#include "ecl/exchange/channel.hpp"
#include "ecl/exchange/transports.hpp"
#include "ecl/mpi/comm.hpp"

namespace ecl {

/// The port of one MPI rank, node i = rank i. What carries each edge is chosen at start (Transports); here the messages
/// are numbered and counted.
class MpiPort {
 public:
  /// Collective. `message_floats` is the solver's message_size(), the same on all ranks. Throws as make_transports
  /// does.
  MpiPort(const mpi::Comm& comm, const Graph& graph, std::size_t message_floats, Mode mode,
          Exchange exchange = Exchange::automatic);

  double now() const;
  Stamp arrived(int e) const { return edges_[e].channel->arrived(e); }
  Arrival take(int e);
  Arrival take(int e, Stamp number);
  Vec outbox(int e) { return edges_[e].channel->outbox(e); }
  void post(int e, Stamp step);
  const Traffic& traffic() const { return traffic_; }

  /// Moves what is under way, waits for nobody. Call it about every millisecond of computing, beside Comm::poke().
  void poke();
  /// One line for people: what carries which edges.
  const std::string& exchange() const { return exchange_; }
  /// From here on `tracer`, which outlives this, is told of posts and takes.
  void trace(Tracer* tracer) { tracer_ = tracer; }

 private:
  struct EdgeUse {
    Channel* channel = nullptr;
    Stamp posted = 0, taken = 0;  ///< numbers of the last messages
  };

  Arrival counted(int e, const Arrival& arrival);
  void told(TraceEvent::Kind kind, int e, Stamp number, double start, double end);

  Mode mode_;
  std::size_t payload_bytes_;
  double start_;
  std::vector<std::unique_ptr<Channel>> channels_;
  std::vector<EdgeUse> edges_;
  std::string exchange_ = "nothing to exchange";
  Traffic traffic_;
  Tracer* tracer_ = nullptr;
};

static_assert(Port<MpiPort>);

}  // namespace ecl
