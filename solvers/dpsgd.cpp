#include "ecl/contracts/solver.hpp"
#include "solvers/mixing.hpp"
#include "solvers/sgd_step.hpp"

/// Decentralised parallel SGD: gossip, the baseline.
///
///     once per round   x_i <- W_ii x_i + sum_j W_ij x_j     (x_j: the newest model that arrived; Metropolis weights)
///     local step       x_i <- x_i - mu g_i
///     message          x_i
///     exchange again   the same, with those who have sent a newer model                R - 1 times: W^R in all, or
///                      what `gossip` makes of it (gossip.hpp)
///
/// In lock step with K = 1 this is D-PSGD in its combine-then-adapt order; asynchronously, on mailboxes that hold the
/// newest model, it is the scheme of ADSGD and SWIFT. It is biased when shards differ: at a constant step size the
/// fixed point is not the minimiser of the sum, and the distance grows with mu, K, the heterogeneity and 1 / spectral
/// gap.
///
/// Usual ranges: mu as for SGD. Sources: Lian et al., NeurIPS 2017 (arXiv 1705.09056); asynchronous: Bornstein et al.,
/// ICLR 2023 (SWIFT), arXiv 2505.10322 (ADSGD).
namespace ecl {
namespace {

class DecentralisedSgd final : public Solver {
 public:
  DecentralisedSgd(const SolverSetup& setup, Params& params) : mixing_(setup, 1, Gossip(setup, params)) {}

  std::size_t message_size() const override { return mixing_.message_size(); }
  Delivery delivery() const override { return Delivery::newest_wins; }
  bool exchanges_again() const override { return true; }
  StepLengths step_lengths() const override { return StepLengths::any; }
  void receive(int e, CVec message) override { mixing_.receive(e, message); }
  void combine(Vec x) override { mixing_.mix(x); }
  void exchange(Vec x) override { mixing_.mix_news(x); }
  void descend(Vec x, CVec direction, double step_size) override { sgd_step(x, direction, step_size); }
  void end_round(Vec, int, double step_size) override { mixing_.restart(step_size); }
  void send(int, CVec x, Vec message) override { std::copy(x.begin(), x.end(), message.begin()); }
  void drop(int e) override { mixing_.drop(e); }
  void archive(Archive& archive) override { archive(mixing_); }

 private:
  Mixing mixing_;
};

}  // namespace

std::unique_ptr<Solver> make_dpsgd(const SolverSetup& setup, Params& params) {
  return std::make_unique<DecentralisedSgd>(setup, params);
}

}  // namespace ecl
