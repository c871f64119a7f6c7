#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "ecl/base/floats.hpp"
#include "ecl/contracts/solver.hpp"

namespace ecl {

/// Neighbour averaging, shared by the gossip solvers: y <- W_ii y + sum_j W_ij y_j with Metropolis weights, y_j the
/// newest that neighbour j sent. A message holds `vectors` of d floats each, one after the other.
///
/// Before a neighbour's first message its first vector counts as the common initial model, the others as 0.
class Mixing {
 public:
  explicit Mixing(const SolverSetup& setup, std::size_t vectors = 1)
      : dim_(setup.initial.size()), message_size_(vectors * dim_) {
    for (const HalfEdge& edge : setup.graph.edges(setup.node)) {
      weight_.push_back(static_cast<float>(metropolis_weight(setup.graph, setup.node, edge.peer)));
      received_.insert(received_.end(), setup.initial.begin(), setup.initial.end());
      received_.resize(weight_.size() * message_size_, 0.0f);
    }
  }

  std::size_t message_size() const { return message_size_; }
  int edges() const { return static_cast<int>(weight_.size()); }
  float weight(int e) const { return weight_[e]; }  ///< W_ij; 0 once the edge is dropped

  /// Vector number `v` of the newest message on e.
  CVec received(int e, std::size_t v = 0) const { return {received_.data() + e * message_size_ + v * dim_, dim_}; }

  void receive(int e, CVec message) {
    std::copy(message.begin(), message.end(), received_.begin() + e * message_size_);
  }

  /// y <- W_ii y + sum_j W_ij y_j, y_j the messages' vector number `v`.
  void mix(Vec y, std::size_t v = 0) const {
    float own = 1;
    for (const float weight : weight_) own -= weight;
    for (float& value : y) value *= own;
    for (std::size_t e = 0; e < weight_.size(); ++e) {
      const float weight = weight_[e];
      const float* theirs = received_.data() + e * message_size_ + v * dim_;
      for (std::size_t d = 0; d < dim_; ++d) y[d] += weight * theirs[d];
    }
  }

  /// The edge is gone: its weight falls to this node itself.
  void drop(int e) { weight_[e] = 0; }
  void archive(Archive& archive) { archive(weight_, received_); }

 private:
  std::size_t dim_, message_size_;
  std::vector<float> weight_;  ///< W_ij per edge
  Floats received_;            ///< newest messages, edge after edge
};

}  // namespace ecl
