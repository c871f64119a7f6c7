#include "ecl/engines/mpi_port.hpp"

#include <cstring>

#include "ecl/words/check.hpp"

namespace ecl {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::uint64_t kFresh = 4, kSlotMask = 3, kSpareSlot = 1;
constexpr int kNumberShift = 3;

/// First line of a slot.
struct Header {
  Stamp step;
};

std::size_t whole_lines(std::size_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

}  // namespace

MpiPort::MpiPort(const mpi::Comm& comm, const Graph& graph, std::size_t message_floats, Mode mode)
    : mode_(mode),
      rank_(comm.rank()),
      floats_(message_floats),
      slot_bytes_(kLine + whole_lines(message_floats * sizeof(float))),
      start_(MPI_Wtime()),
      outbox_(slot_bytes_ / kLine) {
  ECL_CHECK(graph.size() == comm.size());
  const std::size_t block_bytes = kLine + 3 * slot_bytes_;
  for (const HalfEdge& edge : graph.edges(rank_)) {
    out_.push_back({.rank = edge.peer, .block = edge.twin * block_bytes});
    in_.push_back({.block = in_.size() * block_bytes});
  }
  if (message_floats == 0 || graph.edge_count() == 0) return;
  window_ = std::make_unique<mpi::Window>(comm, in_.size() * block_bytes);
  if (mode == Mode::async)
    for (const In& in : in_) std::memcpy(window_->local() + in.block, &kSpareSlot, sizeof kSpareSlot);
  window_->sync();
  comm.barrier();  // the first posts must find the initial states
  start_ = MPI_Wtime();
}

double MpiPort::now() const { return MPI_Wtime() - start_; }

std::size_t MpiPort::slot_at(std::size_t block, std::uint64_t slot) const { return block + kLine + slot * slot_bytes_; }

Stamp MpiPort::arrived(int e) const {
  const std::uint64_t state = window_->read(rank_, in_[e].block);
  if (mode_ == Mode::lock_step) return state >> kNumberShift;
  return state & kFresh ? state >> kNumberShift : in_[e].number;
}

Arrival MpiPort::take(int e) {
  ECL_CHECK(mode_ == Mode::async);
  In& in = in_[e];
  if (!(window_->read(rank_, in.block) & kFresh)) return {};  // only this reader clears it: it stays set
  const double start = MPI_Wtime();
  window_->sync();  // my loads of the old slot come before I give it back
  const std::uint64_t state = window_->exchange(rank_, in.block, in.slot);
  window_->sync();  // and those of the new one after I got it
  in.slot = state & kSlotMask;
  const Arrival arrival = open(e, in.slot, state >> kNumberShift);
  traffic_.exchange_seconds += MPI_Wtime() - start;
  return arrival;
}

Arrival MpiPort::take(int e, Stamp number) {
  ECL_CHECK(mode_ == Mode::lock_step && arrived(e) >= number);
  window_->sync();
  return open(e, number % 2, number);
}

Arrival MpiPort::open(int e, std::uint64_t slot, Stamp number) {
  In& in = in_[e];
  ECL_CHECK(number > in.number);
  ++traffic_.messages_taken;
  traffic_.messages_overwritten += number - in.number - 1;
  in.number = number;
  const std::byte* at = window_->local() + slot_at(in.block, slot);
  Header header;
  std::memcpy(&header, at, sizeof header);
  return {number, header.step, {reinterpret_cast<const float*>(at + kLine), floats_}};
}

Vec MpiPort::outbox(int) { return {reinterpret_cast<float*>(outbox_.data() + 1), floats_}; }

void MpiPort::post(int e, Stamp step) {
  const double start = MPI_Wtime();
  const Header header{step};
  std::memcpy(outbox_.data(), &header, sizeof header);
  Out& out = out_[e];
  ++out.number;
  const std::uint64_t slot = mode_ == Mode::async ? out.slot : out.number % 2;
  window_->put(out.rank, slot_at(out.block, slot), outbox_.data(), kLine + floats_ * sizeof(float));
  const std::uint64_t fresh = mode_ == Mode::async ? kFresh | slot : 0;
  const std::uint64_t old = window_->exchange(out.rank, out.block, out.number << kNumberShift | fresh);
  if (mode_ == Mode::async) out.slot = old & kSlotMask;
  ++traffic_.messages_sent;
  traffic_.bytes_sent += floats_ * sizeof(float);
  traffic_.exchange_seconds += MPI_Wtime() - start;
}

}  // namespace ecl
