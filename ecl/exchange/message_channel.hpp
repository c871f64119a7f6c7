#pragma once

#include <mpi.h>
#include <vector>

#include "ecl/base/floats.hpp"
#include "ecl/contracts/graph.hpp"
#include "ecl/exchange/channel.hpp"
#include "ecl/exchange/mailbox_channel.hpp"
#include "ecl/mpi/comm.hpp"

namespace ecl {

/// A mailbox of two-sided messages, for edges whose ends share no memory and whose network moves puts only while the
/// target's program is inside MPI. Everything is started and tested, nothing waited for: a peer that is stopped or cut
/// off costs nobody time.
///
/// Mode::async. The writer has at most one message on its way; what it posts meanwhile replaces what it posted before,
/// and leaves when the way is free. The reader has three buffers: one it reads, one that holds the newest message, one
/// that the next arrives in. So what is read is whole, and at most one message older than what could have been.
///
/// Mode::lock_step. Up to two messages of an edge are on their way, each is read once, in order.
class MessageChannel final : public Channel {
 public:
  using Serves = MailboxChannel::Serves;

  /// Collective: node i is rank i of `comm`.
  MessageChannel(const mpi::Comm& comm, const Graph& graph, const Serves& serves, std::size_t message_floats,
                 Mode mode);
  /// Collective, unless an exception is unwinding: the last messages are delivered, unless who watches `comm` finds
  /// meanwhile that a rank has died.
  ~MessageChannel() override;
  MessageChannel(const MessageChannel&) = delete;
  MessageChannel& operator=(const MessageChannel&) = delete;

  Stamp arrived(int e) override;
  Arrival take(int e) override;
  Arrival take(int e, Stamp number) override;
  Vec outbox(int e) override;
  void post(int e, Stamp number, Stamp step) override;
  void poke() override;

 private:
  /// A message as it travels: a line with its number and step, then the payload.
  using Buffer = Floats;

  struct Out {
    int rank = -1, tag = 0;  ///< rank -1: not served
    Buffer buffers[2];
    MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
    int filling = 0;       ///< the buffer that outbox() gives
    bool waiting = false;  ///< async: it holds a message that has not left yet
  };
  struct In {
    int rank = -1, tag = 0;
    Buffer buffers[3];
    MPI_Request request = MPI_REQUEST_NULL;
    int reading = 0, newest = 1, arriving = 2;
    Stamp arrived = 0, taken = 0;
    bool closed = false;  ///< the writer said that no more will come
  };

  Arrival open(const Buffer& buffer) const;
  void receive(In& in);
  void listen(In& in);
  void leave(Out& out);
  bool close(Out& out, bool& told);

  mpi::Comm comm_;
  Mode mode_;
  std::size_t floats_;
  std::vector<Out> out_;  ///< by local edge
  std::vector<In> in_;
};

}  // namespace ecl
