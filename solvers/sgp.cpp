#include <algorithm>
#include <vector>

#include "ecl/contracts/solver.hpp"

/// Stochastic gradient push: gossip by push-sum, for networks whose edges may be one-way.
///
/// Nodes hold mass: a numerator n_i (d floats) and a weight w_i, n_i = w^0 and w_i = 1 at the start. The model is their
/// ratio x_i = n_i / w_i.
///
///     local step   n_i <- n_i - mu g_i(x_i),  that is  x_i <- x_i - mu g_i / w_i                       K times
///     push         each of the o_i out-edges, and i itself, gets (n_i, w_i) / (1 + o_i)
///     next round   (n_i, w_i) <- what i kept + what arrived
///
/// Nothing is averaged with weights that must fit together: a node needs to know only to how many it sends. All that
/// counts is that no mass is lost or doubled. So a message carries not a share but the running sums of all the shares
/// that ever went out on the edge; the receiver takes the difference to what it saw last. A lost, late or overwritten
/// message delays mass until the next one, a repeated one brings nothing.
///
///     message      S_i = sum of all n shares (as two floats a number), T_i = the same of w
///
/// Running sums grow with the rounds, so a float would lose the digits of a share: after 10^4 rounds four of its seven.
/// Sums are kept in double and sent as a float and a float of the remainder: 48 bits, good for 10^7 rounds to float
/// precision. That makes a message 2 d + 2 floats, twice that of the paper, which relies on a transport that loses
/// nothing. What remains is that of the model: x is a float, so each round moves the total mass by some 1e-8 of itself,
/// at random (measured, 20000 rounds without gradients: below 1e-6).
///
/// Bias. In lock step on a ring w stays 1, and with full gradients it rests where dpsgd does. In lock step on any graph
/// every gradient counts alike. Asynchronously it does not rest at a constant mu: which share of its mass a node holds
/// follows the chances of time, and the models with it; nodes that step more often count more. And a node that has
/// pushed several times without hearing anything has little mass left, on which the paper's step mu / w acts too
/// strongly: a model with w = 1/81 jumps by 81 mu g. A node lighter than least_weight therefore steps as if it weighed
/// that much. On graphs where a node's weight is smaller for good (w_i tends to n (1 + d_i) / sum_j (1 + d_j) where as
/// many edges come in as go out), set it below that.
///
/// A neighbour that is stopped, and not dropped, hoards what is pushed to it; the others go on at the same step size.
///
/// Usual ranges: mu as for SGD. Sources: Assran, Loizou, Ballas and Rabbat, ICML 2019 (arXiv 1811.10792); running sums:
/// Hadjicostis, Vaidya and Dominguez-Garcia, IEEE Trans. Automatic Control 2016.
namespace ecl {
namespace {

class StochasticGradientPush final : public Solver {
 public:
  StochasticGradientPush(const SolverSetup& setup, Params& params)
      : dim_(setup.initial.size()),
        local_steps_(setup.local_steps),
        least_weight_(params.number("least_weight", 0.25, 1e-6, 1, "a lighter node steps as if it weighed this much")),
        pushed_(dim_ + 1, 0.0),
        inflow_(dim_ + 1, 0.0) {
    for (const HalfEdge& edge : setup.graph.edges(setup.node)) pushes_.push_back(edge.sends);
    seen_.resize(pushes_.size() * (dim_ + 1), 0.0);
  }

  std::size_t message_size() const override { return 2 * (dim_ + 1); }
  Delivery delivery() const override { return Delivery::cumulative; }
  bool directed() const override { return true; }

  void receive(int e, CVec message) override {
    double* seen = seen_.data() + e * (dim_ + 1);
    const float *high = message.data(), *low = high + dim_ + 1;
    for (std::size_t d = 0; d <= dim_; ++d) {
      const double total = static_cast<double>(high[d]) + low[d];
      inflow_[d] += total - seen[d];
      seen[d] = total;
    }
  }

  void combine(Vec x) override {
    if (inflow_[dim_] <= 0) return;  // nothing new
    const double total = weight_ + inflow_[dim_];
    const double own = weight_ / total, scale = 1 / total;
    for (std::size_t d = 0; d < dim_; ++d) x[d] = static_cast<float>(own * x[d] + scale * inflow_[d]);
    weight_ = total;
    std::fill(inflow_.begin(), inflow_.end(), 0.0);
  }

  void descend(Vec x, CVec direction, double step_size) override {
    const float step = static_cast<float>(step_size / std::max(weight_, least_weight_));
    for (std::size_t d = 0; d < dim_; ++d) x[d] -= step * direction[d];
    if (++local_ < local_steps_) return;
    local_ = 0;
    push(x);
  }

  void send(int, CVec, Vec message) override {
    float *high = message.data(), *low = high + dim_ + 1;
    for (std::size_t d = 0; d <= dim_; ++d) {
      high[d] = static_cast<float>(pushed_[d]);
      low[d] = static_cast<float>(pushed_[d] - high[d]);
    }
  }

  void drop(int e) override { pushes_[e] = 0; }

 private:
  /// Keeps one share, and adds one to the sums; they are those of every out-edge, all of which always get the same.
  void push(CVec x) {
    weight_ /= 1 + std::count(pushes_.begin(), pushes_.end(), 1);
    for (std::size_t d = 0; d < dim_; ++d) pushed_[d] += weight_ * x[d];
    pushed_[dim_] += weight_;
  }

  std::size_t dim_;
  int local_steps_, local_ = 0;
  double least_weight_;
  double weight_ = 1;           ///< w_i; the numerator is w_i x_i
  std::vector<char> pushes_;    ///< per edge: whether this node pushes on it
  std::vector<double> pushed_;  ///< S_i, then T_i
  std::vector<double> seen_;    ///< the sums that were seen last, edge after edge
  std::vector<double> inflow_;  ///< what arrived since the last round
};

}  // namespace

std::unique_ptr<Solver> make_sgp(const SolverSetup& setup, Params& params) {
  return std::make_unique<StochasticGradientPush>(setup, params);
}

}  // namespace ecl
