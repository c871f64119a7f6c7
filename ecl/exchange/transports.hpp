#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ecl/contracts/graph.hpp"
#include "ecl/exchange/channel.hpp"
#include "ecl/mpi/comm.hpp"

namespace ecl {

/// What carries the messages of an edge.
enum class Exchange {
  automatic,  ///< shared memory within a host; elsewhere windows if puts complete without the target, else messages
  shared,     ///< mailboxes in memory that the ranks of a host share
  window,     ///< mailboxes in a window, through MPI's one-sided calls
  messages    ///< two-sided messages
};

/// Of its name for users: auto, shared, window, messages. Throws Error for another.
Exchange exchange_named(const std::string& name);

/// The channels of a rank, and which of them serves each edge.
struct Transports {
  std::vector<std::unique_ptr<Channel>> channels;
  std::vector<Channel*> of_edge;  ///< by local edge
  std::string description;        ///< one line for people
};

/// Chooses and makes them, alike on all ranks; between hosts by a measurement of about a tenth of a second. Collective.
/// Throws Error on every rank if the exchange asked for does not work here, or a host has no room for the mailboxes.
Transports make_transports(const mpi::Comm& comm, const Graph& graph, std::size_t message_floats, Mode mode,
                           Exchange exchange);

}  // namespace ecl
