#include <algorithm>

#include "ecl/contracts/solver.hpp"
#include "solvers/edge_duals.hpp"

/// Edge-consensus learning as published, with the ISVR rule: primal-dual steps on the linearised, edge-constrained
/// problem. `ecl` is what grew out of it.
///
///     min sum_i f_i(w_i)   subject to   w_i = w_j for every edge {i,j}
///
/// Sign-free form; node i holds for every edge a dual p_{i|j} in units of gradient, "what the edge asks of i":
///
///     local step   w_i <- ( w_i - mu g_i + mu sum_j p_{i|j} ) / ( 1 + mu sum_j alpha_ij )
///     message      s_{i->j} <- (1 - theta) s_{i->j} + theta ( 2 alpha_ij w_i - p_{i|j} )
///     receive      p_{j|i} <- s_{i->j}
///
/// theta = 1 is PDMM (Peaceman-Rachford splitting), theta = 1/2 is ADMM (Douglas-Rachford). The averaging is done by
/// the sender, who is the only writer of that dual; so a message is absolute, applying it twice is applying it once,
/// and a lost one costs only age. At rest w_i = w_j and sum_i g_i = 0, whatever was lost, late or reordered before.
///
/// alpha_ij must be the same at both ends, or the fixed point moves. Each node's wish is the ISVR rule
///     alpha_i = 1 / ( mu d_i (K - 1) ),  2 <= K <= 9 (so that alpha_i d_i >= 1/(8 mu)),
/// which makes one exchange carry exactly the control variate of stochastic variance reduction; an edge takes the
/// harmonic mean of both ends' wishes, times alpha_scale. It is set from the initial step size and then fixed: a
/// falling learning rate must not move it. Duals start at alpha_ij w0: no pull until somebody has moved.
///
/// Usual ranges: theta 0.5 .. 1 (0.5 under strong noise or long delays), alpha_scale 1 .. 8 (4 for deep models and
/// long local phases), K 2 .. 32, mu as for SGD.
///
/// Sources: Niwa, Harada, Zhang and Kleijn, KDD 2020 (doi 10.1145/3394486.3403109); Niwa et al., ICML 2021 (PMLR
/// 139:8195, alpha rule); Sherson, Heusdens and Kleijn 2019 (arXiv 1706.02654, PDMM by monotone operators);
/// Bastianello et al. 2021 (arXiv 1901.09252, robustness to loss).
namespace ecl {
namespace {

/// The ISVR rule as mu d_i alpha_i, the strength of a node's wish.
double isvr_strength(int local_steps) { return 1.0 / (std::clamp(local_steps, 2, 9) - 1); }

EdgeDuals duals(const SolverSetup& setup, Params& params) {
  const double theta = params.number("theta", 1.0, 0.01, 1.0, "averaging: 1 is PDMM, 0.5 is ADMM");
  const double scale = params.number("alpha_scale", 1.0, 1e-6, 1e6, "multiplies the edge penalty of the ISVR rule");
  const std::string compress = params.text("compress", "none", "messages: none, bf16, rand_k:P");
  return {setup, theta, scale * isvr_strength(setup.local_steps), compress};
}

class EclIsvr final : public Solver {
 public:
  EclIsvr(const SolverSetup& setup, Params& params) : duals_(duals(setup, params)) {}

  std::size_t message_size() const override { return duals_.message_size(); }
  Delivery delivery() const override { return Delivery::newest_wins; }
  void receive(int e, CVec message) override { duals_.receive(e, message); }

  void descend(Vec x, CVec direction, double step_size) override {
    duals_.sum();
    const float mu = static_cast<float>(step_size);
    const float shrink = 1 / (1 + mu * duals_.alpha_sum());
    const float *g = direction.data(), *pull = duals_.pull().data();
    for (std::size_t d = 0; d < x.size(); ++d) x[d] = (x[d] + mu * (pull[d] - g[d])) * shrink;
  }

  void end_round(Vec x, int steps, double) override {
    if (steps == 0) duals_.centre(x);
  }

  void send(int e, CVec x, Vec message) override { duals_.send(e, x, message); }
  void drop(int e) override { duals_.drop(e); }
  void archive(Archive& archive) override { archive(duals_); }

 private:
  EdgeDuals duals_;
};

}  // namespace

std::unique_ptr<Solver> make_ecl_isvr(const SolverSetup& setup, Params& params) {
  return std::make_unique<EclIsvr>(setup, params);
}

}  // namespace ecl
