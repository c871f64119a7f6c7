#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "ecl/contracts/solver.hpp"
#include "ecl/words/floats.hpp"

namespace ecl {

/// The dual variables of the edge-consensus family in their sign-free form, shared by its solvers. Node i holds for
/// every edge a dual p_{i|j} in units of gradient, "what the edge asks of i":
///
///     message      s_{i->j} <- (1 - theta) s_{i->j} + theta ( 2 alpha_ij w_i - p_{i|j} )
///     receive      p_{j|i} <- s_{i->j}
///     start        p_{i|j} = s_{j->i} = alpha_ij w^0
///
/// The sender averages: it is the only writer of that dual, so a message is absolute, and applying it twice is applying
/// it once.
class EdgeDuals {
 public:
  /// `alpha`: per edge, the same at both ends.
  EdgeDuals(const SolverSetup& setup, double theta, std::vector<float> alpha)
      : dim_(setup.initial.size()), theta_(static_cast<float>(theta)), alpha_(std::move(alpha)), pull_(dim_) {
    for (const float a : alpha_)
      for (const float w : setup.initial) duals_.push_back(a * w);
    if (theta_ < 1) sent_ = duals_;
  }

  /// alpha_ij is the harmonic mean of both ends' wishes alpha_i = strength / (mu d_i), mu the initial step size.
  EdgeDuals(const SolverSetup& setup, double theta, double strength)
      : EdgeDuals(setup, theta, from_wishes(setup, strength)) {}

  std::size_t message_size() const { return dim_; }

  void receive(int e, CVec message) {
    std::copy(message.begin(), message.end(), dual(e).begin());
    sums_are_old_ = true;
  }

  void send(int e, CVec w, Vec message) {
    const float twice_alpha = 2 * alpha_[e];
    const float* p = dual(e).data();
    if (theta_ == 1) {
      for (std::size_t d = 0; d < dim_; ++d) message[d] = twice_alpha * w[d] - p[d];
      return;
    }
    float* s = sent_.data() + e * dim_;
    for (std::size_t d = 0; d < dim_; ++d) {
      s[d] += theta_ * (twice_alpha * w[d] - p[d] - s[d]);
      message[d] = s[d];
    }
  }

  void drop(int e) {
    alpha_[e] = 0;
    std::fill(dual(e).begin(), dual(e).end(), 0.0f);
    sums_are_old_ = true;
  }

  /// Brings pull() and alpha_sum() up to date. Anew from the duals each time: adding and subtracting changes would let
  /// rounding errors grow without bound.
  void sum() {
    if (!sums_are_old_) return;
    std::fill(pull_.begin(), pull_.end(), 0.0f);
    alpha_sum_ = 0;
    for (std::size_t e = 0; e < alpha_.size(); ++e) {
      alpha_sum_ += alpha_[e];
      const float* p = duals_.data() + e * dim_;
      for (std::size_t d = 0; d < dim_; ++d) pull_[d] += p[d];
    }
    sums_are_old_ = false;
  }

  const Floats& pull() const { return pull_; }    ///< sum_j p_{i|j}
  float alpha_sum() const { return alpha_sum_; }  ///< sum_j alpha_ij

 private:
  static std::vector<float> from_wishes(const SolverSetup& setup, double strength) {
    const auto wish = [&](NodeId i) { return strength / (setup.step_size * setup.graph.degree(i)); };
    std::vector<float> alpha;
    for (const HalfEdge& edge : setup.graph.edges(setup.node)) {
      const double mine = wish(setup.node), theirs = wish(edge.peer);
      alpha.push_back(static_cast<float>(2 * mine * theirs / (mine + theirs)));
    }
    return alpha;
  }

  Vec dual(int e) { return {duals_.data() + e * dim_, dim_}; }

  std::size_t dim_;
  float theta_;
  std::vector<float> alpha_;  ///< per edge, the same at both ends
  Floats duals_;              ///< p_{i|j}, edge after edge
  Floats sent_;               ///< s_{i->j}: what the neighbour holds or will hold; empty for theta = 1
  Floats pull_;
  float alpha_sum_ = 0;
  bool sums_are_old_ = true;
};

}  // namespace ecl
