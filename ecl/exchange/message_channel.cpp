#include "ecl/exchange/message_channel.hpp"

#include <chrono>
#include <cstring>
#include <exception>
#include <limits>
#include <thread>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/mpi/error.hpp"

namespace ecl {
namespace {

constexpr std::size_t kHeaderFloats = 16;  // one line: the payload stays aligned
constexpr std::chrono::microseconds kPause{100};
constexpr int kLooksBetweenWatches = 1000;

struct Header {
  Stamp number, step;  ///< number 0: no more will come
};
static_assert(sizeof(Header) <= kHeaderFloats * sizeof(float));

void stamp(Floats& buffer, const Header& header) { std::memcpy(buffer.data(), &header, sizeof header); }

Header header_of(const Floats& buffer) {
  Header header;
  std::memcpy(&header, buffer.data(), sizeof header);
  return header;
}

/// Whether who watches the ranks finds nothing that ends the run: some of them may be waited for in vain.
bool all_is_well(const mpi::Comm& comm) {
  try {
    comm.look();
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace

MessageChannel::MessageChannel(const mpi::Comm& comm, const Graph& graph, const Serves& serves,
                               std::size_t message_floats, Mode mode)
    : comm_(comm.duplicate()),
      mode_(mode),
      floats_(message_floats),
      out_(graph.degree(comm.rank())),
      in_(graph.degree(comm.rank())) {
  const NodeId node = comm.rank();
  ECL_CHECK(kHeaderFloats + floats_ <= std::numeric_limits<int>::max());
  for (int e = 0; e < graph.degree(node); ++e) {
    const HalfEdge& edge = graph.edges(node)[e];
    if (!serves(node, edge)) continue;
    if (edge.sends) {
      out_[e].rank = edge.peer;
      out_[e].tag = edge.twin;
      for (Buffer& buffer : out_[e].buffers) buffer.resize(kHeaderFloats + floats_);
    }
    if (!edge.receives) continue;
    in_[e].rank = edge.peer;
    in_[e].tag = e;
    for (Buffer& buffer : in_[e].buffers) buffer.resize(kHeaderFloats + floats_);
    receive(in_[e]);
  }
}

MessageChannel::~MessageChannel() {
  if (std::uncaught_exceptions() > 0) return;  // the others may never come
  std::vector<char> told(out_.size());
  for (int looks = 0;; ++looks) {
    bool open = false;
    for (std::size_t e = 0; e < out_.size(); ++e) {
      bool edge_told = told[e] != 0;
      open |= !close(out_[e], edge_told);
      told[e] = edge_told;
    }
    for (In& in : in_) {
      listen(in);
      open |= in.rank >= 0 && !in.closed;
    }
    if (!open) return;
    if (looks % kLooksBetweenWatches == 0 && !all_is_well(comm_)) {
      static_cast<void>(new std::vector<Out>(std::move(out_)));  // MPI still has their buffers: they outlive this
      static_cast<void>(new std::vector<In>(std::move(in_)));
      return;
    }
    std::this_thread::sleep_for(kPause);
  }
}

/// Sends what is left on an edge, then that no more will come; true when all of it has arrived.
bool MessageChannel::close(Out& out, bool& told) {
  if (out.rank < 0) return true;
  leave(out);
  if (out.waiting || !comm_.finished(out.requests[0]) || !comm_.finished(out.requests[1])) return false;
  if (told) return true;
  stamp(out.buffers[out.filling], {0, 0});
  out.waiting = told = true;
  leave(out);
  return false;
}

/// The next message goes into the buffer that is neither read nor newest. In lock step message k has buffer k mod 3:
/// when k + 2 comes, k has been taken, so k - 1 is not read any more.
void MessageChannel::receive(In& in) {
  if (mode_ == Mode::lock_step) in.arriving = static_cast<int>((in.arrived + 1) % 3);
  Buffer& buffer = in.buffers[in.arriving];
  mpi::check(MPI_Irecv(buffer.data(), static_cast<int>(buffer.size()), MPI_FLOAT, in.rank, in.tag, comm_.handle(),
                       &in.request),
             "MPI_Irecv");
}

void MessageChannel::listen(In& in) {
  while (in.rank >= 0 && !in.closed && comm_.finished(in.request)) {
    const Stamp number = header_of(in.buffers[in.arriving]).number;
    in.closed = number == 0;
    if (in.closed) return;
    in.arrived = number;
    std::swap(in.newest, in.arriving);
    receive(in);
  }
}

/// What waits leaves if nothing is on its way. A synchronous send is done when the reader has begun to receive it: so
/// no MPI piles up messages for a reader that is stopped.
void MessageChannel::leave(Out& out) {
  if (!out.waiting) return;
  const bool lock_step = mode_ == Mode::lock_step;
  if (!lock_step && !comm_.finished(out.requests[1 - out.filling])) return;
  const Buffer& buffer = out.buffers[out.filling];
  mpi::check(MPI_Issend(buffer.data(), static_cast<int>(buffer.size()), MPI_FLOAT, out.rank, out.tag, comm_.handle(),
                        &out.requests[out.filling]),
             "MPI_Issend");
  out.filling = 1 - out.filling;
  out.waiting = false;
}

Stamp MessageChannel::arrived(int e) {
  listen(in_[e]);
  return in_[e].arrived;
}

Arrival MessageChannel::take(int e) {
  In& in = in_[e];
  listen(in);
  if (in.arrived == in.taken) return {};
  in.taken = in.arrived;
  std::swap(in.reading, in.newest);
  return open(in.buffers[in.reading]);
}

Arrival MessageChannel::take(int e, Stamp number) { return open(in_[e].buffers[number % 3]); }

Arrival MessageChannel::open(const Buffer& buffer) const {
  const Header header = header_of(buffer);
  return {header.number, header.step, {buffer.data() + kHeaderFloats, floats_}};
}

Vec MessageChannel::outbox(int e) {
  Out& out = out_[e];
  out.waiting = false;                    // replaced by the message that is coming
  comm_.wait(out.requests[out.filling]);  // lock step: the reader took it long ago
  return {out.buffers[out.filling].data() + kHeaderFloats, floats_};
}

void MessageChannel::post(int e, Stamp number, Stamp step) {
  Out& out = out_[e];
  stamp(out.buffers[out.filling], {number, step});
  out.waiting = true;
  leave(out);
}

void MessageChannel::poke() {
  for (In& in : in_) listen(in);
  for (Out& out : out_)
    if (out.rank >= 0) leave(out);
}

}  // namespace ecl
