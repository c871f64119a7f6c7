// Solvers against the recursions that their papers give, in double, round by round; and what push-sum conserves.
#include <Eigen/Core>
#include <deque>
#include <functional>
#include <gtest/gtest.h>

#include "support/dense_gossip.hpp"
#include "support/quadratics.hpp"

namespace ecl {
namespace {

using test::Averaging;
using test::quadratics;
using test::Simulation;

/// All nodes' models or gradients, a row each.
using Rows = Eigen::MatrixXd;

/// What a recursion is written in: the averaging of a round (W where it exchanges once), the gradients and the first
/// models of an experiment.
class Problem {
 public:
  explicit Problem(const Experiment& experiment)
      : quadratics_(experiment.spec), w(test::averaging_matrix(experiment.graph, experiment.spec)) {
    const auto& initial = experiment.initial;
    start.resize(experiment.nodes(), static_cast<Eigen::Index>(initial.size()));
    for (NodeId i = 0; i < experiment.nodes(); ++i)
      start.row(i) = Eigen::Map<const Eigen::VectorXf>(initial.data(), start.cols()).cast<double>();
  }

  Rows gradient(const Rows& x) const {
    Rows g(x.rows(), x.cols());
    for (NodeId i = 0; i < x.rows(); ++i) g.row(i) = quadratics_.gradient(i, x.row(i).transpose()).transpose();
    return g;
  }

 private:
  test::Quadratics quadratics_;

 public:
  Rows w;
  Rows start;
};

/// Asks that the nodes' models, where evaluations see them, are next(), next(), ... round after round.
void expect_follows(Simulation& simulation, const std::function<Rows()>& next) {
  const Spec& spec = simulation.experiment().spec;
  for (int round = 1; round <= 150; ++round) {
    simulation.run(spec.local_steps);
    const Rows x = next();
    for (NodeId i = 0; i < spec.nodes; ++i) {
      const Eigen::VectorXd row = x.row(i);
      ASSERT_LT(relative_distance(simulation.nodes()[i].x(), {row.data(), row.data() + row.size()}), 2e-5)
          << spec.solver << ", " << test::averaging_of(spec).name() << ", round " << round << ", node " << i;
    }
  }
}

Spec lock_step(const std::string& solver, const std::string& topology, int local_steps = 1) {
  Spec spec = quadratics(8, 1'000'000);
  spec.solver = solver;
  spec.topology = topology;
  spec.mode = "lock-step";
  spec.local_steps = local_steps;
  return spec;
}

const std::vector<Averaging> kAveragings = {{}, {2}, {3}, {2, "fast"}, {5, "fast"}, {3, "chebyshev"}, {4, "chebyshev"}};

/// What stands for W~ = (I + W) / 2 in led, of a problem that exchanges once: a power of it, where that is what several
/// exchanges are, or half of what they make of W.
Rows lazy(const Experiment& experiment) {
  const auto identity = Rows::Identity(experiment.nodes(), experiment.nodes());
  const Averaging averaging = test::averaging_of(experiment.spec);
  if (averaging.gossip == "plain")
    return test::averaged((identity + test::metropolis_matrix(experiment.graph)) / 2, averaging);
  return (identity + test::averaging_matrix(experiment.graph, experiment.spec)) / 2;
}

TEST(Equivalence, ARoundOfDpsgdIsOneOfItsAveraging) {
  for (const Averaging& averaging : kAveragings)
    for (const char* topology : {"ring", "star", "torus:2", "tree"}) {
      const Spec spec = test::with(lock_step("dpsgd", topology), averaging);
      Simulation simulation(spec);
      const Problem problem(simulation.experiment());
      Rows x = problem.start;
      expect_follows(simulation, [&] { return x = problem.w * (x - spec.learning_rate * problem.gradient(x)); });
    }
}

TEST(Gossip, RefusesUnknownKindsAndGraphsTooLargeForTheirEigenvalues) {
  const std::vector<float> initial(1);
  const auto make = [&](NodeId nodes, const char* solver, int exchanges) {
    const Graph graph = make_graph(Choice::parse("ring"), nodes, 1);
    SolverSetup setup{graph, 0, initial, 0.1, 1};
    setup.exchanges = exchanges;
    return make_solver(Choice::parse(solver), setup);
  };
  EXPECT_THROW(make(8, "dpsgd:gossip=slow", 2), Error);
  EXPECT_THROW(make(Graph::kLargestDense + 1, "dpsgd:gossip=fast", 2), Error);
  EXPECT_NO_THROW(make(Graph::kLargestDense + 1, "dpsgd:gossip=fast", 1));  // W
  EXPECT_NO_THROW(make(Graph::kLargestDense + 1, "dpsgd", 2));
}

// x+ = 2 V x - V x_last - eta (g - g_last) with V and eta of the penalty: EXTRA with other weights.
TEST(Equivalence, EclWithThetaOneHalfFollowsExtrasRecursionOnRegularGraphs) {
  for (const char* topology : {"ring", "double_ring", "hypercube", "complete"}) {
    Spec spec = lock_step("ecl_isvr", topology);
    spec.settings = {"theta=0.5"};
    Simulation simulation(spec);
    const Problem problem(simulation.experiment());
    const double mu = spec.learning_rate, d = simulation.experiment().graph.degree(0);
    const double pull = 1;  // mu alpha d of the ISVR rule for K = 1, which counts as 2
    const Rows identity = Rows::Identity(spec.nodes, spec.nodes);
    const Rows adjacency = (1 + d) * problem.w - identity;  // Metropolis weights of a regular graph are 1 / (1 + d)
    const Rows v = ((1 + pull / 2) * identity + pull / (2 * d) * adjacency) / (1 + pull);
    const double eta = mu / (1 + pull);
    Rows last = problem.start, x;
    expect_follows(simulation, [&] {
      if (x.size() == 0) return x = last - eta * problem.gradient(last);
      const Rows next = 2 * v * x - v * last - eta * (problem.gradient(x) - problem.gradient(last));
      last = x;
      return x = next;
    });
  }
}

TEST(Equivalence, ExtraFollowsItsPaper) {
  for (const Averaging& averaging : kAveragings)
    for (const char* topology : {"ring", "star", "torus:2", "tree"}) {
      const Spec spec = test::with(lock_step("extra", topology), averaging);
      Simulation simulation(spec);
      const Problem problem(simulation.experiment());
      const Rows &w = problem.w, half = (Rows::Identity(spec.nodes, spec.nodes) + w) / 2;
      const double mu = spec.learning_rate;
      Rows last = problem.start, x;
      expect_follows(simulation, [&] {
        if (x.size() == 0) return x = w * last - mu * problem.gradient(last);
        const Rows next = x + w * x - half * last - mu * (problem.gradient(x) - problem.gradient(last));
        last = x;
        return x = next;
      });
    }
}

TEST(Equivalence, D2FollowsItsPaper) {
  for (const Averaging& averaging : kAveragings)
    for (const char* topology : {"ring", "star", "chain", "complete", "hypercube"}) {
      const Spec spec = test::with(lock_step("d2", topology), averaging);
      Simulation simulation(spec);
      const Problem problem(simulation.experiment());
      const double smallest = Eigen::SelfAdjointEigenSolver<Rows>(problem.w).eigenvalues()[0];
      if (smallest < -0.334) continue;  // it diverges
      const double mu = spec.learning_rate;
      Rows last = problem.start, x;
      expect_follows(simulation, [&] {
        if (x.size() == 0) return x = problem.w * (last - mu * problem.gradient(last));
        const Rows change = problem.gradient(x) - problem.gradient(last);
        const Rows next = problem.w * (2 * x - last - mu * change);
        last = x;
        return x = next;
      });
    }
}

TEST(Equivalence, LedWithOneLocalStepIsExactDiffusion) {
  for (const Averaging& averaging : kAveragings)
    for (const char* topology : {"ring", "star", "torus:2", "hypercube"}) {
      const Spec spec = test::with(lock_step("led", topology), averaging);
      Simulation simulation(spec);
      const Problem problem(simulation.experiment());
      const Rows half = lazy(simulation.experiment());
      Rows x = problem.start, psi = x;
      expect_follows(simulation, [&] {
        const Rows next = x - spec.learning_rate * problem.gradient(x);
        x = half * (next - psi + x);
        psi = next;
        return x;
      });
    }
}

TEST(Equivalence, LedFollowsItsPaper) {
  constexpr int kLocalSteps = 4;
  for (const Averaging& averaging : kAveragings) {
    const Spec spec = test::with(lock_step("led", "tree", kLocalSteps), averaging);
    Simulation simulation(spec);
    const Problem problem(simulation.experiment());
    const Rows half = lazy(simulation.experiment());
    Rows x = problem.start, y = 0 * x;
    expect_follows(simulation, [&] {
      Rows phi = x;
      for (int k = 0; k < kLocalSteps; ++k) phi -= spec.learning_rate * problem.gradient(phi) + y / kLocalSteps;
      x = half * phi;
      y += phi - x;
      return x;
    });
  }
}

TEST(Equivalence, LtAdmmFollowsItsPaper) {
  constexpr int kLocalSteps = 4;
  const Spec spec = lock_step("lt_admm", "ring", kLocalSteps);
  Simulation simulation(spec);
  const Problem problem(simulation.experiment());
  const double mu = spec.learning_rate, rho = 0.5 / (mu * kLocalSteps * 2);
  const Rows neighbours = 3 * problem.w - Rows::Identity(spec.nodes, spec.nodes);
  // z(i, j) for j next to i; on a ring two matrices of rows: from the node before, from the node after.
  const auto shifted = [&](const Rows& m, int by) {
    Rows result(m.rows(), m.cols());
    for (int i = 0; i < m.rows(); ++i) result.row(i) = m.row((i + by + m.rows()) % m.rows());
    return result;
  };
  Rows x = problem.start, before = rho * x, after = rho * x;
  expect_follows(simulation, [&] {
    const Rows pull = 2 * rho * x - before - after;
    for (int k = 0; k < kLocalSteps; ++k) x -= mu * (problem.gradient(x) + pull);
    const Rows new_before = before / 2 - (shifted(after, -1) - 2 * rho * shifted(x, -1)) / 2;
    after = after / 2 - (shifted(before, 1) - 2 * rho * shifted(x, 1)) / 2;
    before = new_before;
    return x;
  });
}

TEST(Equivalence, QgDsgdmFollowsItsPaper) {
  for (const Averaging& averaging : kAveragings) {
    const Spec spec = test::with(lock_step("qg_dsgdm", "star"), averaging);
    Simulation simulation(spec);
    const Problem problem(simulation.experiment());
    const double mu = spec.learning_rate, beta = 0.9;
    Rows x = problem.start, momentum = 0 * x;
    expect_follows(simulation, [&] {
      const Rows next = problem.w * (x - mu * (beta * momentum + problem.gradient(x)));
      momentum = beta * momentum + (1 - beta) * (x - next) / mu;
      return x = next;
    });
  }
}

// Lock step, an irregular graph: weights differ from node to node, and every gradient counts alike once they stand.
TEST(Equivalence, SgpFollowsItsPaperOnceTheWeightsStand) {
  for (const int exchanges : {1, 3}) {
    const Spec spec = test::with(lock_step("sgp", "tree"), {exchanges});
    Simulation simulation(spec);
    const Graph& graph = simulation.experiment().graph;
    const Problem problem(simulation.experiment());
    Rows once = Rows::Zero(spec.nodes, spec.nodes);
    for (NodeId i = 0; i < spec.nodes; ++i) {
      once(i, i) = 1.0 / (1 + graph.degree(i));
      for (const HalfEdge& edge : graph.edges(i)) once(edge.peer, i) = once(i, i);
    }
    Rows push = once;
    for (int r = 1; r < exchanges; ++r) push = (once * push).eval();
    simulation.run(400);
    Eigen::VectorXd weight = Eigen::VectorXd::Ones(spec.nodes);
    for (int round = 0; round < 400; ++round) weight = push * weight;
    Rows x = problem.start;
    for (NodeId i = 0; i < spec.nodes; ++i) {
      const CVec model = simulation.nodes()[i].x();
      for (std::size_t d = 0; d < model.size(); ++d) x(i, static_cast<Eigen::Index>(d)) = model[d];
    }
    expect_follows(simulation, [&] {
      const Rows mass = weight.asDiagonal() * x - spec.learning_rate * problem.gradient(x);
      weight = push * weight;
      return x = weight.cwiseInverse().asDiagonal() * (push * mass);
    });
  }
}

class Exact : public testing::TestWithParam<const char*> {};

// What a node keeps for an edge goes with the edge: nothing is left that the survivors' optimum does not know.
TEST_P(Exact, SurvivorsOfADeathReachTheirOwnOptimum) {
  const Spec spec = lock_step(GetParam(), "double_ring", 2);
  Simulation simulation(spec);
  simulation.run(500);
  simulation.kill(3);
  simulation.run(8000);
  EXPECT_LT(simulation.error(simulation.optimum_of_the_living()), 1e-5);
  EXPECT_GT(simulation.error(simulation.experiment().optimum), 1e-3);
}

TEST_P(Exact, ThroughLearningRateDecay) {
  Spec spec = lock_step(GetParam(), "ring");
  spec.steps = 8000;
  spec.schedule = "step:0.5,0.1";
  Simulation simulation(spec);
  simulation.run(4001);  // a step after the decay: a correction in units of the model would now be ten times too large
  EXPECT_LT(simulation.error(simulation.experiment().optimum), 1e-5);
  simulation.run(3999);
  EXPECT_LT(simulation.error(simulation.experiment().optimum), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Solvers, Exact, testing::Values("lt_admm", "d2", "extra", "led"),
                         [](const auto& solver) { return std::string(solver.param); });

TEST(LtAdmm, ExactUnderDropTearDuplicateLatencyAndSpeedSpread) {
  for (const int local_steps : {1, 8}) {
    Spec spec = quadratics(8, 12'000);
    spec.solver = "lt_admm";
    spec.topology = "tree";
    spec.local_steps = local_steps;
    spec.links = {.latency_s = 5, .jitter = 1, .drop = 0.2, .duplicate = 0.2, .tear = 0.2};
    spec.node_speed = "2:2,3:4,5:3,7:2";
    Simulation simulation(spec);
    simulation.run(spec.steps);
    EXPECT_LT(simulation.error(simulation.experiment().optimum), 1e-5) << local_steps;
  }
}

TEST(QgDsgdm, TakesNoSecondMomentum) {
  Spec spec = lock_step("qg_dsgdm", "ring");
  spec.momentum = 0.9;
  EXPECT_THROW(Simulation{spec}, Error);
}

/// Push-sum solvers on a network that a test holds in its hands: messages wait in queues, are lost and come twice.
class PushSum {
 public:
  PushSum(const std::string& topology, NodeId n) : graph_(make_graph(Choice::parse(topology), n, 1)) {
    for (NodeId i = 0; i < n; ++i) {
      Params params("solver sgp", "");
      nodes_.push_back(solvers().find("sgp").make({graph_, i, initial_, 0.1, 1}, params));
      models_.emplace_back(kDim);
      for (std::size_t d = 0; d < kDim; ++d) models_[i][d] = static_cast<float>(std::sin(1.0 + 7 * i + 3.0 * d));
      std::vector<double> own(models_[i].begin(), models_[i].end());
      own.push_back(1);
      held_.push_back(own);
      pushed_.emplace_back(kDim + 1, 0.0);
      for (int e = 0; e < graph_.degree(i); ++e) mail_.emplace_back();
      first_.push_back(mail_.size() - graph_.degree(i));
    }
  }

  /// A round of node i, without a gradient: some of its mail is lost, some comes late, some twice.
  void round(NodeId i, Random& random) {
    Solver& node = *nodes_[i];
    const auto edges = graph_.edges(i);
    for (std::size_t e = 0; e < edges.size(); ++e) {
      if (!edges[e].receives) continue;
      Mail& mail = mail_[first_[i] + e];
      Floats newest;
      while (!mail.waiting.empty() && random.uniform() < 0.7) {
        if (random.uniform() < 0.8) newest = mail.waiting.front();  // else lost
        mail.waiting.pop_front();
      }
      if (newest.empty()) continue;
      const std::vector<double> sums = totals(newest);
      for (std::size_t d = 0; d <= kDim; ++d) held_[i][d] += sums[d] - mail.seen[d];
      mail.seen = sums;
      node.receive(static_cast<int>(e), newest);
      if (random.uniform() < 0.2) node.receive(static_cast<int>(e), newest);
    }
    node.combine(models_[i]);
    node.descend(models_[i], Floats(kDim, 0.0f), 0.1);
    node.end_round(models_[i], 1, 0.1);
    Floats message(node.message_size());
    for (std::size_t e = 0; e < edges.size(); ++e) {
      if (!edges[e].sends) continue;
      node.send(static_cast<int>(e), models_[i], message);
      Mail& mail = mail_[first_[edges[e].peer] + edges[e].twin];
      mail.waiting.push_back(message);
      mail.posted = totals(message);
    }
    const std::vector<double> now = totals(message);  // every out-edge gets the same share, and so does the node
    if (now.back() > pushed_[i].back())
      for (std::size_t d = 0; d <= kDim; ++d) held_[i][d] = now[d] - pushed_[i][d];
    pushed_[i] = now;
  }

  /// Numerators, then the weight: what the nodes hold and what is under way.
  std::vector<double> total_mass() const {
    std::vector<double> total(kDim + 1, 0.0);
    for (std::size_t d = 0; d <= kDim; ++d) {
      for (const auto& held : held_) total[d] += held[d];
      for (const Mail& mail : mail_) total[d] += mail.posted[d] - mail.seen[d];
    }
    return total;
  }

  const std::vector<Floats>& models() const { return models_; }

  static constexpr std::size_t kDim = 5;

 private:
  struct Mail {
    std::deque<Floats> waiting;
    std::vector<double> posted = std::vector<double>(kDim + 1, 0.0), seen = posted;  ///< the running sums
  };

  static std::vector<double> totals(const Floats& message) {
    std::vector<double> sums(kDim + 1);
    for (std::size_t d = 0; d <= kDim; ++d) sums[d] = static_cast<double>(message[d]) + message[kDim + 1 + d];
    return sums;
  }

  Graph graph_;
  Floats initial_ = Floats(kDim, 0.0f);
  std::vector<std::unique_ptr<Solver>> nodes_;
  std::vector<Floats> models_;
  std::vector<std::vector<double>> held_, pushed_;
  std::vector<Mail> mail_;          ///< per node and edge, what comes in
  std::vector<std::size_t> first_;  ///< of a node's mail
};

TEST(PushSum, ConservesMassAndAgreesOnTheMeanUnderLossRepetitionAndDelay) {
  for (const char* topology : {"directed_ring", "directed_exponential", "star"}) {
    PushSum network(topology, 8);
    const std::vector<double> before = network.total_mass();
    Random random(1, Purpose::test);
    double numerators = 0, weights = 0;
    for (int round = 0; round < 20'000; ++round) {
      for (NodeId turn = 0; turn < 8; ++turn) network.round(static_cast<NodeId>(8 * random.uniform()), random);
      const std::vector<double> now = network.total_mass();
      for (std::size_t d = 0; d < PushSum::kDim; ++d) numerators = std::max(numerators, std::abs(now[d] - before[d]));
      weights = std::max(weights, std::abs(now.back() - 8));
    }
    EXPECT_LT(numerators, 1e-6) << topology;  // the models are floats
    EXPECT_LT(weights, 1e-9) << topology;
    for (const Floats& model : network.models())
      for (std::size_t d = 0; d < PushSum::kDim; ++d) EXPECT_NEAR(model[d], before[d] / 8, 1e-6) << topology;
  }
}

/// The models after a run whose step size falls to 0: how much of its mass a node holds no longer matters then.
std::vector<double> mean_model_after(const LinkModel& links, double* consensus_error) {
  Spec spec = quadratics(8, 30'000);
  spec.solver = "sgp";
  spec.topology = "directed_exponential";
  spec.local_steps = 1;
  spec.schedule = "cosine";
  spec.links = links;
  Simulation simulation(spec);
  for (int slice = 0; slice < 100; ++slice) simulation.run(spec.steps / 100);  // their step sizes fall together
  const auto& nodes = simulation.nodes();
  std::vector<double> mean(nodes[0].x().size(), 0.0);
  for (const auto& node : nodes)
    for (std::size_t d = 0; d < mean.size(); ++d) mean[d] += static_cast<double>(node.x()[d]) / spec.nodes;
  *consensus_error = 0;
  for (const auto& node : nodes) *consensus_error = std::max(*consensus_error, relative_distance(node.x(), mean));
  const std::vector<double> optimum(simulation.experiment().optimum.begin(), simulation.experiment().optimum.end());
  const Floats floats(mean.begin(), mean.end());
  EXPECT_LT(relative_distance(floats, optimum), 0.03);
  return mean;
}

TEST(PushSum, FaultsDoNotMoveTheResultOnADirectedGraph) {
  double clean_spread, faulty_spread;
  const auto clean = mean_model_after({}, &clean_spread);
  const auto faulty =
      mean_model_after({.latency_s = 3, .jitter = 1, .drop = 0.2, .duplicate = 0.2, .tear = 0.1}, &faulty_spread);
  EXPECT_LT(relative_distance(Floats(faulty.begin(), faulty.end()), clean), 0.03);
  EXPECT_LT(clean_spread, 0.01);
  EXPECT_LT(faulty_spread, 0.01);
}

TEST(PushSum, RefusesLockStepOnOneWayEdges) {
  Spec spec = lock_step("sgp", "directed_ring");
  EXPECT_THROW(Simulation{spec}, Error);
  const Graph graph = make_graph(Choice::parse(spec.topology), 3, 1);
  const Floats initial(4);
  auto solver = make_solver(Choice::parse("sgp"), {graph, 0, initial, 0.1, 1});
  SimNetwork network(graph, solver->message_size(), {}, Mode::lock_step);
  EXPECT_THROW(Optimizer<SimPort>(SimPort(network, 0), std::move(solver), graph, 0, {}, Mode::lock_step), Error);
}

}  // namespace
}  // namespace ecl
