// Gradient tracking and its relatives: equal to the published recursions round by round, their conserved sums, and what
// becomes of running sums and relayed sums.
#include <Eigen/LU>
#include <deque>
#include <gtest/gtest.h>
#include <random>

#include "support/dense_gossip.hpp"
#include "support/faults.hpp"
#include "support/quadratics.hpp"

namespace ecl {
namespace {

using test::Averaging;
using test::Quadratics;
using test::quadratics;
using test::Simulation;
using test::with;

constexpr double kFloat = 1e-5;

Spec lock_step(const std::string& solver, int local_steps = 1, std::vector<std::string> settings = {}) {
  Spec spec = quadratics(8, 100'000);
  spec.solver = solver;
  spec.settings = std::move(settings);
  spec.local_steps = local_steps;
  spec.mode = "lock-step";
  spec.topology = "erdos_renyi:0.4";  // degrees differ
  return spec;
}

/// All nodes' models as columns, so that the averaging of a round is a product with W, or with what the run's exchanges
/// make of it. In double, full gradients.
struct Reference {
  explicit Reference(const Experiment& experiment)
      : q(experiment.spec), mu(experiment.spec.learning_rate), steps(experiment.spec.local_steps) {
    const NodeId n = experiment.nodes();
    w = test::averaging_matrix(experiment.graph, experiment.spec);
    x = Eigen::MatrixXd::Zero(q.minimiser[0].size(), n);
    for (NodeId i = 0; i < n; ++i)
      x.col(i) = Eigen::Map<const Eigen::VectorXf>(experiment.initial.data(), x.rows()).cast<double>();
  }
  virtual ~Reference() = default;
  virtual void round() = 0;

  Eigen::MatrixXd gradients(const Eigen::MatrixXd& at) const {
    Eigen::MatrixXd g = at;
    for (NodeId i = 0; i < q.nodes(); ++i) g.col(i) = q.gradient(i, at.col(i));
    return g;
  }

  Quadratics q;
  double mu;
  int steps;
  Eigen::MatrixXd w, x;
};

/// x <- W (x - mu y), y <- W y + g(new x) - g(x), from y = g(x).
struct GradientTrackingReference : Reference {
  explicit GradientTrackingReference(const Experiment& e) : Reference(e), g(gradients(x)), y(g) {}
  void round() override {
    x = (x - mu * y) * w;
    const Eigen::MatrixXd next = gradients(x);
    y = y * w + next - g;
    g = next;
  }
  Eigen::MatrixXd g, y;
};

/// K steps x <- x - mu (g + c); z = (x0 - xK) / (K mu); c <- c - z + W z; x <- W (x0 - K mu eta_s z).
struct KGtReference : Reference {
  KGtReference(const Experiment& e, double eta) : Reference(e), eta_s(eta), c(0 * x) {}
  void round() override {
    const Eigen::MatrixXd x0 = x;
    for (int k = 0; k < steps; ++k) x -= mu * (gradients(x) + c);
    const Eigen::MatrixXd z = (x0 - x) / (steps * mu);
    c += z * w - z;
    x = (x0 - steps * mu * eta_s * z) * w;
  }
  double eta_s;
  Eigen::MatrixXd c;
};

/// u <- beta u + g; x <- W x - mu (u - c); c <- W (c - u) + u.
struct MomentumTrackingReference : Reference {
  MomentumTrackingReference(const Experiment& e, double b) : Reference(e), beta(b), u(0 * x), c(u) {}
  void round() override {
    u = beta * u + gradients(x);
    x = x * w - mu * (u - c);
    c = (c - u) * w + u;
  }
  double beta;
  Eigen::MatrixXd u, c;
};

/// On a chain: x_i <- the mean of the models after the step, of a node k > 0 hops away as it was ceil(k / R) - 1 rounds
/// ago; of those only that have got through by then.
struct RelayReference : Reference {
  explicit RelayReference(const Experiment& e) : Reference(e), exchanges(e.exchanges_a_round()) {}
  void round() override {
    for (int k = 0; k < steps; ++k) x -= mu * gradients(x);
    history.push_front(x);
    for (int i = 0; i < x.cols(); ++i) {
      Eigen::VectorXd sum = Eigen::VectorXd::Zero(x.rows());
      int count = 0;
      for (int j = 0; j < x.cols(); ++j) {
        const std::size_t age = std::max(0, std::abs(i - j) - 1) / exchanges;
        if (age < history.size()) sum += history[age].col(j), ++count;
      }
      x.col(i) = sum / count;
    }
  }
  int exchanges;
  std::deque<Eigen::MatrixXd> history;
};

void expect_equal(const Spec& spec, const std::function<std::unique_ptr<Reference>(const Experiment&)>& make) {
  Simulation simulation(spec);
  const auto reference = make(simulation.experiment());
  for (int round = 0; round < 200; ++round) {
    simulation.run(spec.local_steps);
    reference->round();
    for (NodeId i = 0; i < spec.nodes; ++i) {
      const Eigen::VectorXd x = reference->x.col(i);
      ASSERT_LT(relative_distance(simulation.nodes()[i].x(), {x.data(), x.data() + x.size()}), kFloat)
          << spec.solver << ", K = " << spec.local_steps << ", " << test::averaging_of(spec).name() << ", round "
          << round << ", node " << i;
    }
  }
}

const std::vector<Averaging> kPlain = {{1}, {2}, {3}, {8}};
const std::vector<Averaging> kAveragings = {{1}, {2}, {3}, {5}, {2, "fast"}, {5, "fast"}, {3, "chebyshev"}};

TEST(Tracking, GradientTrackingAndRFastInLockStepEqualThePublishedRecursion) {
  for (const std::string solver : {"gradient_tracking", "rfast"})
    for (const Averaging& averaging : solver == "rfast" ? kPlain : kAveragings)
      expect_equal(with(lock_step(solver), averaging),
                   [](const Experiment& e) { return std::make_unique<GradientTrackingReference>(e); });
}

TEST(Tracking, DetagIsGradientTrackingWithFastGossip) {
  for (const int exchanges : {1, 2, 4}) {
    Simulation detag(with(lock_step("detag"), {exchanges}));
    Simulation tracking(with(lock_step("gradient_tracking"), {exchanges, exchanges == 1 ? "plain" : "fast"}));
    detag.run(50), tracking.run(50);
    for (NodeId i = 0; i < 8; ++i) {
      const CVec x = tracking.nodes()[i].x();
      EXPECT_EQ(relative_distance(detag.nodes()[i].x(), {x.begin(), x.end()}), 0) << exchanges;
    }
  }
}

TEST(Tracking, GradientsOfARoundAreAveraged) {
  // With full gradients K of them at the same model are one.
  for (const char* solver : {"gradient_tracking", "rfast"})
    expect_equal(lock_step(solver, 4),
                 [](const Experiment& e) { return std::make_unique<GradientTrackingReference>(e); });
}

TEST(Tracking, MomentumCountsOnceARound) {
  // With full gradients a round of K of them is a round of one.
  for (const char* solver : {"gradient_tracking", "detag", "rfast", "d2", "extra"}) {
    Spec one = lock_step(solver, 1), many = lock_step(solver, 4);
    one.momentum = many.momentum = 0.8;
    one.learning_rate = many.learning_rate *= 0.2;  // steps as long as without
    Simulation single(one), several(many);
    for (int round = 1; round <= 30; ++round) {
      single.run(1), several.run(4);
      for (NodeId i = 0; i < single.experiment().nodes(); ++i) {
        const CVec x = single.nodes()[i].x();
        ASSERT_LT(relative_distance(several.nodes()[i].x(), {x.begin(), x.end()}), 1e-5)
            << solver << ", node " << i << ", round " << round;
      }
    }
  }
}

TEST(Tracking, KGtEqualsThePublishedRecursion) {
  for (const Averaging& averaging : kAveragings)
    for (const int local_steps : {1, 4})
      for (const double eta_s : {1.0, 0.5})
        expect_equal(with(lock_step("k_gt", local_steps, {"eta_s=" + std::to_string(eta_s)}), averaging),
                     [&](const Experiment& e) { return std::make_unique<KGtReference>(e, eta_s); });
}

TEST(Tracking, MomentumTrackingEqualsThePublishedRecursion) {
  for (const Averaging& averaging : kAveragings)
    expect_equal(with(lock_step("momentum_tracking", 1, {"beta=0.8"}), averaging),
                 [](const Experiment& e) { return std::make_unique<MomentumTrackingReference>(e, 0.8); });
}

TEST(Tracking, RelaySgdTakesEveryModelOnceAsOldAsItIsFar) {
  for (const int exchanges : {1, 2, 3, 7})  // 7: as many as the chain is long, so that every round is the exact mean
    for (const int local_steps : {1, 4}) {
      Spec spec = with(lock_step("relaysgd", local_steps), {exchanges});
      spec.topology = "chain";
      expect_equal(spec, [](const Experiment& e) { return std::make_unique<RelayReference>(e); });
    }
}

TEST(Tracking, ExactForEveryK) {
  for (const int local_steps : {1, 2, 8}) {
    for (const char* solver : {"gradient_tracking", "k_gt", "momentum_tracking", "rfast"}) {
      Spec spec = lock_step(solver, local_steps);
      spec.topology = "ring";
      Simulation simulation(spec);
      simulation.run(5000 * local_steps);
      EXPECT_LT(simulation.error(simulation.experiment().optimum), kFloat) << solver << ", K = " << local_steps;
    }
  }
}

/// Sees node i's gradient and the second half of what it sends.
class Witness final : public Forwarding {
 public:
  Witness(std::unique_ptr<Solver> solver, Eigen::VectorXd& gradient, Eigen::VectorXd& sent)
      : Forwarding(std::move(solver)), gradient_(gradient), sent_(sent) {}
  void descend(Vec x, CVec g, double step_size) override {
    gradient_ = Eigen::Map<const Eigen::VectorXf>(g.data(), g.size()).cast<double>();
    Forwarding::descend(x, g, step_size);
  }
  void send(int e, CVec x, Vec message) override {
    Forwarding::send(e, x, message);
    sent_ = Eigen::Map<const Eigen::VectorXf>(message.data() + x.size(), x.size()).cast<double>();
  }

 private:
  Eigen::VectorXd &gradient_, &sent_;
};

TEST(Tracking, SumsOverAllNodesAreConserved) {
  // What is sent beside the model: y, z = g + c and c - u. That sum y = sum g and sum c = 0 is what makes them exact;
  // float rounding makes it a slow random walk (momentum's is the largest: u is ten gradients long).
  for (const std::string solver : {"gradient_tracking", "k_gt", "momentum_tracking"}) {
    const Spec spec = lock_step(solver);
    std::vector<Eigen::VectorXd> gradient(spec.nodes), sent(spec.nodes);
    Simulation simulation(spec, [&](NodeId i, std::unique_ptr<Solver> own) {
      return std::make_unique<Witness>(std::move(own), gradient[i], sent[i]);
    });
    Eigen::VectorXd momentum = Eigen::VectorXd::Zero(10);
    double largest = 0;
    for (int round = 0; round < 500; ++round) {
      simulation.run(1);
      Eigen::VectorXd gradients = Eigen::VectorXd::Zero(10), tracked = gradients;
      for (NodeId i = 0; i < spec.nodes; ++i) gradients += gradient[i], tracked += sent[i];
      momentum = 0.9 * momentum + gradients;
      largest = std::max(largest, sent[0].norm());
      const Eigen::VectorXd expected = solver == "momentum_tracking" ? Eigen::VectorXd(-momentum) : gradients;
      ASSERT_LT((tracked - expected).norm(), 1e-4 * largest) << solver << ", round " << round;
    }
    EXPECT_GT(largest, 1) << "nothing was tracked";
  }
}

TEST(RFast, TornAndGarbledMessagesLeaveNoTraceEither) {
  const auto unharmed = test::with_one_fault("rfast", std::nullopt);
  for (const auto& [fault, name] : test::kFaults) {
    const auto harmed = test::with_one_fault("rfast", fault);
    EXPECT_LT(harmed.distance(unharmed), kFloat) << name;
    EXPECT_EQ(harmed.struck, 1) << name;
  }
}

/// Adds noise to the first `rounds` gradients.
class Noisy final : public Forwarding {
 public:
  Noisy(std::unique_ptr<Solver> solver, NodeId i, int rounds)
      : Forwarding(std::move(solver)), random_(1, Purpose::test, i), rounds_(rounds) {}
  void descend(Vec x, CVec direction, double step_size) override {
    gradient_.assign(direction.begin(), direction.end());
    if (round_++ < rounds_)
      for (float& g : gradient_) g += static_cast<float>(normal_(random_));
    Forwarding::descend(x, gradient_, step_size);
  }

 private:
  Random random_;
  std::normal_distribution<double> normal_{0, 10};
  int rounds_, round_ = 0;
  std::vector<float> gradient_;
};

TEST(RFast, RunningSumsThatNoiseHasGrownStillEndAtTheOptimum) {
  constexpr int kRounds = 100'000;
  Simulation simulation(
      test::fault_spec("rfast", "lock-step", kRounds + 8000),
      [&](NodeId i, std::unique_ptr<Solver> own) { return std::make_unique<Noisy>(std::move(own), i, kRounds); });
  simulation.run(kRounds);
  EXPECT_GT(simulation.error(simulation.experiment().optimum), 1e-2) << "no noise";
  simulation.run(8000);
  EXPECT_LT(simulation.error(simulation.experiment().optimum), kFloat);
}

TEST(RelaySgd, RefusesGraphsWithCyclesAndSaysWhatToUse) {
  for (const char* topology : {"ring", "complete", "double_ring"}) {
    Spec spec = lock_step("relaysgd");
    spec.topology = topology;
    try {
      Simulation simulation(spec);
      FAIL() << topology << " was not refused";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("--topology chain"), std::string::npos) << error.what();
    }
  }
}

TEST(RelaySgd, ExactOnEveryTree) {
  for (const char* topology : {"chain", "star", "tree", "tree:3"}) {
    Spec spec = lock_step("relaysgd");
    spec.topology = topology;
    for (const char* mode : {"lock-step", "async"}) {
      spec.mode = mode;
      Simulation simulation(spec);
      simulation.run(8000);
      EXPECT_LT(simulation.error(simulation.experiment().optimum), kFloat) << topology << ", " << mode;
    }
  }
}

TEST(RelaySgd, WithLocalStepsRestsWhereFederatedAveragingDoes) {
  Spec spec = lock_step("relaysgd", 8);
  spec.topology = "chain";
  Simulation simulation(spec);
  simulation.run(16'000);
  // K local steps take w to b + (I - mu H)^K (w - b); at rest the mean of that over the nodes is w.
  const Quadratics q(spec);
  const auto identity = Eigen::MatrixXd::Identity(10, 10);
  Eigen::MatrixXd a = Eigen::MatrixXd::Zero(10, 10);
  Eigen::VectorXd b = Eigen::VectorXd::Zero(10);
  for (NodeId i = 0; i < spec.nodes; ++i) {
    Eigen::MatrixXd shrink = identity;
    for (int k = 0; k < 8; ++k) shrink *= identity - spec.learning_rate * q.hessian[i];
    a += identity - shrink;
    b += (identity - shrink) * q.minimiser[i];
  }
  const Eigen::VectorXf rest = a.partialPivLu().solve(b).cast<float>();
  EXPECT_LT(simulation.error({rest.data(), rest.data() + rest.size()}), kFloat);
  EXPECT_GT(simulation.error(simulation.experiment().optimum), 0.01);
}

TEST(RelaySgd, PartsOfABrokenTreeReachTheirOwnOptima) {
  Spec spec = lock_step("relaysgd");
  spec.topology = "chain";
  Simulation simulation(spec);
  simulation.run(1000);
  simulation.kill(3);
  simulation.run(8000);
  const Quadratics q(spec);
  for (const auto& [first, last] : {std::pair<NodeId, NodeId>{0, 2}, {4, 7}}) {
    Eigen::MatrixXd a = Eigen::MatrixXd::Zero(10, 10);
    Eigen::VectorXd b = Eigen::VectorXd::Zero(10);
    for (NodeId i = first; i <= last; ++i) a += q.hessian[i], b += q.hessian[i] * q.minimiser[i];
    const Eigen::VectorXd optimum = a.partialPivLu().solve(b);
    for (NodeId i = first; i <= last; ++i)
      EXPECT_LT(relative_distance(simulation.nodes()[i].x(), {optimum.data(), optimum.data() + 10}), kFloat) << i;
  }
}

TEST(MomentumTracking, RefusesASecondMomentum) {
  Spec spec = lock_step("momentum_tracking");
  spec.momentum = 0.9;
  EXPECT_THROW(Simulation{spec}, Error);
}

}  // namespace
}  // namespace ecl
