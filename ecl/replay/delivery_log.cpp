#include "ecl/replay/delivery_log.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/checksum.hpp"

namespace ecl {
namespace {

constexpr int kKindBits = 3;
constexpr std::size_t kShort = 1, kWhole = 4;  // bytes of a checksum
constexpr int kMostEdges = 1 << 20;            // a damaged file must not ask for all memory
constexpr std::uint64_t kMostExchanges = 1 << 20;
constexpr const char* kFormat = "ecl deliveries 1: node %d of %d, %d edges, config %8x, data %8x\n";
constexpr const char* kHeader = "ecl deliveries 1: node %d of %d, %d edges, config %08x, data %08x\n";

bool takes(DeliveryEvent::Kind kind) {
  using Kind = DeliveryEvent::Kind;
  return kind == Kind::round || kind == Kind::serve || kind == Kind::settle || kind == Kind::exchange;
}

bool evaluates(DeliveryEvent::Kind kind) {
  return kind == DeliveryEvent::Kind::evaluation || kind == DeliveryEvent::Kind::stopped_early;
}

DeliveryEvent::Kind kind_of(Taking when) {
  switch (when) {
    case Taking::round:
      return DeliveryEvent::Kind::round;
    case Taking::serve:
      return DeliveryEvent::Kind::serve;
    case Taking::settle:
      return DeliveryEvent::Kind::settle;
    case Taking::exchange:
      break;
  }
  return DeliveryEvent::Kind::exchange;
}

}  // namespace

std::string delivery_log_path(const std::string& directory, NodeId i) {
  return directory + "/deliveries/node-" + std::to_string(i);
}

DeliveryLog::DeliveryLog(const std::string& path, const DeliveryOrigin& origin)
    : path_(path), file_(path, std::ios::binary), last_(origin.edges), taken_(origin.edges) {
  char line[160];
  std::snprintf(line, sizeof line, kHeader, origin.node, origin.nodes, origin.edges, origin.config, origin.data);
  buffer_ = line;
  sum_ = checksum(std::as_bytes(std::span(buffer_)));
  write();
  check();
}

void DeliveryLog::check() const {
  if (failed_)
    throw Error("cannot write " + path_ + "; is the disk full, or the directory not one that all hosts share?",
                Exit::io);
}

void DeliveryLog::took(int e, Stamp number) { taken_[e] = number; }

void DeliveryLog::received(std::uint64_t step, Taking when) {
  start(kind_of(when), step);
  for (std::size_t e = 0; e < taken_.size(); ++e) {
    add_integer(taken_[e] == 0 ? 0 : taken_[e] - last_[e]);
    if (taken_[e] != 0) last_[e] = std::exchange(taken_[e], 0);
  }
  write_event(kShort);
}

void DeliveryLog::dropped(std::uint64_t step, bool begun, int e) {
  start(DeliveryEvent::Kind::drop, step);
  add_integer(begun);
  add_integer(e);
  write_event(kShort);
}

void DeliveryLog::exchanges_set(std::uint64_t step, int exchanges) {
  start(DeliveryEvent::Kind::exchanges_set, step);
  add_integer(exchanges);
  write_event(kShort);
}

void DeliveryLog::evaluated(std::uint64_t step, bool begun, double time_s, CVec x, bool stopped_early) {
  start(stopped_early ? DeliveryEvent::Kind::stopped_early : DeliveryEvent::Kind::evaluation, step);
  add_integer(begun);
  add_bytes(time_s);
  add_bytes(checksum(std::as_bytes(x)));
  write_event(kWhole);
}

void DeliveryLog::start(DeliveryEvent::Kind kind, std::uint64_t step) {
  add_integer((step - std::exchange(last_step_, step)) << kKindBits | static_cast<std::uint64_t>(kind));
}

void DeliveryLog::add_integer(std::uint64_t value) {
  for (; value >= 128; value >>= 7) buffer_ += static_cast<char>(value | 128);
  buffer_ += static_cast<char>(value);
}

template <class T>
void DeliveryLog::add_bytes(const T& value) {
  buffer_.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void DeliveryLog::write_event(std::size_t checksum_bytes) {
  sum_ = checksum(std::as_bytes(std::span(buffer_)), sum_);
  buffer_.append(reinterpret_cast<const char*>(&sum_), checksum_bytes);
  write();
}

/// One call of the system: nothing is left behind in this process.
void DeliveryLog::write() {
  file_.write(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
  failed_ |= !file_.flush();
  buffer_.clear();
}

DeliveryReader::DeliveryReader(std::string path, std::span<const std::uint8_t> content)
    : path_(std::move(path)), content_(content) {
  const auto end = std::find(content.begin(), content.begin() + std::min<std::size_t>(content.size(), 160), '\n');
  const std::string line(content.begin(), end);
  DeliveryOrigin& o = origin_;
  const bool read = std::sscanf(line.c_str(), kFormat, &o.node, &o.nodes, &o.edges, &o.config, &o.data) == 5;
  if (!read || o.nodes < 1 || o.node < 0 || o.node >= o.nodes || o.edges < 0 || o.edges >= o.nodes ||
      o.edges > kMostEdges)
    throw Error("'" + path_ + "' is no recording of deliveries, or a damaged one", Exit::io);
  at_ = std::min(content.size(), line.size() + 1);
  sum_ = checksum(std::as_bytes(content.first(at_)));
  last_.resize(o.edges);
  event_.taken.resize(o.edges);
}

void DeliveryReader::damaged() const {
  throw Error(
      "'" + path_ + "' is damaged after step " + std::to_string(event_.step) + ": this part of the recording is lost",
      Exit::io);
}

bool DeliveryReader::get_integer(std::uint64_t& value) {
  value = 0;
  for (int shift = 0; at_ < content_.size(); shift += 7) {
    if (shift > 63) damaged();
    const std::uint64_t byte = content_[at_++];
    value |= (byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

template <class T>
bool DeliveryReader::get_bytes(T& value) {
  if (content_.size() - at_ < sizeof value) return false;
  std::memcpy(&value, content_.data() + at_, sizeof value);
  at_ += sizeof value;
  return true;
}

bool DeliveryReader::next() {
  if (get_event()) return true;
  at_ = content_.size();  // half an event is none
  return false;
}

bool DeliveryReader::get_event() {
  const std::size_t start = at_;
  std::uint64_t head = 0;
  if (!get_integer(head)) return false;
  const auto kind = head & ((1 << kKindBits) - 1);
  DeliveryEvent event;
  event.kind = static_cast<DeliveryEvent::Kind>(kind);
  event.step = event_.step + (head >> kKindBits);
  event.taken.resize(last_.size());
  std::uint64_t value = 0;
  if (takes(event.kind)) {
    for (std::size_t e = 0; e < last_.size(); ++e) {
      if (!get_integer(value)) return false;
      if (value != 0) event.taken[e] = last_[e] + value;
    }
    for (std::size_t e = 0; e < last_.size(); ++e) last_[e] = std::max(last_[e], event.taken[e]);
  } else if (event.kind == DeliveryEvent::Kind::drop) {
    std::uint64_t begun = 0;
    if (!get_integer(begun) || !get_integer(value)) return false;
    if (value >= last_.size()) damaged();
    event.begun = begun != 0;
    event.edge = static_cast<int>(value);
  } else if (event.kind == DeliveryEvent::Kind::exchanges_set) {
    if (!get_integer(value)) return false;
    if (value < 1 || value > kMostExchanges) damaged();
    event.exchanges = static_cast<int>(value);
  } else {
    if (!get_integer(value) || !get_bytes(event.time_s) || !get_bytes(event.model)) return false;
    event.begun = value != 0;
  }
  if (!get_checksum(start, evaluates(event.kind) ? kWhole : kShort)) return false;
  event_ = std::move(event);
  return true;
}

/// Of an event, from `start` to here.
bool DeliveryReader::get_checksum(std::size_t start, std::size_t bytes) {
  sum_ = checksum(std::as_bytes(content_.subspan(start, at_ - start)), sum_);
  if (content_.size() - at_ < bytes) return false;
  if (std::memcmp(content_.data() + at_, &sum_, bytes) != 0) damaged();
  at_ += bytes;
  return true;
}

}  // namespace ecl
