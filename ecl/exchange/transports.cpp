#include "ecl/exchange/transports.hpp"

#include <optional>

#include "ecl/base/check.hpp"
#include "ecl/base/text_lines.hpp"
#include "ecl/exchange/mailbox_channel.hpp"
#include "ecl/exchange/message_channel.hpp"
#include "ecl/mpi/error.hpp"
#include "ecl/mpi/hosts.hpp"
#include "ecl/mpi/probe.hpp"
#include "ecl/mpi/shared_window.hpp"
#include "ecl/mpi/window.hpp"

namespace ecl {
namespace {

/// Some of the graph's edges.
struct EdgeSet {
  MailboxChannel::Serves serves;
  std::string place;
};

class Maker {
 public:
  Maker(const mpi::Comm& comm, const Graph& graph, std::size_t floats, Mode mode)
      : comm_(comm), hosts_(comm), graph_(graph), floats_(floats), mode_(mode) {
    transports_.of_edge.resize(graph.degree(comm.rank()));
  }

  Transports make(Exchange exchange) {
    const EdgeSet all{[](NodeId, const HalfEdge&) { return true; }, ""};
    const EdgeSet within{[this](NodeId i, const HalfEdge& edge) { return share_host(i, edge); },
                         hosts_.count() > 1 ? " within each of " + std::to_string(hosts_.count()) + " hosts" : ""};
    const EdgeSet between{[this](NodeId i, const HalfEdge& edge) { return !share_host(i, edge); }, " between hosts"};

    if (exchange == Exchange::automatic) {
      automatic(all, within, between);
    } else if (exchange == Exchange::shared) {
      if (any(between)) throw Error("exchange shared: some edges lead to other hosts; use exchange auto");
      if (!share(within)) throw Error("exchange shared: this MPI shares no memory; use exchange auto");
    } else if (exchange == Exchange::window) {
      if (!put(all)) throw Error("exchange window: this MPI makes no window here; use exchange auto");
    } else {
      send(all, "");
    }
    return std::move(transports_);
  }

 private:
  void automatic(const EdgeSet& all, const EdgeSet& within, const EdgeSet& between) {
    const EdgeSet& rest = any(within) && share(within) ? between : all;
    if (!any(rest)) return;
    const mpi::Puts puts = mpi::puts_without_target(comm_, hosts_);
    if (puts == mpi::Puts::complete_alone && put(rest)) return;
    send(rest, puts == mpi::Puts::wait ? " (puts would wait for the target's program)" : " (MPI makes no window)");
  }

  bool share_host(NodeId i, const HalfEdge& edge) const { return hosts_.host_of(i) == hosts_.host_of(edge.peer); }

  bool any(const EdgeSet& edges) const {
    for (NodeId i = 0; i < graph_.size(); ++i)
      for (const HalfEdge& edge : graph_.edges(i))
        if (edges.serves(i, edge)) return true;
    return false;
  }

  /// False, on all ranks, if MPI shares no memory here.
  bool share(const EdgeSet& edges) {
    const std::size_t bytes = bytes_for(edges);
    auto memory = attempt([&] { return new mpi::SharedWindow(hosts_.here(), bytes); });
    if (!memory) return false;
    add("shared memory", edges,
        std::make_unique<MailboxChannel>(
            hosts_.here(), std::move(memory), graph_, comm_.rank(), edges.serves,
            [this](NodeId i) { return hosts_.local_rank(i); }, floats_, mode_));
    return true;
  }

  /// False, on all ranks, if MPI makes no window here.
  bool put(const EdgeSet& edges) {
    const std::size_t bytes = bytes_for(edges);
    auto memory = attempt([&] { return new mpi::Window(comm_, bytes); });
    if (!memory) return false;
    add("one-sided puts", edges,
        std::make_unique<MailboxChannel>(
            comm_, std::move(memory), graph_, comm_.rank(), edges.serves, [](NodeId i) { return i; }, floats_, mode_));
    return true;
  }

  void send(const EdgeSet& edges, const std::string& why) {
    add("two-sided messages", edges, std::make_unique<MessageChannel>(comm_, graph_, edges.serves, floats_, mode_));
    transports_.description += why;
  }

  void add(const std::string& means, const EdgeSet& edges, std::unique_ptr<Channel> channel) {
    if (!transports_.channels.empty()) transports_.description += ", ";
    transports_.description += means + edges.place;
    const auto mine = graph_.edges(comm_.rank());
    for (std::size_t e = 0; e < mine.size(); ++e)
      if (edges.serves(comm_.rank(), mine[e])) transports_.of_edge[e] = channel.get();
    transports_.channels.push_back(std::move(channel));
  }

  std::size_t bytes_for(const EdgeSet& edges) const {
    const std::size_t bytes = MailboxChannel::bytes(graph_, comm_.rank(), edges.serves, floats_);
    comm_.together([&] { mpi::require_shared_memory(hosts_.here(), bytes); });
    return bytes;
  }

  template <class Make>
  std::unique_ptr<mpi::Memory> attempt(const Make& make) const {
    std::unique_ptr<mpi::Memory> memory;
    try {
      memory.reset(make());
    } catch (const mpi::Error&) {  // no component of this MPI can: the other ranks find the same
    }
    if (comm_.max(memory ? 0 : 1) > 0) memory.reset();
    return memory;
  }

  const mpi::Comm& comm_;
  mpi::Hosts hosts_;
  const Graph& graph_;
  std::size_t floats_;
  Mode mode_;
  Transports transports_;
};

}  // namespace

Exchange exchange_named(const std::string& name) {
  if (name == "auto") return Exchange::automatic;
  if (name == "shared") return Exchange::shared;
  if (name == "window") return Exchange::window;
  if (name == "messages") return Exchange::messages;
  throw Error("unknown exchange " + quoted(name) + " (known: auto, shared, window, messages)");
}

Transports make_transports(const mpi::Comm& comm, const Graph& graph, std::size_t message_floats, Mode mode,
                           Exchange exchange) {
  return Maker(comm, graph, message_floats, mode).make(exchange);
}

}  // namespace ecl
