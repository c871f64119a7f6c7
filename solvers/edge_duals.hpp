#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "ecl/base/floats.hpp"
#include "ecl/contracts/solver.hpp"
#include "solvers/compression.hpp"

namespace ecl {

/// The dual variables of the edge-consensus family in their sign-free form, shared by its solvers. Node i holds for
/// every edge a dual p_{i|j} in units of gradient, "what the edge asks of i":
///
///     message      s_{i->j} <- (1 - theta) s_{i->j} + theta ( 2 alpha_ij w_i - p_{i|j} )
///     receive      p_{j|i} <- s_{i->j}
///     start        p_{i|j} = s_{j->i} = alpha_ij w^0
///
/// The sender averages: it is the only writer of that dual, so a message is absolute, and applying it twice is applying
/// it once. Compressed messages carry some coordinates of s, or rounded ones; the others stay as they are at both ends.
class EdgeDuals {
 public:
  static constexpr std::size_t kStretch = 1024;  ///< split() goes by so many coordinates at a time

  /// `alpha`: per edge, the same at both ends, from the start and then fixed.
  EdgeDuals(const SolverSetup& setup, double theta, std::vector<float> alpha, const std::string& compress = "none")
      : dim_(setup.initial.size()),
        theta_(static_cast<float>(theta)),
        compression_(setup, compress),
        alpha_(std::move(alpha)),
        numbers_(alpha_.size()),
        pull_(dim_) {
    for (const HalfEdge& edge : setup.graph.edges(setup.node)) peers_.push_back(edge.peer);
    for (const float a : alpha_)
      for (const float w : setup.initial) duals_.push_back(a * w);
    sent_ = duals_;
  }

  /// alpha_ij is the harmonic mean of both ends' wishes alpha_i = strength / (mu d_i), mu the initial step size.
  EdgeDuals(const SolverSetup& setup, double theta, double strength, const std::string& compress = "none")
      : EdgeDuals(setup, theta, from_wishes(setup, strength), compress) {}

  std::size_t message_size() const { return compression_.message_size(); }

  void receive(int e, CVec message) {
    compression_.decode(peers_[e], message, part(duals_, e));
    sums_are_old_ = true;
  }

  void send(int e, CVec w, Vec message) {
    const float twice_alpha = 2 * alpha_[e], theta = theta_;
    const float* p = part(duals_, e).data();
    float* s = part(sent_, e).data();
    compression_.encode(peers_[e], ++numbers_[e], message, [&](std::size_t d) -> float& {
      s[d] += theta * (twice_alpha * w[d] - p[d] - s[d]);
      return s[d];
    });
  }

  float theta() const { return theta_; }

  void drop(int e) {
    alpha_[e] = 0;
    for (Floats* vectors : {&duals_, &sent_}) {
      const Vec gone = part(*vectors, e);
      std::fill(gone.begin(), gone.end(), 0.0f);
    }
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
      const float* p = part(duals_, e).data();
      for (std::size_t d = 0; d < dim_; ++d) pull_[d] += p[d];
    }
    sums_are_old_ = false;
  }

  /// What a round without gradients makes of x: the centre of the edges, split()'s. Without edges x as it is.
  void centre(Vec x) {
    sum();
    if (alpha_sum_ == 0) return;
    std::copy(pull_.begin(), pull_.end(), x.begin());
    for (std::size_t e = 0; e < alpha_.size(); ++e) {
      const float* s = part(sent_, e).data();
      for (std::size_t d = 0; d < dim_; ++d) x[d] += s[d];
    }
    const float scale = 0.5f / alpha_sum_;
    for (float& value : x) value *= scale;
  }

  void archive(Archive& archive) {
    archive(alpha_, numbers_, duals_, sent_);
    sums_are_old_ = true;  // they follow from the duals
  }

  const Floats& pull() const { return pull_; }    ///< sum_j p_{i|j}
  float alpha_sum() const { return alpha_sum_; }  ///< sum_j alpha_ij

  /// The duals seen from both ends at once: an edge's p_{i|j} = alpha z + c and s_{i->j} = alpha z - c. `centre`
  /// becomes the mean of the z, weighted by alpha, which at consensus is the model; `correction` the sum of the c,
  /// which at rest is the gradient. Without edges the centre stays as it is.
  ///
  /// It goes stretch by stretch, as the vectors are larger than a cache. `then(first, end)` is called after each.
  template <class Then>
  void split(Vec centre, Vec correction, const Then& then) {
    const float alpha_sum = std::accumulate(alpha_.begin(), alpha_.end(), 0.0f);
    const float scale = alpha_sum > 0 ? 0.5f / alpha_sum : 0;
    for (std::size_t first = 0; first < dim_; first += kStretch) {
      const std::size_t n = std::min(kStretch, dim_ - first);
      std::array<float, kStretch> pull, said;
      std::fill_n(pull.begin(), n, 0.0f);
      std::fill_n(said.begin(), n, 0.0f);
      for (std::size_t e = 0; e < alpha_.size(); ++e) {
        const float *p = part(duals_, e).data() + first, *s = part(sent_, e).data() + first;
        for (std::size_t d = 0; d < n; ++d) pull[d] += p[d], said[d] += s[d];
      }
      float *z = centre.data() + first, *c = correction.data() + first;
      for (std::size_t d = 0; d < n; ++d) {
        if (alpha_sum > 0) z[d] = scale * (pull[d] + said[d]);
        c[d] = 0.5f * (pull[d] - said[d]);
      }
      then(first, first + n);
    }
  }
  void split(Vec centre, Vec correction) {
    split(centre, correction, [](std::size_t, std::size_t) {});
  }

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

  Vec part(Floats& vectors, int e) { return {vectors.data() + e * dim_, dim_}; }

  std::size_t dim_;
  float theta_;
  Compression compression_;
  std::vector<float> alpha_;  ///< per edge, the same at both ends
  std::vector<NodeId> peers_;
  std::vector<std::uint64_t> numbers_;  ///< messages sent on each edge
  Floats duals_;                        ///< p_{i|j}, edge after edge
  Floats sent_;                         ///< s_{i->j}: what the neighbour holds or will hold
  Floats pull_;
  float alpha_sum_ = 0;
  bool sums_are_old_ = true;
};

}  // namespace ecl
