#include <algorithm>
#include <array>

#include "ecl/base/check.hpp"
#include "ecl/contracts/solver.hpp"
#include "solvers/edge_duals.hpp"

/// Edge-consensus learning: asynchronous primal-dual training, one dual vector per edge and exchange.
///
///     min sum_i f_i(w_i)   subject to   w_i = w_j for every edge {i,j}
///
/// Node i holds for every edge a dual p_{i|j}, "what the edge asks of i", and s_{i->j}, what it last asked of j. Read
/// together, p_{i|j} = alpha z + c and s_{i->j} = alpha z - c, they say where the edge stands (its centre z, a model)
/// and what it adds to i's gradient (its correction c). With z_i the mean of the centres, c_i the sum of corrections,
/// x_i the node's model, at which it takes gradients:
///
///     local step   x_i <- x_i - mu ( v_i - c_i )                       K times; g_ik is the gradient along the way
///     velocity     v_i <- beta v_i + (1 - beta) (1/K) sum_k g_ik       once per round; in round t (from 0) with
///                                                                      min(beta, (t + 4) / (t + 5)) for beta
///     exchange     p_{i|j} <- s_{j->i}                                 the newest that came; z_i and c_i follow
///                  w_i <- z_i - mu K ( v_i - c_i )                     the round's step, from the centre
///                  x_i <- w_i - look_ahead mu K ( v_i - c_i )
///                  s_{i->j} <- (1 - theta) s_{i->j} + theta ( 2 alpha_ij w_i - p_{i|j} )
///
/// The duals and their exchange are those of PDMM (theta = 1) and ADMM (theta = 1/2); `ecl_isvr` is the published
/// method. What is new here, and what each part is worth, is told in solvers/README.md: the centre replaces the pull
/// (a round starts from what both ends agree on), the velocity spans rounds (few exchanges make little progress
/// without), local steps follow the velocity (the round's own gradients, of two classes maybe, do not lead astray), and
/// messages are read when the step is taken, not a round earlier.
///
/// With R > 1 exchanges a round (4 by default) the node takes its gradients around the centre, where the network
/// stands, and a round's step is made in R parts, between which the neighbours answer:
///
///     x_i <- z_i + (mu (K - 1) / 2 - look_ahead mu K) ( v_i - c_i );   K local steps, v_i as above
///     R times      w_i <- z_i - (mu K / R) ( v_i - c_i );   s_{i->j} as above;   the answers: z_i, c_i anew
///
/// R may change from round to round, at each node by itself (set_exchanges): it only divides the node's own step. At
/// rest that is 0, and alpha does not depend on R.
///
/// A slow node answers the exchanges of the rounds that its neighbours make meanwhile, each with one more such part:
/// its last gradients count as often as theirs. The network goes on m rounds so, 2 theta m steps of mu K, and the node
/// takes its gradients in the middle of that way, m as it was in its last round: theta m more for look_ahead.
///
/// With the velocities fixed the exchanges solve the linearised problem: c_i comes to v_i less the nodes' mean, and all
/// move by 2 theta mu K times the mean a round. At rest nothing is different.
///
/// At rest x_i = w_i = z_i = w_j and v_i = c_i; the corrections of an edge's ends are opposite, so the gradients sum
/// to 0, whatever was lost, late, repeated or reordered before. alpha_i = alpha_scale / ( mu K d_i ), an edge takes the
/// harmonic mean of its ends' values: alpha_scale = 1 makes one exchange carry the whole difference of the nodes' mean
/// gradients. It is set from the initial step size and then fixed: a falling learning rate must not move it.
///
/// Under Adam every step mu (v_i - c_i) above is mu P_i (v_i - c_i), P_i at most 1 in each coordinate: alpha is as
/// large as steps of mu bear. How that is arranged: adaptive_steps.hpp.
///
/// With theta = 1 the centre moves by 2 mu K (v_i - c_i) a round, and w_i lies half-way: gradients taken there are half
/// a step late, and mu times the curvature must stay below 1 whatever beta is (K = 1, full gradients). look_ahead = 1
/// takes them where the centre will be, and a velocity allows long steps again.
///
/// Usual ranges: beta 0.9 .. 0.98 (0: no momentum), alpha_scale 0.5 .. 1, theta 0.5 .. 1, K 1 .. 32, mu half of SGD's
/// (all go 2 theta mu a step; the velocity is an average: beta does not change that), look_ahead 0 for many local
/// steps, which look ahead by themselves, and 0 or 1 for one or two. With messages several rounds late take a smaller
/// mu.
///
/// In the first rounds the velocity is a mean of what there is, in which its start, 0, counts as four gradients (as two
/// where R > 1): with beta from the first round a short run would end before the velocity has grown (at 0.95 it takes
/// 45 rounds to 90 per cent); without those, the first gradients of unlike shards push the nodes too far apart.
///
/// Sources: Niwa, Harada, Zhang and Kleijn, KDD 2020 (doi 10.1145/3394486.3403109); Niwa et al., ICML 2021 (PMLR
/// 139:8195); Alghunaim, TAC 2024 (local steps from the average); Bastianello et al. 2021 (arXiv 1901.09252, robustness
/// to loss); Takezawa et al. 2022 (arXiv 2205.03779, compressed messages).
namespace ecl {
namespace {

EdgeDuals duals(const SolverSetup& setup, Params& params) {
  const double theta = params.number("theta", 1.0, 0.01, 1.0, "averaging: 1 is PDMM, 0.5 is ADMM");
  const double scale = params.number("alpha_scale", 0.7, 1e-6, 1e6, "edge penalty, in units of 1 / (mu K degree)");
  const std::string compress = params.text("compress", "none", "messages: none, bf16, rand_k:P");
  return {setup, theta, scale / setup.local_steps, compress};
}

class Ecl final : public Solver {
 public:
  Ecl(const SolverSetup& setup, Params& params)
      : beta_(static_cast<float>(params.number("beta", 0.95, 0, 0.9999, "momentum from round to round"))),
        look_ahead_(static_cast<float>(params.number("look_ahead", 0, 0, 2, "gradients: 0 here, 1 a step ahead"))),
        local_steps_(static_cast<float>(setup.local_steps)),
        exchanges_(static_cast<float>(setup.exchanges)),
        at_centre_(setup.exchanges > 1),
        head_start_(at_centre_ ? 2 : 4),
        duals_(duals(setup, params)),
        model_(setup.initial.begin(), setup.initial.end()),
        correction_(setup.initial.size()),
        gradients_(setup.initial.size()),
        velocity_(setup.initial.size()) {
    if (setup.momentum != 0) throw Error("solver ecl has a momentum of its own (beta); leave momentum at 0");
    if (setup.adam && setup.adam->beta1)
      throw Error("solver ecl has a momentum of its own (beta); leave beta1 out of the optimizer");
  }

  std::size_t message_size() const override { return duals_.message_size(); }
  Delivery delivery() const override { return Delivery::newest_wins; }
  bool receives_before_last_step() const override { return true; }
  bool receives_at_start() const override { return at_centre_; }
  bool exchanges_again() const override { return true; }
  int usual_exchanges() const override { return 4; }
  void set_exchanges(int exchanges) override { exchanges_ = static_cast<float>(exchanges); }
  bool overlaps() const override { return at_centre_; }
  StepLengths step_lengths() const override { return StepLengths::bounded; }
  bool scale_steps(CVec factors) override { return factors_ = factors, true; }
  CVec correction() const override { return correction_; }
  void receive(int e, CVec message) override { duals_.receive(e, message); }

  /// x_i, so that the local steps have the point where gradients are wanted in their middle: z_i, or half of the way
  /// that the network goes while a slow node computes.
  void combine(Vec x) override {
    if (!at_centre_) return;
    const float ahead = look_ahead_ + duals_.theta() * answered_ - (local_steps_ - 1) / (2 * local_steps_);
    const float reach = ahead * step_;
    duals_.split(model_, correction_, [&](std::size_t first, std::size_t end) {  // z_i; without edges w_i as it is
      const float* q = factors(first);
      for (std::size_t d = first; d < end; ++d)
        x[d] = model_[d] - reach * (q[d - first] * (velocity_[d] - correction_[d]));
    });
  }

  void descend(Vec x, CVec direction, double step_size) override {
    const float mu = static_cast<float>(step_size);
    const float *v = velocity_.data(), *c = correction_.data();
    float* sum = gradients_.data();
    for (std::size_t first = 0; first < x.size(); first += EdgeDuals::kStretch) {
      const float* q = factors(first);
      for (std::size_t d = first; d < std::min(x.size(), first + EdgeDuals::kStretch); ++d) {
        sum[d] += direction[d];
        x[d] -= mu * (q[d - first] * (v[d] - c[d]));
      }
    }
  }

  void end_round(Vec x, int steps, double step_size) override {
    if (steps > 0) update_velocity(steps);
    answered_ = static_cast<float>(answers_) / exchanges_;
    answers_ = 0, parts_left_ = static_cast<int>(exchanges_);
    step_ = static_cast<float>(step_size) * static_cast<float>(steps);
    exchange(x);
  }

  /// A part of the round's step, from the centre. With R > 1 x is combine()'s.
  void exchange(Vec x) override {
    if (parts_left_ > 0)
      --parts_left_;
    else
      ++answers_;
    const float step = step_ / exchanges_, reach = (1 + look_ahead_) * step;
    duals_.split(model_, correction_, [&](std::size_t first, std::size_t end) {
      const float* q = factors(first);
      for (std::size_t d = first; d < end; ++d) {
        const float direction = q[d - first] * (velocity_[d] - correction_[d]);
        if (!at_centre_) x[d] = model_[d] - reach * direction;
        model_[d] -= step * direction;
      }
    });
  }

  void send(int e, CVec, Vec message) override { duals_.send(e, model_, message); }
  void drop(int e) override { duals_.drop(e); }
  void archive(Archive& archive) override {
    archive(rounds_, exchanges_, step_, parts_left_, answers_, answered_, duals_, model_, correction_, gradients_,
            velocity_);
  }

 private:
  /// What steps are multiplied by, from coordinate `first` on: of a stretch.
  const float* factors(std::size_t first) const {
    static constexpr auto kOnes = [] {
      std::array<float, EdgeDuals::kStretch> ones{};
      ones.fill(1);
      return ones;
    }();
    return factors_.empty() ? kOnes.data() : factors_.data() + first;
  }

  /// v_i <- beta_t v_i + (1 - beta_t) times the mean of the round's gradients.
  void update_velocity(int steps) {
    const float beta = std::min(beta_, (rounds_ + head_start_) / (rounds_ + head_start_ + 1)),
                share = (1 - beta) / static_cast<float>(steps);
    for (std::size_t d = 0; d < velocity_.size(); ++d) velocity_[d] = beta * velocity_[d] + share * gradients_[d];
    std::fill(gradients_.begin(), gradients_.end(), 0.0f);
    ++rounds_;
  }

  float beta_, look_ahead_;
  float local_steps_, exchanges_;  ///< K, R
  bool at_centre_;                 ///< gradients are taken around z_i
  float head_start_;               ///< gradients that the velocity's start counts for
  float step_ = 0;                 ///< mu K of the round that ended last
  int parts_left_ = 0;             ///< of that step
  int answers_ = 0;                ///< exchanges since then that answered faster neighbours, with further such parts
  float answered_ = 0;             ///< steps that those of the round before made
  float rounds_ = 0;               ///< with gradients, so far
  CVec factors_;                   ///< P_i; empty: 1
  EdgeDuals duals_;
  Floats model_;       ///< w_i, what messages tell
  Floats correction_;  ///< c_i
  Floats gradients_;   ///< the round's sum
  Floats velocity_;    ///< v_i
};

}  // namespace

std::unique_ptr<Solver> make_ecl(const SolverSetup& setup, Params& params) {
  return std::make_unique<Ecl>(setup, params);
}

}  // namespace ecl
