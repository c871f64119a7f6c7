#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "ecl/base/floats.hpp"
#include "ecl/contracts/solver.hpp"
#include "solvers/gossip.hpp"

namespace ecl {

/// Neighbour averaging, shared by the gossip solvers: y <- W_ii y + sum_j W_ij y_j with Metropolis weights, y_j the
/// newest that neighbour j sent. A message holds `vectors` of d floats each, one after the other. R exchanges a round
/// average as `gossip` says.
///
/// Before a neighbour's first message its first vector counts as the common initial model, the others as 0.
class Mixing {
 public:
  explicit Mixing(const SolverSetup& setup, std::size_t vectors = 1, Gossip gossip = {})
      : dim_(setup.initial.size()), message_size_(vectors * dim_), gossip_(std::move(gossip)) {
    if (!gossip_.plain()) pull_.resize(message_size_, 0.0f);
    for (const HalfEdge& edge : setup.graph.edges(setup.node)) {
      weight_.push_back(static_cast<float>(metropolis_weight(setup.graph, setup.node, edge.peer)));
      received_.insert(received_.end(), setup.initial.begin(), setup.initial.end());
      received_.resize(weight_.size() * message_size_, 0.0f);
    }
    news_.resize(weight_.size(), 0);
  }

  std::size_t message_size() const { return message_size_; }
  int edges() const { return static_cast<int>(weight_.size()); }
  float weight(int e) const { return weight_[e]; }  ///< W_ij; 0 once the edge is dropped
  bool news(int e) const { return news_[e]; }       ///< a message came on e that was not averaged yet

  /// Vector number `v` of the newest message on e.
  CVec received(int e, std::size_t v = 0) const { return {received_.data() + e * message_size_ + v * dim_, dim_}; }

  void receive(int e, CVec message) {
    std::copy(message.begin(), message.end(), received_.begin() + e * message_size_);
    news_[e] = 1;
  }

  /// The round's exchange, with this node's vectors in the messages' order, as many of the first as are averaged.
  template <class... Vectors>
  void mix(Vectors&... y) {
    std::fill(news_.begin(), news_.end(), 1);
    mix_news(y...);
  }
  /// One of the others: with those of whom there is news, all of them in lock step. Averaged again and again, what a
  /// slow neighbour said long ago would take the place of all that this node has done since.
  template <class... Vectors>
  void mix_news(Vectors&... y) {
    std::size_t v = 0;
    (mix_one(y, v++), ...);
    gossip_.advance();
    std::fill(news_.begin(), news_.end(), 0);
  }
  /// The round's end, after a last step of this size.
  void restart(double step_size) {
    gossip_.restart(step_size);
    std::fill(pull_.begin(), pull_.end(), 0.0f);
  }

  /// The edge is gone: its weight falls to this node itself.
  void drop(int e) { weight_[e] = 0; }
  void archive(Archive& archive) { archive(weight_, received_, news_, gossip_, pull_); }

 private:
  void mix_one(Vec y, std::size_t v) {
    if (gossip_.plain()) return average(y, v);
    const float omega = gossip_.weight();
    float* pull = pull_.data() + v * dim_;
    for (std::size_t d = 0; d < dim_; ++d) pull[d] *= omega - 1;
    for (std::size_t e = 0; e < weight_.size(); ++e) {
      const float weight = news_[e] ? omega * weight_[e] : 0;
      const float* theirs = received(static_cast<int>(e), v).data();
      for (std::size_t d = 0; d < dim_; ++d) pull[d] += weight * (y[d] - theirs[d]);
    }
    for (std::size_t d = 0; d < dim_; ++d) y[d] -= pull[d];
  }

  /// y <- W_ii y + sum_j W_ij y_j, y_j the messages' vector number `v`.
  void average(Vec y, std::size_t v) const {
    float own = 1;
    for (std::size_t e = 0; e < weight_.size(); ++e)
      if (news_[e]) own -= weight_[e];
    for (float& value : y) value *= own;
    for (std::size_t e = 0; e < weight_.size(); ++e) {
      if (!news_[e]) continue;
      const float weight = weight_[e];
      const float* theirs = received_.data() + e * message_size_ + v * dim_;
      for (std::size_t d = 0; d < dim_; ++d) y[d] += weight * theirs[d];
    }
  }

  std::size_t dim_, message_size_;
  std::vector<float> weight_;  ///< W_ij per edge
  Floats received_;            ///< newest messages, edge after edge
  std::vector<char> news_;     ///< per edge
  Gossip gossip_;
  Floats pull_;  ///< of the last exchange, vector after vector
};

}  // namespace ecl
