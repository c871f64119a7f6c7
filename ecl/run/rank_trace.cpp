#include "ecl/run/rank_trace.hpp"

#include <algorithm>
#include <cstring>
#include <iostream>
#include <type_traits>
#include <utility>

#include "ecl/base/host.hpp"
#include "ecl/mpi/gather.hpp"

namespace ecl {
namespace {

/// What goes before a rank's events.
struct Header {
  std::uint64_t events, dropped;
  double clock_error_s;
};
static_assert(std::is_trivially_copyable_v<TraceEvent> && std::is_trivially_copyable_v<Header>, "they travel as bytes");

}  // namespace

RankTrace::RankTrace(const mpi::Comm& comm, const Experiment& experiment, std::function<double()> now)
    : comm_(comm),
      now_(std::move(now)),
      ring_(EventRing::usual_capacity(experiment.nodes())),
      capacity_(EventRing::usual_capacity(experiment.nodes())),
      hosts_(comm.gather_all(host_name())),
      start_(mpi::compare_clocks(comm, now_)) {}

/// By rank 0's clock, which is taken to go at a steady rate against this one between start and end.
std::vector<std::byte> RankTrace::packed(const mpi::ClockOffset& end) const {
  std::vector<TraceEvent> events = ring_.kept();
  const double between_s = end.at_s - start_.at_s;
  const double drift = between_s > 0 ? (end.offset_s - start_.offset_s) / between_s : 0;
  for (TraceEvent& event : events)
    for (double* time_s : {&event.start_s, &event.end_s}) *time_s += start_.offset_s + drift * (*time_s - start_.at_s);
  const Header header{events.size(), ring_.dropped(), std::max(start_.error_s, end.error_s)};
  std::vector<std::byte> bytes(sizeof header + events.size() * sizeof(TraceEvent));
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!events.empty()) std::memcpy(bytes.data() + sizeof header, events.data(), events.size() * sizeof(TraceEvent));
  return bytes;
}

NodeTrace RankTrace::unpacked(NodeId i, std::span<const std::byte> bytes) const {
  NodeTrace node;
  node.host = hosts_[i];
  node.died = bytes.empty();
  if (node.died) return node;
  Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  node.events.resize(header.events);
  node.dropped = header.dropped;
  node.clock_error_s = header.clock_error_s;
  const auto rest = bytes.subspan(sizeof header, header.events * sizeof(TraceEvent));
  if (!rest.empty()) std::memcpy(node.events.data(), rest.data(), rest.size());
  return node;
}

std::vector<NodeTrace> RankTrace::gather() {
  const auto all = mpi::gather_to_first(comm_, packed(mpi::compare_clocks(comm_, now_)));
  std::vector<NodeTrace> nodes;
  for (const auto& bytes : all) nodes.push_back(unpacked(static_cast<NodeId>(nodes.size()), bytes));
  return nodes;
}

void RankTrace::append_last_words(std::vector<std::byte>& report) const {
  const std::vector<std::byte> bytes = packed(start_);
  const std::size_t end = report.size() + sizeof(Header) + capacity_ * sizeof(TraceEvent);
  report.insert(report.end(), bytes.begin(), bytes.end());
  report.resize(end);
}

std::vector<NodeTrace> RankTrace::of_survivors(const std::vector<std::span<const std::byte>>& words) const {
  std::vector<NodeTrace> nodes;
  for (const auto& bytes : words) nodes.push_back(unpacked(static_cast<NodeId>(nodes.size()), bytes));
  return nodes;
}

void finish_trace(const Experiment& experiment, const std::vector<NodeTrace>& nodes) {
  const std::string& path = experiment.spec.trace;
  write_trace(path, nodes, experiment.graph, experiment.spec.command);
  std::cout << "time line: " << path << " (open it in ui.perfetto.dev or chrome://tracing)\n";
  if (const std::string missing = missing_from(nodes); !missing.empty())
    std::cerr << "ecl: warning: --trace " + path + ": " + missing + "\n";
}

}  // namespace ecl
