#include <algorithm>

#include "ecl/contracts/solver.hpp"
#include "solvers/gradient_mean.hpp"
#include "solvers/mixing.hpp"

/// R-FAST: gradient tracking on running sums, for nodes that do not wait and networks that lose messages.
///
///     once per round   x_i <- sum_j W_ij x_j                                (x_j: the newest that arrived)
///                      y_i  = g_i + sum_j ( s_{j->i} - s_{i->j} )
///                      x_i <- x_i - mu y_i
///                      s_{i->j} <- s_{i->j} + W_ij y_i                      for every neighbour j
///     message          x_i, s_{i->j}
///     start            s = 0
///     exchange         R - 1 times more a round: the same without the step, g_i as it was, with those who have sent
///                      something newer. (Running sums want shares above 0: no accelerated gossip here.)
///
/// Symbols: y_i tracker, s_{i->j} all that i ever pushed to j, g_i the mean of the round's K gradients at the mixed x_i
/// (the method knows no local steps), W Metropolis weights. The step goes along the whole tracker, before its shares
/// leave.
///
/// The paper writes the tracker as a recursion: y <- y + (what arrived beyond what was seen) + g - g(last round), then
/// a share W_ij of it leaves for each neighbour. Summed up over time that is the second line: what a node keeps is its
/// gradient plus all that came in minus all that went out. Nothing is conserved by history here but the running sums,
/// and each of those has one writer: a lost message is made up for by the next one, a repeated or even a garbled one is
/// replaced by it without a trace, and a node that leaves takes both sums of its edge along, which leaves the others
/// with exactly their own gradients. In flight is only s_{i->j} minus what j has of it; at rest that is nothing, the
/// y_i are 0, the x_i agree and sum_i g_i = 0: exact. In lock step it is `gradient_tracking`, to rounding.
///
/// Floats: s grows to W_ij (way that the model went) / mu, and under gradient noise sigma by W_ij sigma sqrt(rounds)
/// more. Once W_ij y_i falls below half of its last digit it stands still: y_i then stays at up to 2^-24 |s| / W_ij and
/// moves the model by no more than 2^-24 (way that the model went + mu sigma sqrt(rounds)), which is the rounding of
/// the model itself. Since both ends hold the same s, no rounding adds up: a million rounds under noise of deviation 10
/// and then 8000 without end within 7e-7 of the optimum of quadratics; `gradient_tracking`, whose recursion rounds the
/// conserved sum itself, within 4e-4.
///
/// Usual ranges: mu as for SGD or below. A node that makes r times fewer rounds than its neighbours collects r times
/// more of the tracker between two of them, and makes up for it by steps r times as long: mu has to be stable for the
/// slowest.
///
/// Sources: Zhu, Tian, Huang, Xu and He, R-FAST, 2023 (arXiv 2307.11617); running sums: Hadjicostis, Vaidya and
/// Dominguez-Garcia 2016; Spiridonoff, Olshevsky and Paschalidis, JMLR 2020.
namespace ecl {
namespace {

class RFast final : public Solver {
 public:
  explicit RFast(const SolverSetup& setup)
      : dim_(setup.initial.size()),
        mixing_(setup, 2),
        gradient_(setup),
        pushed_(setup.graph.degree(setup.node) * dim_, 0.0f),
        tracker_(dim_) {}

  std::size_t message_size() const override { return mixing_.message_size(); }
  Delivery delivery() const override { return Delivery::cumulative; }
  bool own_momentum() const override { return true; }
  bool exchanges_again() const override { return true; }
  void receive(int e, CVec message) override { mixing_.receive(e, message); }
  void combine(Vec x) override { mixing_.mix(x); }

  void descend(Vec, CVec direction, double) override { gradient_.add(direction); }

  void end_round(Vec x, int, double step_size) override {
    track(gradient_.take());
    const float mu = static_cast<float>(step_size);
    for (std::size_t d = 0; d < dim_; ++d) x[d] -= mu * tracker_[d];
    for (int e = 0; e < mixing_.edges(); ++e) push(e);
  }

  /// Who is slow gets no more than a share a round: it makes its step along all of them.
  void exchange(Vec x) override {
    track(gradient_.mean());
    for (int e = 0; e < mixing_.edges(); ++e)
      if (mixing_.news(e)) push(e);
    mixing_.mix_news(x);
  }

  void send(int e, CVec x, Vec message) override {
    std::copy(x.begin(), x.end(), message.begin());
    std::copy(pushed(e).begin(), pushed(e).end(), message.begin() + x.size());
  }

  void drop(int e) override { mixing_.drop(e); }
  void archive(Archive& archive) override { archive(mixing_, gradient_, pushed_); }

 private:
  Vec pushed(int e) { return {pushed_.data() + e * dim_, dim_}; }

  /// y_i, of a gradient g and of what came in and went out.
  void track(CVec g) {
    std::copy(g.begin(), g.end(), tracker_.begin());
    for (int e = 0; e < mixing_.edges(); ++e) {
      if (mixing_.weight(e) == 0) continue;  // dropped
      const CVec in = mixing_.received(e, 1), out = pushed(e);
      for (std::size_t d = 0; d < dim_; ++d) tracker_[d] += in[d] - out[d];
    }
  }

  void push(int e) {
    const float weight = mixing_.weight(e);
    const Vec out = pushed(e);
    for (std::size_t d = 0; d < dim_; ++d) out[d] += weight * tracker_[d];
  }

  std::size_t dim_;
  Mixing mixing_;  ///< x_j and s_{j->i}
  GradientMean gradient_;
  Floats pushed_;   ///< s_{i->j}, edge after edge
  Floats tracker_;  ///< y_i; not kept from one exchange to the next
};

}  // namespace

std::unique_ptr<Solver> make_rfast(const SolverSetup& setup, Params&) { return std::make_unique<RFast>(setup); }

}  // namespace ecl
