#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "ecl/base/check.hpp"
#include "ecl/base/floats.hpp"
#include "ecl/contracts/solver.hpp"

/// What the server solvers share. They run on a star: its hub, node 0, hosts the server beside a client of its own,
/// with a shard like everybody's; the other nodes, the leaves, are clients. The hub sends right after it combined
/// (Solver::replies), so in lock step the models of a round are answered by the average of that round.
namespace ecl {

/// True at the hub. Throws Error if the graph is no star around node 0; a single node is one without leaves.
inline bool is_hub(const SolverSetup& setup, const std::string& solver) {
  const Graph& graph = setup.graph;
  const int leaves = graph.size() - 1;
  const bool star = graph.degree(0) == leaves && graph.edge_count() == static_cast<std::size_t>(leaves);
  if (!star || graph.directed()) throw Error("solver " + solver + " needs a server: use topology star");
  return setup.node == 0;
}

/// A server that averages what all clients sent in a round. If a message was lost the average is over those that came,
/// and a client that got no reply goes on with what it has.
class ServerAverage {
 public:
  /// A message holds `vectors` of d floats.
  ServerAverage(const SolverSetup& setup, const std::string& solver, std::size_t vectors = 1)
      : hub_(is_hub(setup, solver)), received_(vectors * setup.initial.size(), 0.0f) {}

  bool hub() const { return hub_; }
  std::size_t message_size() const { return received_.size(); }

  void receive(CVec message) {
    if (!hub_ || count_ == 0) std::fill(received_.begin(), received_.end(), 0.0f);
    for (std::size_t d = 0; d < received_.size(); ++d) received_[d] += message[d];
    ++count_;
  }

  /// Once per round. At the hub `out` becomes the mean of `own` and of what came; at a leaf the server's reply, if one
  /// came. `own` may be `out`.
  void average(CVec own, Vec out) {
    if (hub_) {
      const float share = 1 / static_cast<float>(count_ + 1);
      if (count_ == 0) std::copy(own.begin(), own.end(), out.begin());
      for (std::size_t d = 0; count_ > 0 && d < out.size(); ++d) out[d] = share * (own[d] + received_[d]);
    } else if (count_ > 0) {
      std::copy(received_.begin(), received_.end(), out.begin());
    }
    count_ = 0;
  }
  void archive(Archive& archive) { archive(count_, received_); }

 private:
  bool hub_;
  int count_ = 0;    ///< messages since the last average
  Floats received_;  ///< at the hub their sum, at a leaf the reply
};

/// The server of an asynchronous solver: its model and how often that changed, the version. At the hub the model
/// itself; at a leaf the newest that came. The last float of every message is the version that its sender works from,
/// modulo 2^24, since a float counts no further.
class ServerModel {
 public:
  ServerModel(const SolverSetup& setup, const std::string& solver, double exponent)
      : hub_(is_hub(setup, solver)), exponent_(exponent), model_(setup.initial.begin(), setup.initial.end()) {}

  bool hub() const { return hub_; }
  std::size_t message_size() const { return model_.size() + 1; }
  Vec model() { return model_; }

  /// (t - tau + 1)^-b for an update that was made from version tau: old ones count less.
  float discount(std::uint32_t tau) const {
    const std::uint32_t staleness = (version_ - tau) % kVersions;
    return static_cast<float>(std::pow(staleness + 1.0, -exponent_));
  }
  /// Defined for every finite float, which is what a garbled message may hold.
  std::uint32_t tau(CVec message) const {
    return static_cast<std::uint32_t>(static_cast<std::int32_t>(std::fmod(message.back(), float{kVersions})));
  }
  std::uint32_t adopted() const { return adopted_; }
  /// The hub: its model changed.
  void advance() { version_ = (version_ + 1) % kVersions; }

  /// A leaf: the server's reply.
  void keep(CVec message) {
    std::copy(message.begin(), message.end() - 1, model_.begin());
    version_ = tau(message);
    newer_ = true;
  }
  /// x <- the server's model; at a leaf only if a new one came since the last time.
  void adopt(Vec x) {
    if (!hub_ && !newer_) return;
    std::copy(model_.begin(), model_.end(), x.begin());
    adopted_ = version_;
    newer_ = false;
  }
  void stamp(Vec message) const { message.back() = static_cast<float>(adopted_); }
  void archive(Archive& archive) { archive(model_, version_, adopted_, newer_); }

 private:
  static constexpr std::uint32_t kVersions = 1u << 24;

  bool hub_;
  double exponent_;
  Floats model_;
  std::uint32_t version_ = 0, adopted_ = 0;
  bool newer_ = false;
};

}  // namespace ecl
