#include "ecl/simulator/sim_port.hpp"

#include <cmath>

#include "ecl/base/check.hpp"
#include "ecl/base/random.hpp"

namespace ecl {

SimNetwork::SimNetwork(const Graph& graph, std::size_t message_floats, const LinkModel& links, Mode mode)
    : graph_(graph),
      floats_(message_floats),
      links_(links),
      mode_(mode),
      parked_(graph.size(), 0),
      traffic_(graph.size()),
      tracers_(graph.size()) {
  for (NodeId i = 0; i < graph.size(); ++i) {
    first_edge_.push_back(boxes_.size());
    for (int e = 0; e < graph.degree(i); ++e) boxes_.push_back({.reader = i});
  }
}

std::uint32_t SimNetwork::acquire() {
  if (free_.empty()) {
    buffers_.push_back({.payload = std::vector<float>(floats_)});
    return static_cast<std::uint32_t>(buffers_.size() - 1);
  }
  const std::uint32_t buffer = free_.back();
  free_.pop_back();
  return buffer;
}

void SimNetwork::archive(Archive& archive) {
  std::uint64_t buffers = buffers_.size();
  archive(now_, scheduled_, parked_, boxes_, buffers);
  archive.list(events_);
  archive.list(free_);
  if (archive.loading()) {
    // A buffer takes more bytes than this in the archive: a number beyond what is left is found out below.
    buffers_.clear();
    for (std::uint64_t b = 0; b < buffers; ++b) {
      buffers_.push_back({.payload = std::vector<float>(floats_)});
      archive(buffers_.back());
    }
    check_loaded(archive);
  } else {
    for (Buffer& buffer : buffers_) archive(buffer);
  }
}

/// Whatever a damaged archive says, no index may lead out of the network.
void SimNetwork::check_loaded(const Archive& archive) const {
  bool good = true;
  const auto look = [&](std::uint32_t buffer) { good &= buffer == kNoBuffer || buffer < buffers_.size(); };
  for (const Mailbox& box : boxes_) {
    for (const std::uint32_t buffer : {box.held, box.waiting[0], box.waiting[1], box.outbox, box.sending}) look(buffer);
    good &= box.reader >= 0 && box.reader < graph_.size();
    good &= !(now_ < box.starts_at) || box.sending < buffers_.size();
  }
  for (const std::uint32_t buffer : free_) good &= buffer < buffers_.size();
  for (const Event& event : events_) {
    look(event.buffer);
    const std::size_t targets = event.buffer == kNoBuffer ? parked_.size() : boxes_.size();
    good &= event.target >= 0 && static_cast<std::size_t>(event.target) < targets;
  }
  if (!good) archive.fail("names messages or nodes that are not there");
}

std::optional<NodeId> SimNetwork::next() {
  while (!events_.empty()) {
    std::pop_heap(events_.begin(), events_.end(), Later());
    const Event event = events_.back();
    events_.pop_back();
    now_ = event.time;
    if (event.buffer == kNoBuffer) return event.target;
    deliver(event);
    const NodeId reader = boxes_[event.target].reader;
    if (parked_[reader]) {
      parked_[reader] = 0;
      return reader;
    }
  }
  return std::nullopt;
}

/// The reader's side of a delivery: damaged and outdated messages end here. In lock step a damaged or lost one still
/// counts as arrived, so that its round can go on without it.
void SimNetwork::deliver(const Event& event) {
  Mailbox& box = boxes_[event.target];
  Buffer& message = buffers_[event.buffer];
  Traffic& traffic = traffic_[box.reader];
  std::uint32_t& place = box.waiting[mode_ == Mode::lock_step ? message.number % 2 : 0];
  const Stamp newest = place == kNoBuffer ? box.taken : buffers_[place].number;
  if (message.torn) ++traffic.messages_torn;
  message.lost |= message.torn;
  if ((message.lost && mode_ == Mode::async) || message.number <= newest || message.number <= box.taken) {
    release(event.buffer);
    return;
  }
  release(place);
  place = event.buffer;
}

double SimNetwork::sending_seconds() const {
  if (links_.bandwidth_bytes_s == 0) return 0;
  return static_cast<double>(floats_ * sizeof(float)) / links_.bandwidth_bytes_s;
}

double SimNetwork::transit_seconds(double exponential) const {
  return (links_.latency_s + sending_seconds()) * (1 - links_.jitter + links_.jitter * exponential);
}

Arrival SimNetwork::hand_over(Mailbox& box, int e, std::uint32_t& place) {
  release(std::exchange(box.held, std::exchange(place, kNoBuffer)));
  const Buffer& message = buffers_[box.held];
  Traffic& traffic = traffic_[box.reader];
  traffic.messages_overwritten += message.number - box.taken - 1;
  box.taken = message.number;
  if (message.lost) {
    ++traffic.messages_overwritten;
    return {};
  }
  ++traffic.messages_taken;
  told(TraceEvent::Kind::take, box.reader, e, message.number);
  return {message.number, message.step, message.payload};
}

void SimNetwork::told(TraceEvent::Kind kind, NodeId i, int e, Stamp number) {
  if (tracers_[i]) tracers_[i]->add({.start_s = now_, .end_s = now_, .number = number, .edge = e, .kind = kind});
}

Stamp SimNetwork::arrived(NodeId i, int e) const {
  const auto& box = boxes_[index(i, e)];
  if (mode_ == Mode::async) return box.waiting[0] == kNoBuffer ? box.taken : buffers_[box.waiting[0]].number;
  // A quick link may bring message k + 1 before k: what counts is the end of the unbroken row.
  return box.waiting[(box.taken + 1) % 2] == kNoBuffer ? box.taken : box.taken + 1;
}

Arrival SimNetwork::take(NodeId i, int e) {
  ECL_CHECK(mode_ == Mode::async);
  auto& box = boxes_[index(i, e)];
  if (box.waiting[0] == kNoBuffer) return {};
  return hand_over(box, e, box.waiting[0]);
}

Arrival SimNetwork::take(NodeId i, int e, Stamp number) {
  auto& box = boxes_[index(i, e)];
  ECL_CHECK(mode_ == Mode::lock_step && number == box.taken + 1 && arrived(i, e) == number);
  return hand_over(box, e, box.waiting[number % 2]);
}

Vec SimNetwork::outbox(NodeId i, int e) {
  const HalfEdge edge = graph_.edges(i)[e];
  auto& box = boxes_[index(edge.peer, edge.twin)];
  if (box.outbox == kNoBuffer) box.outbox = acquire();
  return buffers_[box.outbox].payload;
}

void SimNetwork::post(NodeId i, int e, Stamp step) {
  const HalfEdge edge = graph_.edges(i)[e];
  const std::size_t at = index(edge.peer, edge.twin);
  auto& box = boxes_[at];
  ECL_CHECK(box.outbox != kNoBuffer);
  const std::uint32_t buffer = std::exchange(box.outbox, kNoBuffer);
  auto& message = buffers_[buffer];
  message.number = ++box.posted;
  message.step = step;
  Traffic& traffic = traffic_[i];
  ++traffic.messages_sent;
  traffic.bytes_sent += floats_ * sizeof(float);
  told(TraceEvent::Kind::post, i, e, message.number);
  send(at, buffer);
}

/// The link of mailbox `at` carries one message at a time, lost ones too. While it does, asynchronously, one waits for
/// it, the newest, as over MPI (MessageChannel); in lock step each waits for its turn.
void SimNetwork::send(std::size_t at, std::uint32_t buffer) {
  Mailbox& box = boxes_[at];
  Buffer& message = buffers_[buffer];
  Random random(links_.seed, Purpose::network, at, message.number);
  const auto exponential = [&] { return -std::log1p(-random.uniform()); };
  message.lost = random.uniform() < links_.drop;
  const bool twice = random.uniform() < links_.duplicate;
  message.torn = random.uniform() < links_.tear && !message.lost;
  if (mode_ == Mode::async && now_ < box.starts_at) {  // in place of the one that waits, which has its event
    std::swap(message, buffers_[box.sending]);
    release(buffer);
    return;
  }
  box.sending = buffer;
  box.starts_at = std::max(now_, box.free_at);
  box.free_at = box.starts_at + sending_seconds();
  if (mode_ == Mode::async && message.lost && now_ == box.starts_at) {
    release(buffer);
    return;
  }
  const double arrival_time = box.starts_at + transit_seconds(exponential());
  if (twice) {
    const std::uint32_t copy = acquire();
    buffers_[copy] = buffers_[buffer];
    push({arrival_time + transit_seconds(1 + exponential()), ++scheduled_, static_cast<std::int32_t>(at), copy});
  }
  push({arrival_time, ++scheduled_, static_cast<std::int32_t>(at), buffer});
}

}  // namespace ecl
