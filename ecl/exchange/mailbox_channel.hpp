#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "ecl/contracts/graph.hpp"
#include "ecl/exchange/channel.hpp"
#include "ecl/mpi/comm.hpp"
#include "ecl/mpi/memory.hpp"

namespace ecl {

/// Mailboxes in memory that the writer reaches: a block for each incoming edge, in the READER's window. Where a block
/// lies follows from the Graph alone, so start-up exchanges nothing.
///
/// A block is a 64-byte line with a state word, then three slots. Mode::async, the newest wins: the slot numbers 0, 1,
/// 2 are tokens. One is held by the writer, one by the reader, one lies in the state word (number << 3 | fresh << 2 |
/// slot).
///     post:  put the payload into my slot; old = exchange(state, number | fresh | my slot); my slot = old's
///     take:  if fresh: old = exchange(state, my slot); my slot = old's; it holds the newest message, whole
/// A token changes hands only by an atomic exchange, so nobody writes a slot that is being read, nothing read is torn,
/// and neither side can make the other wait: between ranks that share memory, or where the network completes puts
/// without the target's program. (Elsewhere a put lasts until the peer enters MPI.)
///
/// Mode::lock_step, each message once. Message k goes to slot k mod 2, then the state becomes k. The writer posts k + 2
/// only after it took our k + 1, which we post after taking its k: so that slot is free again. On a one-way edge
/// nothing comes back: the Optimizer refuses lock step there.
class MailboxChannel final : public Channel {
 public:
  /// Which edges it serves; both ends of an edge must say the same.
  using Serves = std::function<bool(NodeId, const HalfEdge&)>;
  /// A node's rank in the communicator of the memory.
  using RankOf = std::function<int(NodeId)>;

  /// What the blocks of `node` take, in bytes.
  static std::size_t bytes(const Graph& graph, NodeId node, const Serves& serves, std::size_t message_floats);

  /// `memory`: at least bytes() here, zero. Collective over `comm`, the communicator of the memory.
  MailboxChannel(const mpi::Comm& comm, std::unique_ptr<mpi::Memory> memory, const Graph& graph, NodeId node,
                 const Serves& serves, const RankOf& rank_of, std::size_t message_floats, Mode mode);

  Stamp arrived(int e) override;
  Arrival take(int e) override;
  Arrival take(int e, Stamp number) override;
  Vec outbox(int e) override;
  void post(int e, Stamp number, Stamp step) override;

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  struct Out {
    int rank = -1;
    std::size_t block = 0;  ///< where the edge's block starts in the peer's memory
    std::uint64_t slot = 0;
    Stamp posted = 0;
  };
  struct In {
    std::size_t block = 0;  ///< in this rank's memory
    std::uint64_t slot = 2;
    Stamp number = 0;  ///< of the last message taken
  };

  std::size_t slot_at(std::size_t block, std::uint64_t slot) const;
  std::uint64_t next_slot(const Out& out) const;
  std::byte* filled(const Out& out);
  Arrival open(In& in, std::uint64_t slot, Stamp number);

  Mode mode_;
  int rank_;  ///< in the communicator of the memory
  std::size_t floats_, slot_bytes_;
  std::unique_ptr<mpi::Memory> memory_;
  std::vector<Out> out_;  ///< by local edge
  std::vector<In> in_;
  std::vector<Line> outbox_;  ///< where the peer's slots cannot be filled directly; edges take turns
};

}  // namespace ecl
