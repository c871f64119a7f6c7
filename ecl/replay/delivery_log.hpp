#pragma once

#include <cstdint>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "ecl/base/types.hpp"
#include "ecl/node/delivery_observer.hpp"

/// The delivery order of an asynchronous run. A node's trajectory is a function of its initial model, its own batches,
/// the messages that it took and the numbers of exchanges that it chose: whoever knows which those were, and when, can
/// repeat the run bit for bit.
///
/// A log is a line of text that says whose it is, then events. An event is a variable-length integer, 8 * (steps since
/// the last event) + kind, what belongs to the kind (for the messages of a round, per edge 0 or how much the message's
/// number grew), and a byte of the checksum of all before; after an evaluation all four. So a round costs two
/// bytes, and one an edge.
///
/// An event is on file before anything that follows from it is sent. So whatever a log speaks of is in its
/// sender's log too, also if the run was killed.
namespace ecl {

/// Whose log it is, and of what.
struct DeliveryOrigin {
  NodeId node = 0, nodes = 0;
  int edges = 0;             ///< of the node
  std::uint32_t config = 0;  ///< checksum of the options
  std::uint32_t data = 0;    ///< checksum of the node's samples and the test set
  bool operator==(const DeliveryOrigin&) const = default;
};

struct DeliveryEvent {
  enum class Kind : std::uint8_t {
    round,          ///< the messages of a round were taken
    serve,          ///< a server that is done with its own steps took messages
    drop,           ///< an edge went for good
    evaluation,     ///< the model was evaluated
    stopped_early,  ///< the run ended before its time: the last evaluation
    settle,         ///< an exchange after the last step, and the messages that were taken in it
    exchange,       ///< the same, of an exchange within a round
    exchanges_set   ///< from the round that ends next on there are so many of these
  };
  Kind kind = Kind::round;
  std::uint64_t step = 0;    ///< the node's, when it happened
  std::vector<Stamp> taken;  ///< round, serve, settle, exchange: per edge the number of the message, 0 for none
  int edge = 0;              ///< drop
  int exchanges = 0;         ///< exchanges_set
  bool begun = false;        ///< drop, evaluation, stopped_early: the round under way had begun
  double time_s = 0;         ///< evaluation, stopped_early: the node's clock
  std::uint32_t model = 0;   ///< evaluation, stopped_early: checksum of the node's model
};

/// Where node i's log lies in a run's directory.
std::string delivery_log_path(const std::string& directory, NodeId i);

/// Writes a node's log. Never throws after construction: a run whose recording fails ends in good order.
class DeliveryLog final : public DeliveryObserver {
 public:
  /// Throws Error (io) if the file cannot be made.
  DeliveryLog(const std::string& path, const DeliveryOrigin& origin);

  void took(int e, Stamp number) override;
  void received(std::uint64_t step, Taking when) override;
  void dropped(std::uint64_t step, bool begun, int e) override;
  void exchanges_set(std::uint64_t step, int exchanges) override;
  /// Whoever owns the loop evaluated the model x.
  void evaluated(std::uint64_t step, bool begun, double time_s, CVec x, bool stopped_early);

  bool failed() const { return failed_; }
  /// Throws Error (io) if something could not be written.
  void check() const;

 private:
  void start(DeliveryEvent::Kind kind, std::uint64_t step);
  void add_integer(std::uint64_t value);
  template <class T>
  void add_bytes(const T& value);
  void write_event(std::size_t checksum_bytes);
  void write();

  std::string path_;
  std::ofstream file_;
  std::string buffer_;           ///< the event under way
  std::vector<Stamp> last_;      ///< per edge: number of the last message taken
  std::vector<Stamp> taken_;     ///< per edge: taken since the last event
  std::uint64_t last_step_ = 0;  ///< of the last event
  std::uint32_t sum_ = 0;
  bool failed_ = false;
};

/// Reads a node's log, event by event. It may end in the middle of one: that of a killed run does. Cheap to copy.
class DeliveryReader {
 public:
  /// `content` of the file `path` outlives it. Throws Error (io) if this is no such log.
  DeliveryReader(std::string path, std::span<const std::uint8_t> content);

  const DeliveryOrigin& origin() const { return origin_; }
  const std::string& path() const { return path_; }
  /// Goes to the next event; false at the end. Throws Error (io) if the log is damaged.
  bool next();
  /// The one that next() found.
  const DeliveryEvent& event() const { return event_; }

 private:
  [[noreturn]] void damaged() const;
  bool get_integer(std::uint64_t& value);
  template <class T>
  bool get_bytes(T& value);
  bool get_event();
  bool get_checksum(std::size_t start, std::size_t bytes);

  std::string path_;
  std::span<const std::uint8_t> content_;
  std::size_t at_ = 0;
  std::uint32_t sum_ = 0;
  DeliveryOrigin origin_;
  DeliveryEvent event_;
  std::vector<Stamp> last_;
};

}  // namespace ecl
