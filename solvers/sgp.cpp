#include <algorithm>
#include <cmath>
#include <vector>

#include "ecl/contracts/solver.hpp"

/// Stochastic gradient push: gossip by push-sum, for networks whose edges may be one-way.
///
/// Nodes hold mass: a numerator n_i (d floats) and a weight w_i, n_i = w^0 and w_i = 1 at the start. The model is their
/// ratio x_i = n_i / w_i.
///
///     local step   x_i <- x_i - mu g_i / v_i,  that is  n_i <- n_i - mu g_i w_i / v_i                  K times
///     push         each of the o_i out-edges, and i itself, gets (n_i, w_i) / (1 + o_i)
///     next round   (n_i, w_i) <- what i kept + what arrived
///     exchange     R - 1 times more a round: takes what arrived, and pushes if there was any
///
/// Nothing is averaged with weights that must fit together: a node needs to know only to how many it sends. All that
/// counts is that no mass is lost or doubled. So a message carries not a share but the running sums of all the shares
/// that ever went out on the edge; the receiver takes the difference to what it saw last. A lost, late or overwritten
/// message delays mass until the next one, a repeated one brings nothing.
///
///     message      S_i = sum of all n shares (as two floats a number), T_i = the same of w
///
/// Running sums grow with the rounds, so a float would lose the digits of a share: after 10^4 rounds four of its seven.
/// Sums are kept in double and sent as a float and a float of the remainder: 48 bits, which after 10^6 rounds still
/// hold a share to float precision. That makes a message 2 d + 2 floats, twice that of the paper, which relies on a
/// transport that loses nothing. What limits the conservation of mass is then the model: x is a float, so each round
/// moves the total by some 1e-8 of a node's share, at random (tests/equivalences_test.cpp: below 1e-6 after 20000
/// rounds with losses, repetitions and delays).
///
/// The step. v_i is the weight that w_i tends to in lock step: from then on this is the paper's step n_i <- n_i - mu
/// g_i, and every gradient counts alike on any graph; on a ring w_i = v_i = 1 always. Asynchronously w_i goes up and
/// down with the chances of time. A node that has pushed four times without hearing anything has 1/81 of its mass left
/// on a ring, and the paper's step would move its model by 81 mu g_i (measured: it diverges where this one is stable).
/// Divided by v_i instead, the step of the model stays what mu says; and since a node that makes more rounds holds less
/// mass, in proportion, the gradients still count alike whatever the nodes' speeds.
///
/// Bias. In lock step with full gradients it rests where dpsgd does on a ring. Asynchronously it does not rest at a
/// constant mu, as the weights with which models are mixed follow the chances of time: it stays around that point, at a
/// distance that falls with mu. A neighbour that is stopped or has finished, and is not dropped, hoards what is pushed
/// to it; whoever hears of no new mass goes on towards its own minimiser.
///
/// Usual ranges: mu as for SGD. Sources: Assran, Loizou, Ballas and Rabbat, ICML 2019 (arXiv 1811.10792); running sums:
/// Hadjicostis, Vaidya and Dominguez-Garcia, IEEE Trans. Automatic Control 2016.
namespace ecl {
namespace {

/// The weight that node i's tends to in lock step: by the balance of flows where every edge works both ways, else by
/// pushing weights until they stand (on a circulant graph they do from the start).
double resting_weight(const Graph& graph, NodeId i) {
  const NodeId n = graph.size();
  if (!graph.directed()) return (1.0 + graph.degree(i)) * n / (n + 2.0 * static_cast<double>(graph.edge_count()));
  constexpr int kMostRounds = 100'000;
  constexpr double kStill = 1e-12;
  std::vector<double> weights(n, 1.0), next(n);
  for (int round = 0; round < kMostRounds; ++round) {
    std::fill(next.begin(), next.end(), 0.0);
    for (NodeId j = 0; j < n; ++j) {
      const auto edges = graph.edges(j);
      const double share =
          weights[j] / (1 + std::count_if(edges.begin(), edges.end(), [](auto& e) { return e.sends; }));
      next[j] += share;
      for (const HalfEdge& edge : edges)
        if (edge.sends) next[edge.peer] += share;
    }
    double change = 0;
    for (NodeId j = 0; j < n; ++j) change = std::max(change, std::abs(next[j] - weights[j]));
    weights.swap(next);
    if (change < kStill) break;
  }
  return weights[i];
}

/// Of v_i: a node with less mass than this keeps it until it hears something. Shares must not fall below the last digit
/// of the sums, where numerator and weight are rounding errors and their ratio is anything.
constexpr double kLightest = 1.0 / 1024;

class StochasticGradientPush final : public Solver {
 public:
  explicit StochasticGradientPush(const SolverSetup& setup)
      : dim_(setup.initial.size()),
        resting_weight_(resting_weight(setup.graph, setup.node)),
        pushed_(dim_ + 1, 0.0),
        inflow_(dim_ + 1, 0.0) {
    for (const HalfEdge& edge : setup.graph.edges(setup.node)) pushes_.push_back(edge.sends);
    seen_.resize(pushes_.size() * (dim_ + 1), 0.0);
  }

  std::size_t message_size() const override { return 2 * (dim_ + 1); }
  Delivery delivery() const override { return Delivery::cumulative; }
  bool exchanges_again() const override { return true; }
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
    const float step = static_cast<float>(step_size / resting_weight_);
    for (std::size_t d = 0; d < dim_; ++d) x[d] -= step * direction[d];
  }

  void end_round(Vec x, int, double) override { push(x); }

  /// Without news it keeps what it has: pushing on would only make it lighter.
  void exchange(Vec x) override {
    if (inflow_[dim_] <= 0) return;
    combine(x);
    push(x);
  }

  void send(int, CVec, Vec message) override {
    float *high = message.data(), *low = high + dim_ + 1;
    for (std::size_t d = 0; d <= dim_; ++d) {
      high[d] = static_cast<float>(pushed_[d]);
      low[d] = static_cast<float>(pushed_[d] - high[d]);
    }
  }

  void drop(int e) override {
    const double before = shares();
    pushes_[e] = 0;
    resting_weight_ *= shares() / before;
  }
  void archive(Archive& archive) override { archive(resting_weight_, weight_, pushes_, pushed_, seen_, inflow_); }

 private:
  /// Into how many shares the mass goes: one for each out-edge, and one that stays.
  double shares() const { return 1 + static_cast<double>(std::count(pushes_.begin(), pushes_.end(), 1)); }

  /// Keeps one share, and adds one to the sums; they are those of every out-edge, all of which always get the same.
  void push(CVec x) {
    if (weight_ < kLightest * resting_weight_) return;  // keeps it all
    weight_ /= shares();
    for (std::size_t d = 0; d < dim_; ++d) pushed_[d] += weight_ * x[d];
    pushed_[dim_] += weight_;
  }

  std::size_t dim_;
  double resting_weight_;       ///< v_i
  double weight_ = 1;           ///< w_i; the numerator is w_i x_i
  std::vector<char> pushes_;    ///< per edge: whether this node pushes on it
  std::vector<double> pushed_;  ///< S_i, then T_i
  std::vector<double> seen_;    ///< the sums that were seen last, edge after edge
  std::vector<double> inflow_;  ///< what arrived since the last round
};

}  // namespace

std::unique_ptr<Solver> make_sgp(const SolverSetup& setup, Params&) {
  return std::make_unique<StochasticGradientPush>(setup);
}

}  // namespace ecl
