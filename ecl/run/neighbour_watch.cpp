#include "ecl/run/neighbour_watch.hpp"

#include <iostream>
#include <sstream>
#include <utility>

#include "ecl/run/directory/events.hpp"

namespace ecl {
namespace {

constexpr double kLookEvery_s = 0.1;

/// One write: lines of ranks that speak at once are not mixed.
void say(const std::ostringstream& line) { std::cerr << "ecl: " + line.str() + "\n" << std::flush; }

}  // namespace

NeighbourWatch::NeighbourWatch(const Graph& graph, NodeId node, double stall_warn_s, std::uint64_t last_step,
                               std::string directory)
    : node_(node), stall_warn_s_(stall_warn_s), last_step_(last_step), directory_(std::move(directory)) {
  for (const HalfEdge& edge : graph.edges(node)) edges_.push_back({.peer = edge.peer});
}

void NeighbourWatch::look(const Optimizer<MpiPort>& optimizer, double now_s) {
  if (looked_s_ < 0)  // of a run that is resumed, too
    for (Edge& edge : edges_) edge.since_s = now_s;
  else if (now_s - looked_s_ < kLookEvery_s)
    return;
  looked_s_ = now_s;
  for (int e = 0; e < static_cast<int>(edges_.size()); ++e)
    look_at(edges_[e], optimizer.heard(e), optimizer.arrived(e), now_s);
}

NeighbourWatch::Silence NeighbourWatch::longest(double now_s) const {
  Silence found;
  for (const Edge& edge : edges_)
    if (edge.expected && (found.peer < 0 || now_s - edge.since_s > found.seconds))
      found = {edge.peer, now_s - edge.since_s, edge.silent};
  return found;
}

void NeighbourWatch::look_at(Edge& edge, const Optimizer<MpiPort>::Heard& now, Stamp arrived, double now_s) {
  edge.expected = now.receives && now.step < last_step_;
  std::ostringstream line;
  if (now.refused > 0 && !edge.refused) {
    edge.refused = true;
    line << "node " << node_ << " refuses what node " << edge.peer << " sent at about step " << now.step
         << ": it holds an infinity or a NaN; has that node diverged?";
    say(line);
    note_event(directory_, {now_s, node_, "refused", edge.peer});
    return;
  }
  if (now.step != edge.heard || arrived != edge.arrived || !now.receives) {
    if (edge.silent && now.receives) {
      line << "node " << node_ << " hears from node " << edge.peer << " again, after "
           << static_cast<long>(now_s - edge.since_s) << " s";
      say(line);
      note_event(directory_, {now_s, node_, "back", edge.peer});
    }
    edge.heard = now.step, edge.arrived = arrived, edge.since_s = now_s, edge.silent = false;
    return;
  }
  const bool may_be_silent = !now.receives || edge.heard >= last_step_ || stall_warn_s_ == 0;
  if (edge.silent || may_be_silent || now_s - edge.since_s < stall_warn_s_) return;
  edge.silent = true;
  line << "node " << node_ << " has heard nothing from node " << edge.peer << " for "
       << static_cast<long>(now_s - edge.since_s) << " s; its last message was of step " << edge.heard
       << ": is it stopped, or cut off?";
  say(line);
  note_event(directory_, {edge.since_s, node_, "silent", edge.peer});
}

}  // namespace ecl
