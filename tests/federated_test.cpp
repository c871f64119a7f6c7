// The server solvers on a star: what they equal, what they are exact for, and what faults cost them.
#include <fstream>
#include <gtest/gtest.h>

#include "support/simulated.hpp"

namespace ecl {
namespace {

using test::quadratics;
using test::Simulation;

Spec star(Spec spec, const std::string& solver, const std::string& mode = "lock-step") {
  spec.topology = "star";
  spec.solver = solver;
  spec.mode = mode;
  return spec;
}

/// Softmax regression on the digits, two classes a node: shards of unequal content and, by the split, unequal size.
Spec digits(NodeId nodes, std::uint64_t steps) {
  Spec spec = quadratics(nodes, steps);
  spec.dataset = "digits";
  spec.model = "softmax";
  spec.partition = nodes == 1 ? "iid" : "dirichlet:0.3";
  spec.learning_rate = 0.05;
  return spec;
}

double error_after(const Spec& spec) {
  Simulation simulation(spec);
  simulation.run(spec.steps);
  return simulation.error(simulation.experiment().optimum);
}

TEST(Federated, NeedsAStar) {
  for (const char* solver : {"allreduce", "fedavg", "fedprox", "scaffold", "fedasync", "fedbuff"})
    for (const char* topology : {"ring", "chain", "complete", "file:"}) {
      Spec spec = star(quadratics(4, 10), solver);
      spec.topology = topology;
      if (spec.topology == "file:") {  // a star around another node
        const std::string path = testing::TempDir() + "ecl_star_around_1.txt";
        std::ofstream(path) << "1 0\n1 2\n1 3\n";
        spec.topology += path;
      }
      try {
        Simulation simulation(spec);
        ADD_FAILURE() << solver << " accepted " << topology;
      } catch (const Error& error) {
        EXPECT_EQ(error.what(), std::string("solver ") + solver + " needs a server: use topology star");
      }
    }
}

TEST(Federated, OneClientIsSgdStepByStep) {
  for (const char* solver : {"fedavg", "scaffold", "fedbuff:buffer=1", "fedasync:a=1", "fedprox:lambda=0"}) {
    Spec spec = digits(1, 200);
    spec.batch = 20;
    Simulation server(star(spec, solver)), sgd(star(spec, "local"));
    for (int step = 1; step <= 200; ++step) {
      server.run(1), sgd.run(1);
      const CVec x = sgd.nodes()[0].x();
      ASSERT_LT(relative_distance(server.nodes()[0].x(), {x.begin(), x.end()}), 1e-5) << solver << ", step " << step;
    }
  }
}

TEST(Federated, AllReduceIsCentralSgdOnThePooledBatch) {
  Spec spec = digits(5, 1);  // full batches of unequal size: the weights must make them one
  spec.local_steps = 1;
  Spec one = digits(1, 1);
  one.momentum = spec.momentum = 0.5;
  Simulation network(star(spec, "allreduce")), central(star(one, "local"));
  for (int step = 1; step <= 100; ++step) {
    network.run(1), central.run(1);
    const CVec x = central.nodes()[0].x();
    for (NodeId i = 0; i < 5; ++i)
      ASSERT_LT(relative_distance(network.nodes()[i].x(), {x.begin(), x.end()}), 1e-5) << "step " << step;
  }
}

TEST(Federated, AllReduceTakesOneStepOfKGradients) {
  for (const double momentum : {0.0, 0.9}) {
    Spec spec = digits(1, 160);
    spec.momentum = momentum;
    Simulation network(star(spec, "allreduce")), central(star(spec, "local"));  // K = 8 equal gradients: one step
    for (int round = 1; round <= 20; ++round) {
      network.run(8), central.run(1);
      const CVec x = central.nodes()[0].x();
      ASSERT_LT(relative_distance(network.nodes()[0].x(), {x.begin(), x.end()}), 1e-5)
          << "round " << round << ", momentum " << momentum;
    }
  }
}

TEST(Federated, MovesTwoVectorsAClientAndRound) {
  for (const auto& [solver, vectors] : {std::pair{"allreduce", 1}, {"fedavg", 1}, {"scaffold", 2}}) {
    Simulation simulation(star(quadratics(8, 80), solver));
    simulation.run(80);
    std::uint64_t bytes = 0;
    for (const auto& node : simulation.nodes()) bytes += node.optimizer().port().traffic().bytes_sent;
    const std::uint64_t rounds = 10, leaves = 7, dimension = 10;
    EXPECT_EQ(bytes, rounds * 2 * leaves * vectors * dimension * sizeof(float)) << solver;
  }
}

TEST(Federated, ScaffoldIsExactWithLocalStepsAndFedAvgIsNot) {
  const Spec spec = quadratics(8, 12000);  // K = 8
  EXPECT_LT(error_after(star(spec, "scaffold")), 1e-5);
  const double drift = error_after(star(spec, "fedavg"));
  EXPECT_GT(drift, 0.05);
  const double held = error_after(star(spec, "fedprox:lambda=1"));
  EXPECT_GT(held, 1e-3);
  EXPECT_LT(held, drift);
}

TEST(Federated, ScaffoldIsExactWithUnequalShardsMomentumAndAServerStep) {
  Spec spec = quadratics(8, 24000);
  spec.dataset = "quadratic:samples=60";
  spec.partition = "quantity:0.5";
  spec.learning_rate = 0.01;
  spec.momentum = 0.5;
  spec.settings = {"eta_g=0.7"};
  EXPECT_LT(error_after(star(spec, "scaffold")), 1e-5);
}

TEST(Federated, ScaffoldForgetsLostMessages) {
  // Clients send absolute control variates: losses in the first rounds leave nothing behind. f_i = h_i (x - b_i)^2 / 2.
  constexpr int kNodes = 4, kLocal = 8;
  const float curvature[kNodes] = {1, 0.5f, 0.2f, 0.1f}, minimum[kNodes] = {1, -2, 5, 3};
  const float optimum = (1 * 1 - 0.5f * 2 + 0.2f * 5 + 0.1f * 3) / 1.8f;
  const Graph graph = make_graph(Choice::parse("star"), kNodes, 1);
  const std::vector<float> initial(1, 0.0f);
  std::vector<std::unique_ptr<Solver>> solvers;
  for (NodeId i = 0; i < kNodes; ++i)
    solvers.push_back(make_solver(Choice::parse("scaffold"), {graph, i, initial, 0.1, kLocal}));
  std::vector<std::vector<float>> x(kNodes, initial);
  std::vector<float> message(2);
  Random random(1, Purpose::test);
  for (int round = 0; round < 400; ++round) {
    const auto arrives = [&] { return round >= 30 || random.uniform() < 0.5; };
    solvers[0]->combine(x[0]);
    for (NodeId i = 1; i < kNodes; ++i) {
      solvers[0]->send(i - 1, x[0], message);
      if (round > 0 && arrives()) solvers[i]->receive(0, message);
      solvers[i]->combine(x[i]);
    }
    for (NodeId i = 0; i < kNodes; ++i) {
      for (int k = 0; k < kLocal; ++k) {
        const std::vector<float> gradient = {curvature[i] * (x[i][0] - minimum[i])};
        solvers[i]->descend(x[i], gradient, 0.1);
      }
      solvers[i]->end_round(x[i], kLocal, 0.1);
      if (i == 0) continue;
      solvers[i]->send(0, x[i], message);
      if (arrives()) solvers[0]->receive(i - 1, message);
    }
  }
  for (NodeId i = 0; i < kNodes; ++i) EXPECT_NEAR(x[i][0], optimum, 1e-5) << "node " << i;
}

double mean_accuracy(Simulation& simulation) {
  double sum = 0;
  for (const auto& node : simulation.nodes())
    sum += simulation.experiment().model->score(node.x(), simulation.experiment().data.test_of(0)).accuracy;
  return sum / simulation.experiment().nodes();
}

TEST(Federated, AsynchronousServersTrainUnderDropLatencyAndSpeedSpread) {
  Spec spec = digits(8, 2000);
  spec.partition = "classes:2";
  spec.batch = 20;
  spec.links = {.latency_s = 5, .jitter = 1, .drop = 0.2, .duplicate = 0.2, .tear = 0.2};
  Simulation alone(star(spec, "local", "async"));
  alone.run(2000);
  // In the second the server's host is four times as fast: it must go on answering when its own steps are done.
  for (const char* speed : {"2:2,5:1.5", "1:4,2:4,3:4,4:4,5:4,6:4,7:4"})
    for (const char* solver : {"fedasync", "fedbuff"}) {
      spec.node_speed = speed;
      Simulation simulation(star(spec, solver, "async"));
      simulation.run(2000);
      EXPECT_GT(mean_accuracy(simulation), mean_accuracy(alone) + 40) << solver << ", " << speed;
    }
}

}  // namespace
}  // namespace ecl
