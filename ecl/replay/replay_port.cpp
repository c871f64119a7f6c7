#include "ecl/replay/replay_port.hpp"

#include <limits>
#include <string>
#include <utility>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

constexpr Stamp kNever = std::numeric_limits<Stamp>::max();

}  // namespace

ReplayNetwork::ReplayNetwork(const Graph& graph, std::size_t message_floats, const std::vector<DeliveryReader>& logs)
    : graph_(graph), nodes_(graph.size()), outbox_(message_floats) {
  for (NodeId i = 0; i < graph.size(); ++i) {
    first_edge_.push_back(boxes_.size());
    for (int e = 0; e < graph.degree(i); ++e) boxes_.push_back({.ahead = logs[i], .edge = e});
  }
}

bool ReplayNetwork::posted(NodeId i, const DeliveryEvent& event) const {
  for (int e = 0; e < graph_.degree(i); ++e)
    if (event.taken[e] > boxes_[index(i, e)].posted) return false;
  return true;
}

void ReplayNetwork::expect(NodeId i, const DeliveryEvent& event) {
  nodes_[i].takes = true;
  for (int e = 0; e < graph_.degree(i); ++e) boxes_[index(i, e)].expected = event.taken[e];
}

void ReplayNetwork::check_taken(NodeId i) {
  for (int e = 0; e < graph_.degree(i); ++e)
    if (boxes_[index(i, e)].expected != 0) misfit(i);
  nodes_[i].takes = false;
}

void ReplayNetwork::misfit(NodeId i) const {
  throw Error("the recording does not fit the experiment: node " + std::to_string(i) +
                  " takes its messages at other steps; was it made by another version of ecl?",
              Exit::io);
}

ReplayNetwork::Mailbox& ReplayNetwork::box_of_peer(NodeId i, int e) {
  const HalfEdge edge = graph_.edges(i)[e];
  return boxes_[index(edge.peer, edge.twin)];
}

Arrival ReplayNetwork::take(NodeId i, int e) {
  auto& node = nodes_[i];
  if (!node.takes) misfit(i);
  auto& box = boxes_[index(i, e)];
  const Stamp number = std::exchange(box.expected, 0);
  if (number == 0) return {};
  ECL_CHECK(!box.waiting.empty() && box.waiting.front().number == number);
  box.held = std::move(box.waiting.front());
  box.waiting.pop_front();
  ++node.traffic.messages_taken;
  node.traffic.messages_overwritten += number - box.taken - 1;
  box.taken = number;
  return {number, box.held.step, box.held.payload};
}

Arrival ReplayNetwork::take(NodeId, int, Stamp) {
  ECL_CHECK(false && "lock step repeats itself: it is not recorded");
  return {};
}

void ReplayNetwork::post(NodeId i, int e, Stamp step) {
  auto& box = box_of_peer(i, e);
  auto& traffic = nodes_[i].traffic;
  ++traffic.messages_sent;
  traffic.bytes_sent += outbox_.size() * sizeof(float);
  ++box.posted;
  while (box.wanted < box.posted) {
    if (!box.ahead.next())
      box.wanted = kNever;
    else if (const Stamp taken = box.ahead.event().taken[box.edge])
      box.wanted = taken;
  }
  if (box.wanted == box.posted) box.waiting.push_back({box.posted, step, outbox_});
}

}  // namespace ecl
