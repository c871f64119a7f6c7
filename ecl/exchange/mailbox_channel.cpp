#include "ecl/exchange/mailbox_channel.hpp"

#include <cstring>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::uint64_t kFresh = 4, kSlotMask = 3, kSpareSlot = 1;
constexpr int kNumberShift = 3;

/// First line of a slot.
struct Header {
  Stamp step;
};

std::size_t slot_bytes_of(std::size_t message_floats) {
  return kLine + (message_floats * sizeof(float) + kLine - 1) / kLine * kLine;
}
std::size_t block_bytes_of(std::size_t message_floats) { return kLine + 3 * slot_bytes_of(message_floats); }

/// Blocks that come before that of `node`'s edge `end`: one for each incoming edge that is served.
std::size_t blocks_before(const Graph& graph, NodeId node, int end, const MailboxChannel::Serves& serves) {
  std::size_t blocks = 0;
  for (int e = 0; e < end; ++e) {
    const HalfEdge& edge = graph.edges(node)[e];
    blocks += edge.receives && serves(node, edge);
  }
  return blocks;
}

}  // namespace

std::size_t MailboxChannel::bytes(const Graph& graph, NodeId node, const Serves& serves, std::size_t message_floats) {
  return blocks_before(graph, node, graph.degree(node), serves) * block_bytes_of(message_floats);
}

MailboxChannel::MailboxChannel(const mpi::Comm& comm, std::unique_ptr<mpi::Memory> memory, const Graph& graph,
                               NodeId node, const Serves& serves, const RankOf& rank_of, std::size_t message_floats,
                               Mode mode)
    : mode_(mode),
      rank_(comm.rank()),
      floats_(message_floats),
      slot_bytes_(slot_bytes_of(message_floats)),
      memory_(std::move(memory)),
      out_(graph.degree(node)),
      in_(graph.degree(node)) {
  const std::size_t block_bytes = block_bytes_of(message_floats);
  for (int e = 0; e < graph.degree(node); ++e) {
    const HalfEdge& edge = graph.edges(node)[e];
    if (!serves(node, edge)) continue;
    if (edge.sends)
      out_[e] = {.rank = rank_of(edge.peer), .block = blocks_before(graph, edge.peer, edge.twin, serves) * block_bytes};
    if (edge.sends && !memory_->of(out_[e].rank)) outbox_.resize(slot_bytes_ / kLine);
    if (!edge.receives) continue;
    in_[e].block = blocks_before(graph, node, e, serves) * block_bytes;
    if (mode == Mode::async) std::memcpy(memory_->local() + in_[e].block, &kSpareSlot, sizeof kSpareSlot);
  }
  memory_->sync();
  comm.barrier();  // the first posts must find the initial states
}

std::size_t MailboxChannel::slot_at(std::size_t block, std::uint64_t slot) const {
  return block + kLine + slot * slot_bytes_;
}

Stamp MailboxChannel::arrived(int e) {
  const std::uint64_t state = memory_->read(in_[e].block);
  if (mode_ == Mode::lock_step) return state >> kNumberShift;
  return state & kFresh ? state >> kNumberShift : in_[e].number;
}

Arrival MailboxChannel::take(int e) {
  In& in = in_[e];
  if (!(memory_->read(in.block) & kFresh)) return {};  // only this reader clears it: it stays set
  memory_->sync();                                     // my loads of the old slot come before I give it back
  const std::uint64_t state = memory_->exchange(rank_, in.block, in.slot);
  memory_->sync();  // and those of the new one after I got it
  in.slot = state & kSlotMask;
  return open(in, in.slot, state >> kNumberShift);
}

Arrival MailboxChannel::take(int e, Stamp number) {
  memory_->sync();
  return open(in_[e], number % 2, number);
}

Arrival MailboxChannel::open(In& in, std::uint64_t slot, Stamp number) {
  in.number = number;
  const std::byte* at = memory_->local() + slot_at(in.block, slot);
  Header header;
  std::memcpy(&header, at, sizeof header);
  return {number, header.step, {reinterpret_cast<const float*>(at + kLine), floats_}};
}

/// The slot that the next message on an edge goes to. In lock step the last but one message was taken from it.
std::uint64_t MailboxChannel::next_slot(const Out& out) const {
  return mode_ == Mode::async ? out.slot : (out.posted + 1) % 2;
}

/// Where this rank fills the next message: in the peer's slot itself, or here, to be put there.
std::byte* MailboxChannel::filled(const Out& out) {
  std::byte* const peer = memory_->of(out.rank);
  return peer ? peer + slot_at(out.block, next_slot(out)) : outbox_.front().bytes;
}

Vec MailboxChannel::outbox(int e) { return {reinterpret_cast<float*>(filled(out_[e]) + kLine), floats_}; }

void MailboxChannel::post(int e, Stamp number, Stamp step) {
  Out& out = out_[e];
  const Header header{step};
  std::byte* const from = filled(out);
  std::memcpy(from, &header, sizeof header);
  const std::uint64_t slot = next_slot(out);
  if (!memory_->of(out.rank)) memory_->put(out.rank, slot_at(out.block, slot), from, kLine + floats_ * sizeof(float));
  const std::uint64_t fresh = mode_ == Mode::async ? kFresh | slot : 0;
  const std::uint64_t old = memory_->exchange(out.rank, out.block, number << kNumberShift | fresh);
  if (mode_ == Mode::async) out.slot = old & kSlotMask;
  out.posted = number;
}

}  // namespace ecl
