#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include "ecl/base/floats.hpp"
#include "ecl/contracts/solver.hpp"
#include "solvers/mixing.hpp"

namespace ecl {

/// What makes gossip exact in d2, extra and led: beside the pull towards its neighbours a node keeps a correction c_i
/// in units of gradient, which learns to cancel its own gradient at the common optimum. Once per exchange, with the
/// models x_i, x_j that were sent, share s and gain b:
///
///     gap_ij   = s W_ij (x_i - x_j)
///     c_{i|j} <- c_{i|j} + b gap_ij / mu_0            c_i = sum_j c_{i|j},   pull_i = sum_j gap_ij = s ((I - W) x)_i
///     x_i     <- x_i - pull_i
///
/// R exchanges add up: c has b / mu_0 times what they took off x. Other weights than plain (gossip.hpp) go edge by
/// edge, gap_ij <- w_r s W_ij (x_i - x_j) + (w_r - 1) gap_ij.
///
/// The optimum is where these methods rest only if sum_i c_i = 0 for ever. The papers keep c_i alone; here it is kept
/// per edge, at the price of d floats each: both ends of an edge add the same number with opposite signs, and since
/// floats round symmetrically c_{i|j} = - c_{j|i} holds to the last bit after any number of rounds. And an edge that is
/// dropped takes both of its ends' parts away. What breaks it is a message that reaches one end only: lock step.
///
/// mu_0 is the initial step size and stays: the corrections need not change when the learning rate falls.
class EdgeCorrections {
 public:
  EdgeCorrections(const SolverSetup& setup, double share, double gain, Gossip gossip)
      : mixing_(setup),
        gossip_(std::move(gossip)),
        share_(static_cast<float>(share)),
        rate_(static_cast<float>(gain / setup.step_size)),
        parts_(mixing_.edges() * setup.initial.size(), 0.0f),
        gaps_(gossip_.plain() ? 0 : parts_.size(), 0.0f),
        pull_(setup.initial.size(), 0.0f),
        sum_(setup.initial.size(), 0.0f) {}

  std::size_t message_size() const { return mixing_.message_size(); }
  void receive(int e, CVec message) { mixing_.receive(e, message); }
  void drop(int e) { mixing_.drop(e); }

  /// Once per exchange, with the model that was sent.
  void mix(Vec x) {
    const float omega = gossip_.weight();
    std::fill(pull_.begin(), pull_.end(), 0.0f);
    std::fill(sum_.begin(), sum_.end(), 0.0f);
    for (int e = 0; e < mixing_.edges(); ++e) {
      if (mixing_.weight(e) == 0) continue;  // dropped
      const float weight = omega * (share_ * mixing_.weight(e));
      const float* theirs = mixing_.received(e).data();
      float* part = parts_.data() + e * x.size();
      float* gaps = gossip_.plain() ? nullptr : gaps_.data() + e * x.size();
      for (std::size_t d = 0; d < x.size(); ++d) {
        float gap = weight * (x[d] - theirs[d]);
        if (gaps) gap = gaps[d] = gap + (omega - 1) * gaps[d];
        pull_[d] += gap;
        part[d] += rate_ * gap;
        sum_[d] += part[d];
      }
    }
    for (std::size_t d = 0; d < x.size(); ++d) x[d] -= pull_[d];
    gossip_.advance();
  }
  /// The round's end, after a last step of this size.
  void restart(double step_size) {
    gossip_.restart(step_size);
    std::fill(gaps_.begin(), gaps_.end(), 0.0f);
  }

  CVec sum() const { return sum_; }  ///< c_i
  void archive(Archive& archive) { archive(mixing_, gossip_, parts_, gaps_, sum_); }

 private:
  Mixing mixing_;  ///< weights and messages; the averaging is done here
  Gossip gossip_;
  float share_, rate_;
  Floats parts_;  ///< c_{i|j}, edge after edge
  Floats gaps_;   ///< gap_ij of the last exchange, edge after edge; empty: nobody asks for it again
  Floats pull_;   ///< scratch
  Floats sum_;
};

}  // namespace ecl
