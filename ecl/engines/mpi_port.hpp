#pragma once

#include <memory>
#include <vector>

#include "ecl/contracts/graph.hpp"
#include "ecl/contracts/port.hpp"
#include "ecl/mpi/comm.hpp"
#include "ecl/mpi/window.hpp"

namespace ecl {

/// The mailboxes of one MPI rank: the Port over MPI one-sided communication, node i = rank i.
///
/// Each directed edge has one writer and one reader. Its block lies in the READER's window: one 64-byte line with a
/// state word, then three slots. Where a block lies follows from the Graph alone, so start-up exchanges nothing.
///
/// Mode::async, the newest wins. The slot numbers 0, 1, 2 are tokens: one is held by the writer, one by the reader, one
/// lies in the state word (number << 3 | fresh << 2 | slot).
///     post:  put the payload into my slot; flush; old = exchange(state, ++number | fresh | my slot); my slot = old's
///     take:  if fresh: old = exchange(state, my slot); my slot = old's; it holds the newest message, whole
/// A token changes hands only by an atomic exchange, so nobody writes a slot that is being read, nothing read is torn,
/// and neither side can make the other wait: on one host, or where the network completes puts without the target's
/// program. (Elsewhere a flush lasts until the peer enters MPI. And Open MPI's osc/sm holds a spin lock for the
/// nanoseconds of an exchange: a rank stopped just there holds up its neighbours.) The flush between payload and
/// exchange is what publishes a whole message.
///
/// Mode::lock_step, each message once. Message k goes to slot k mod 2, then the state becomes k. The writer posts k + 2
/// only after it took our k + 1, which we post after taking its k: so that slot is free again. On
/// a one-way edge nothing comes back: the Optimizer refuses lock step there.
class MpiPort {
 public:
  /// Collective. `message_floats` is the solver's message_size(), the same on all ranks.
  MpiPort(const mpi::Comm& comm, const Graph& graph, std::size_t message_floats, Mode mode);
  MpiPort(MpiPort&&) = default;

  double now() const;
  Stamp arrived(int e) const;
  Arrival take(int e);
  Arrival take(int e, Stamp number);
  Vec outbox(int e);
  void post(int e, Stamp step);
  const Traffic& traffic() const { return traffic_; }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  struct Out {
    int rank;
    std::size_t block;  ///< where the edge's block starts in the peer's window
    std::uint64_t slot = 0;
    Stamp number = 0;
  };
  struct In {
    std::size_t block;  ///< in this rank's window
    std::uint64_t slot = 2;
    Stamp number = 0;  ///< of the last message taken
  };

  std::size_t slot_at(std::size_t block, std::uint64_t slot) const;
  Arrival open(int e, std::uint64_t slot, Stamp number);

  Mode mode_;
  int rank_;
  std::size_t floats_, slot_bytes_;
  double start_;
  std::vector<Out> out_;
  std::vector<In> in_;
  std::vector<Line> outbox_;             ///< one line for the header, then the payload; edges take turns
  std::unique_ptr<mpi::Window> window_;  ///< null if there is nobody to talk to
  Traffic traffic_;
};

static_assert(Port<MpiPort>);

}  // namespace ecl
