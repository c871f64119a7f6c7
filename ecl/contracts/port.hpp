#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>

#include "ecl/base/types.hpp"

namespace ecl {

/// What a message says of when it was sent: the Stamp that it is posted with.
struct SentAt {
  std::uint64_t step = 0;  ///< the sender's local steps so far
  int left = 0;            ///< exchanges that it still makes before its next one

  static constexpr int kBits = 10, kMostLeft = (1 << kBits) - 1;
  static SentAt of(Stamp stamp) { return {stamp >> kBits, static_cast<int>(stamp & kMostLeft)}; }
  Stamp stamp() const { return step << kBits | static_cast<Stamp>(std::min(left, kMostLeft)); }
};

/// A message as its reader finds it. Empty if there was none.
struct Arrival {
  Stamp number = 0;  ///< of the message on its edge; grows by one with each post
  Stamp step = 0;    ///< what the sender posted it with: SentAt
  CVec payload;      ///< valid until the next take on the same edge; in lock step also until the next post on it
  explicit operator bool() const { return number != 0; }
};

/// How the messages of an edge reach the other end.
enum class Mode {
  async,     ///< the newest wins; nobody waits
  lock_step  ///< each message is read exactly once, in order: round k needs message k
};

/// What one node's port has moved so far. Bytes are payload bytes. Sent is what was posted: where a link is busy, one
/// that waits for it and is replaced by a newer one counts, too.
struct Traffic {
  std::uint64_t bytes_sent = 0;
  std::uint64_t messages_sent = 0;
  std::uint64_t messages_taken = 0;
  std::uint64_t messages_torn = 0;         ///< arrived damaged, rejected: some of those that were overwritten
  std::uint64_t messages_overwritten = 0;  ///< a newer one, damage or a loss kept them from being read
  double exchange_seconds = 0;             ///< spent in posts, and in takes that yielded a message

  Traffic& operator+=(const Traffic& other) {
    bytes_sent += other.bytes_sent;
    messages_sent += other.messages_sent;
    messages_taken += other.messages_taken;
    messages_torn += other.messages_torn;
    messages_overwritten += other.messages_overwritten;
    exchange_seconds += other.exchange_seconds;
    return *this;
  }
};

/// What one node sees of the network: for each incident edge e one slot that it reads and one that it writes.
///
/// Models: MpiPort (MPI one-sided), SimPort (simulated network), ReplayPort (a recorded run). A take yields a message
/// whole or not at all, never an older one than before. A post never waits for the peer's program. After one of a
/// port's edges was given an outbox, post that edge before asking for another.
template <class P>
concept Port = requires(P p, const P c, int e, Stamp k) {
  { c.now() } -> std::same_as<double>;        // seconds since the start of the run; no other code reads a clock
  { c.arrived(e) } -> std::same_as<Stamp>;    // number of the newest message on e, 0 if none
  { p.take(e) } -> std::same_as<Arrival>;     // the newest unseen message (Mode::async)
  { p.take(e, k) } -> std::same_as<Arrival>;  // exactly message k, which has arrived or is lost (lock step)
  { p.outbox(e) } -> std::same_as<Vec>;       // floats to fill, then
  { p.post(e, k) } -> std::same_as<void>;     // publish them; k says when: SentAt
  { c.traffic() } -> std::same_as<const Traffic&>;
};

}  // namespace ecl
