#include "ecl/base/floats.hpp"
#include "ecl/contracts/solver.hpp"
#include "solvers/edge_duals.hpp"

/// LT-ADMM: local training ADMM, the edge-dual method whose pull is frozen during the local steps.
///
///     local step   phi_i <- phi_i - mu ( g_i(phi_i) + sum_j ( alpha_ij x_i - p_{i|j} ) )     K times, from phi_i = x_i
///     message      s_{i->j} <- ( s_{i->j} + 2 alpha_ij phi_i - p_{i|j} ) / 2                  once x_i <- phi_i
///     receive      p_{j|i} <- s_{i->j}
///
/// Symbols: p_{i|j} the edge's dual (the paper's z_ij, there without signs too), alpha_ij its penalty (the paper's
/// rho). It differs from `ecl_isvr` with theta = 1/2 in the pull alone: explicit and of the round's start; there it is
/// implicit and follows the moving model. So it is exact and indifferent to lost, late or repeated messages for the
/// same reason.
///
/// The paper multiplies the pull by a second step size beta. Only beta rho matters, as duals scale with rho; here beta
/// is mu, so that the fixed point stays when the learning rate falls. The explicit pull moves the model by the part
/// mu K sum_j alpha_ij of its distance to the neighbours, which must stay below 4/3. alpha_ij is the harmonic mean of
/// alpha_i = rho / (mu K d_i), which makes that part at most 2 rho, and rho on regular graphs.
///
/// Usual ranges: rho 0.25 .. 0.6, up to 1 on regular graphs, K 2 .. 32, mu as for SGD.
/// Sources: Ren, Bastianello, Johansson and Parisini, IEEE Trans. Automatic Control 2026 (arXiv 2501.13516);
/// robustness to loss: Bastianello et al. 2021 (arXiv 1901.09252).
namespace ecl {
namespace {

EdgeDuals duals(const SolverSetup& setup, Params& params) {
  const double rho = params.number("rho", 0.5, 1e-6, 10, "edge penalty, in units of 1 / (mu K degree)");
  return {setup, 0.5, rho / setup.local_steps};
}

class LocalTrainingAdmm final : public Solver {
 public:
  LocalTrainingAdmm(const SolverSetup& setup, Params& params)
      : duals_(duals(setup, params)), frozen_(setup.initial.size()) {}

  std::size_t message_size() const override { return duals_.message_size(); }
  Delivery delivery() const override { return Delivery::newest_wins; }
  StepLengths step_lengths() const override { return StepLengths::bounded; }
  void receive(int e, CVec message) override { duals_.receive(e, message); }

  void combine(Vec x) override {
    duals_.sum();
    const float alpha = duals_.alpha_sum();
    const Floats& pull = duals_.pull();
    for (std::size_t d = 0; d < x.size(); ++d) frozen_[d] = alpha * x[d] - pull[d];
  }

  void descend(Vec x, CVec direction, double step_size) override {
    const float mu = static_cast<float>(step_size);
    for (std::size_t d = 0; d < x.size(); ++d) x[d] -= mu * (direction[d] + frozen_[d]);
  }

  void end_round(Vec x, int steps, double) override {
    if (steps == 0) duals_.centre(x);
  }

  void send(int e, CVec x, Vec message) override { duals_.send(e, x, message); }
  void drop(int e) override { duals_.drop(e); }
  void archive(Archive& archive) override { archive(duals_, frozen_); }

 private:
  EdgeDuals duals_;
  Floats frozen_;  ///< sum_j ( alpha_ij x_i - p_{i|j} ) at the round's start
};

}  // namespace

std::unique_ptr<Solver> make_lt_admm(const SolverSetup& setup, Params& params) {
  return std::make_unique<LocalTrainingAdmm>(setup, params);
}

}  // namespace ecl
