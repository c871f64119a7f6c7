#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "ecl/contracts/solver.hpp"
#include "ecl/words/floats.hpp"

namespace ecl {

/// The dual variables of edge-consensus learning, PDMM and ADMM at one node i, in sign-free form: for every edge
/// p_{i|j}, in units of gradient, "what the edge asks of i".
///
///     message      s_{i->j} <- (1 - theta) s_{i->j} + theta ( 2 alpha_ij w_i - p_{i|j} )
///     receive      p_{j|i} <- s_{i->j}
///
/// The averaging is done by the sender, who is the only writer of that dual; so a message is absolute, applying it
/// twice is applying it once, and a lost one costs only age. Duals start at alpha_ij w0: no pull until somebody moved.
class EdgeDuals {
 public:
  /// `alpha`: per edge, the same at both ends.
  EdgeDuals(const SolverSetup& setup, std::vector<float> alpha, float theta)
      : dim_(setup.initial.size()), theta_(theta), alpha_(std::move(alpha)), pull_(dim_) {
    for (const float a : alpha_)
      for (const float w : setup.initial) duals_.push_back(a * w);
    if (theta_ < 1) sent_ = duals_;
  }

  void receive(int e, CVec message) {
    std::copy(message.begin(), message.end(), dual(e).begin());
    pull_is_old_ = true;
  }

  void send(int e, CVec x, Vec message) {
    const float twice_alpha = 2 * alpha_[e];
    const float* p = dual(e).data();
    if (theta_ == 1) {
      for (std::size_t d = 0; d < dim_; ++d) message[d] = twice_alpha * x[d] - p[d];
      return;
    }
    float* s = sent_.data() + e * dim_;
    for (std::size_t d = 0; d < dim_; ++d) {
      s[d] += theta_ * (twice_alpha * x[d] - p[d] - s[d]);
      message[d] = s[d];
    }
  }

  void drop(int e) {
    alpha_[e] = 0;
    std::fill(dual(e).begin(), dual(e).end(), 0.0f);
    pull_is_old_ = true;
  }

  /// sum_j p_{i|j} and sum_j alpha_ij, as of the last receive. Summed up anew after receives: adding and subtracting
  /// changes would let rounding errors grow without bound.
  CVec pull() {
    if (pull_is_old_) sum_duals();
    return pull_;
  }
  float alpha_sum() {
    if (pull_is_old_) sum_duals();
    return alpha_sum_;
  }

 private:
  Vec dual(int e) { return {duals_.data() + e * dim_, dim_}; }

  void sum_duals() {
    std::fill(pull_.begin(), pull_.end(), 0.0f);
    alpha_sum_ = 0;
    for (std::size_t e = 0; e < alpha_.size(); ++e) {
      alpha_sum_ += alpha_[e];
      const float* p = duals_.data() + e * dim_;
      for (std::size_t d = 0; d < dim_; ++d) pull_[d] += p[d];
    }
    pull_is_old_ = false;
  }

  std::size_t dim_;
  float theta_;
  std::vector<float> alpha_;
  std::vector<float> duals_;  ///< p_{i|j}, edge after edge
  std::vector<float> sent_;   ///< s_{i->j}: what the neighbour holds or will hold; empty for theta = 1
  std::vector<float> pull_;   ///< sum_j p_{i|j}
  float alpha_sum_ = 0;
  bool pull_is_old_ = true;
};

}  // namespace ecl
