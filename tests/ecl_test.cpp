// The solvers `ecl` and `ecl_isvr`: exact whatever happens to the messages; `ecl_isvr` equal to the textbook form.
#include <Eigen/Core>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>
#include <tuple>

#include "solvers/compression.hpp"
#include "support/quadratics.hpp"

namespace ecl {
namespace {

using test::quadratics;
using test::Simulation;

constexpr double kFloat = 1e-5;  // what float storage leaves on these problems (condition 10)

/// A graph whose nodes 0 .. 7 have degrees 5, 3, 3, 2, 1, 2, 2, 2, as a topology; its file lives as long as the
/// program.
std::string irregular_graph() {
  static const struct File {
    std::string path = testing::TempDir() + "ecl_irregular_" + std::to_string(getpid()) + ".txt";
    File() { std::ofstream(path) << "0 1\n0 2\n0 3\n0 4\n0 5\n5 6\n6 7\n7 1\n2 3\n1 2\n"; }
    ~File() { std::remove(path.c_str()); }
  } file;
  return "file:" + file.path;
}

double error_after(const Spec& spec) {
  Simulation simulation(spec);
  simulation.run(spec.steps);
  return simulation.error(simulation.experiment().optimum);
}

Spec with(Spec spec, std::vector<std::string> settings) {
  spec.settings = std::move(settings);
  return spec;
}

class EclExact : public testing::TestWithParam<std::tuple<int, const char*, const char*>> {};

TEST_P(EclExact, OnHeterogeneousQuadratics) {
  Spec spec = quadratics(8, 24000);
  spec.local_steps = std::get<0>(GetParam());
  spec.solver = std::get<2>(GetParam());
  EXPECT_LT(error_after(with(spec, {std::get<1>(GetParam())})), kFloat);
}

TEST_P(EclExact, UnderDropTearDuplicateLatencyAndSpeedSpread) {
  Spec spec = quadratics(8, 24000);
  spec.local_steps = std::get<0>(GetParam());
  spec.solver = std::get<2>(GetParam());
  spec.links = {.latency_s = 5, .jitter = 1, .drop = 0.2, .duplicate = 0.2, .tear = 0.2};
  spec.node_speed = "2:2,3:4,5:3,7:2";
  Simulation simulation(with(spec, {std::get<1>(GetParam())}));
  simulation.run(spec.steps);
  EXPECT_LT(simulation.error(simulation.experiment().optimum), kFloat);
  Traffic all;
  for (const auto& node : simulation.nodes()) {
    const Traffic& traffic = node.optimizer().port().traffic();
    all.messages_sent += traffic.messages_sent;
    all.messages_taken += traffic.messages_taken;
    all.messages_torn += traffic.messages_torn;
  }
  EXPECT_GT(all.messages_torn, all.messages_sent / 10) << "the faults were not injected";
  EXPECT_LT(all.messages_taken, all.messages_sent * 8 / 10);
}

INSTANTIATE_TEST_SUITE_P(KTheta, EclExact,
                         testing::Combine(testing::Values(1, 2, 4, 8, 16), testing::Values("theta=1", "theta=0.5"),
                                          testing::Values("ecl", "ecl_isvr")));

/// R exchanges a round: the same fixed point, in either mode, whatever happens to the messages.
class EclExchanges : public testing::TestWithParam<std::tuple<int, int>> {
 protected:
  /// R and K.
  static void set_rounds(Spec& spec, std::tuple<int, int> rounds) {
    spec.exchanges = std::to_string(std::get<0>(rounds));
    spec.local_steps = std::get<1>(rounds);
  }
};

TEST_P(EclExchanges, AreExactInLockStep) {
  Spec spec = quadratics(8, 16000);
  set_rounds(spec, GetParam());
  spec.mode = "lock-step";
  EXPECT_LT(error_after(spec), kFloat);
}

/// Whether they come between two gradients or while one is computed, and gradients at the centre or ahead of it.
TEST_P(EclExchanges, AreExactUnderDropTearDuplicateLatencyAndSpeedSpread) {
  for (const bool overlap : {false, true})
    for (const char* look_ahead : {"look_ahead=0", "look_ahead=1"}) {
      Spec spec = quadratics(8, 24000);
      set_rounds(spec, GetParam());
      spec.overlap = overlap && std::get<0>(GetParam()) > 1;
      spec.links = {.latency_s = 5, .jitter = 1, .drop = 0.2, .duplicate = 0.2, .tear = 0.2};
      spec.node_speed = "2:2,3:4,5:3,7:2";
      EXPECT_LT(error_after(with(spec, {look_ahead})), kFloat) << look_ahead << (overlap ? ", overlap" : "");
    }
}

INSTANTIATE_TEST_SUITE_P(RK, EclExchanges, testing::Combine(testing::Values(1, 2, 4, 8), testing::Values(1, 4)));

/// Each node goes through 2 .. 8 in another order: the ends of an edge do not agree.
TEST(Exchanges, OfAnyNumberARoundAreExact) {
  for (const int local_steps : {1, 4})
    for (const bool faults : {false, true}) {
      Spec spec = quadratics(8, 24000);
      spec.local_steps = local_steps;
      if (faults) {
        spec.links = {.latency_s = 5, .jitter = 1, .drop = 0.2, .duplicate = 0.2, .tear = 0.2};
        spec.node_speed = "2:2,3:4,5:3,7:2";
      }
      Simulation simulation(spec);
      simulation.choose_exchanges(
          [](NodeId i, std::uint64_t step) { return 2 + static_cast<int>(step * (i + 1) % 7); });
      simulation.run(spec.steps);
      EXPECT_LT(simulation.error(simulation.experiment().optimum), kFloat) << local_steps << (faults ? ", faults" : "");
    }
}

TEST(Exchanges, OfGossipAreAPowerOfItsMatrix) {
  Spec spec = quadratics(6, 20);
  spec.mode = "lock-step", spec.solver = "dpsgd", spec.local_steps = 1;
  Spec twice = spec;
  twice.exchanges = "3";
  Simulation once(spec), thrice(twice);
  for (int step = 0; step < 10; ++step) {
    once.run(1), once.settle(2);
    thrice.run(1);
    for (NodeId i = 0; i < spec.nodes; ++i)
      for (std::size_t d = 0; d < once.nodes()[i].x().size(); ++d)
        ASSERT_EQ(once.nodes()[i].x()[d], thrice.nodes()[i].x()[d]) << "step " << step;
  }
}

TEST(Exchanges, AreRefusedWhereTheyMeanNothing) {
  Spec spec = quadratics(4, 1);
  spec.solver = "ecl_isvr", spec.exchanges = "2";
  EXPECT_THROW(Simulation{spec}, Error);
}

class EclCompressed : public testing::TestWithParam<const char*> {};

TEST_P(EclCompressed, RandomCoordinatesAreExactUnderFaults) {
  Spec spec = quadratics(8, 60000);
  spec.dataset = "quadratic:dimension=40";
  spec.local_steps = 4;
  spec.solver = GetParam();
  spec.links = {.latency_s = 5, .jitter = 1, .drop = 0.2, .duplicate = 0.2, .tear = 0.2};
  spec.node_speed = "2:2,3:4,5:3,7:2";
  spec.settings = {"compress=rand_k:0.25"};
  Simulation simulation(spec);
  EXPECT_EQ(simulation.experiment().make_solver(0)->message_size(), 40 / 4 + 1u);
  simulation.run(spec.steps);
  EXPECT_LT(simulation.error(simulation.experiment().optimum), kFloat);
}

TEST_P(EclCompressed, HalfPrecisionCostsThreeDigitsAndHalfTheBytes) {
  for (const char* dimension : {"40", "41"}) {
    Spec spec = quadratics(8, 20000);
    spec.dataset = std::string("quadratic:dimension=") + dimension;
    spec.solver = GetParam();
    spec.settings = {"compress=bf16"};
    Simulation simulation(spec);
    EXPECT_EQ(simulation.experiment().make_solver(0)->message_size(), dimension == std::string("40") ? 20u : 21u);
    simulation.run(spec.steps);
    EXPECT_LT(simulation.error(simulation.experiment().optimum), 3e-2);
    EXPECT_GT(simulation.error(simulation.experiment().optimum), kFloat) << "no rounding took place";
  }
}

INSTANTIATE_TEST_SUITE_P(Solvers, EclCompressed, testing::Values("ecl", "ecl_isvr"));

TEST(Ecl, RefusesAnUnknownCompression) {
  Spec spec = quadratics(4, 1);
  for (const char* compress : {"compress=top_k:0.1", "compress=rand_k:0", "compress=rand_k:2", "compress=bf16:3"})
    EXPECT_THROW(Simulation(with(spec, {compress})), Error) << compress;
}

TEST(Compression, SendsTheShareItWasToldAndCountsOnPastWhatAFloatCounts) {
  const Graph graph = make_graph(Choice::parse("ring"), 3, 1);
  std::vector<float> sent(100), received(100);
  std::iota(sent.begin(), sent.end(), 1.0f);
  const Compression writer({graph, 0, sent, 0.1, 1}, "rand_k:0.7"), reader({graph, 1, sent, 0.1, 1}, "rand_k:0.7");
  ASSERT_EQ(writer.message_size(), 71u);
  std::vector<float> message(71);
  for (const std::uint64_t number : {std::uint64_t{1}, (std::uint64_t{1} << 24) + 1, std::uint64_t{5} << 24}) {
    std::fill(received.begin(), received.end(), 0.0f);
    writer.encode(1, number, message, [&](std::size_t d) -> float& { return sent[d]; });
    reader.decode(0, message, received);
    int arrived = 0;
    for (std::size_t d = 0; d < sent.size(); ++d) {
      arrived += received[d] != 0;
      EXPECT_TRUE(received[d] == 0 || received[d] == sent[d]) << "number " << number << ", coordinate " << d;
    }
    EXPECT_EQ(arrived, 70);
  }
}

TEST(Compression, HalvesThatAreNoNumbersLeaveWhatWasThere) {
  const Graph graph = make_graph(Choice::parse("ring"), 3, 1);
  std::vector<float> sent = {1, std::numeric_limits<float>::infinity(), std::nanf(""), 4}, received = {9, 9, 9, 9};
  const Compression writer({graph, 0, sent, 0.1, 1}, "bf16"), reader({graph, 1, sent, 0.1, 1}, "bf16");
  std::vector<float> message(2);
  writer.encode(1, 1, message, [&](std::size_t d) -> float& { return sent[d]; });
  reader.decode(0, message, received);
  EXPECT_EQ(received, (std::vector<float>{1, 9, 9, 4}));
}

TEST(Bfloat16, RoundsToNearestEven) {
  EXPECT_EQ(to_bfloat16(1.0f), 1.0f);
  EXPECT_EQ(to_bfloat16(1.0f + 0x1p-9f), 1.0f) << "halfway between 1 and 1 + 2^-7, rounded down from below the middle";
  EXPECT_EQ(to_bfloat16(1.0f + 0x1p-8f), 1.0f) << "a tie goes to the even mantissa";
  EXPECT_EQ(to_bfloat16(1.0f + 3 * 0x1p-8f), 1.0f + 0x1p-6f) << "... which here is above";
  EXPECT_EQ(to_bfloat16(-1.0f - 0x1p-8f - 0x1p-20f), -1.0f - 0x1p-7f);
  EXPECT_EQ(to_bfloat16(0.0f), 0.0f);
}

TEST(Ecl, ExactOnEveryKindOfGraph) {
  for (const char* topology : {"ring", "chain", "star", "complete", "double_ring", "torus:2", "hypercube", "tree",
                               "exponential", "random_regular:3"}) {
    Spec spec = quadratics(8, 20000);
    spec.topology = topology;
    EXPECT_LT(error_after(spec), kFloat) << topology;
  }
  Spec spec = quadratics(8, 20000);
  spec.topology = irregular_graph();
  EXPECT_LT(error_after(spec), kFloat);
}

TEST(Ecl, ExactWithMomentum) {
  Spec spec = quadratics(8, 20000);
  spec.solver = "ecl_isvr";
  spec.learning_rate = 0.01;
  spec.momentum = 0.9;
  EXPECT_LT(error_after(spec), kFloat);
  EXPECT_LT(error_after(with(spec, {"theta=0.5"})), kFloat);
}

TEST(Ecl, ExactLookingAhead) {
  for (const int local_steps : {1, 8})
    for (const char* theta : {"theta=1", "theta=0.5"}) {
      Spec spec = quadratics(8, 20000);
      spec.local_steps = local_steps;
      EXPECT_LT(error_after(with(spec, {"look_ahead=1", "beta=0.9", theta})), kFloat) << local_steps << ", " << theta;
    }
}

TEST(Ecl, LookingAheadAllowsLongSteps) {
  // One exchange a round, all curvatures 1. With gradients at w_i, half a step behind the centre, it oscillates from mu
  // = 1 on, whatever beta is; with those at the next centre, beta = 0.9 and a ring of 8, from mu = 2.7 on.
  Spec spec = quadratics(8, 1000);
  spec.dataset = "quadratic:condition=1";
  spec.mode = "lock-step";
  spec.local_steps = 1, spec.exchanges = "1";
  spec.learning_rate = 1.5;
  EXPECT_GT(error_after(with(spec, {"beta=0.9"})), 10);
  EXPECT_LT(error_after(with(spec, {"beta=0.9", "look_ahead=1"})), kFloat);
  spec.learning_rate = 3;
  EXPECT_GT(error_after(with(spec, {"beta=0.9", "look_ahead=1"})), 10);
  // With four a round gradients are at the centre, and the nodes bear what one node would, whose steps are half as
  // long: below 19 with beta 0.9.
  spec.exchanges = "4";
  spec.learning_rate = 10;
  // A step of ten times the curvature magnifies the rounding: 1.02e-5 on processors without AVX-512.
  EXPECT_LT(error_after(with(spec, {"beta=0.9"})), 2 * kFloat);
}

TEST(Ecl, ExactThroughLearningRateDecay) {
  Spec spec = quadratics(8, 20000);
  spec.schedule = "step:0.5,0.1";
  Simulation simulation(spec);
  simulation.run(10001);  // one step after the decay: had alpha moved with the rate, the error would jump to 0.5
  EXPECT_LT(simulation.error(simulation.experiment().optimum), 1e-5);
  simulation.run(9999);
  EXPECT_LT(simulation.error(simulation.experiment().optimum), kFloat);
}

TEST(Ecl, WeighsShardsBySizeSoThatTheOptimumIsTheCentralOne) {
  Spec spec = quadratics(8, 20000);
  spec.dataset = "quadratic:samples=60";
  spec.partition = "quantity:0.5";
  EXPECT_LT(error_after(spec), kFloat);
}

TEST(Ecl, SurvivorsOfADeathReachTheirOwnOptimum) {
  const Spec spec = quadratics(8, 20000);
  Simulation simulation(spec);
  simulation.run(2000);
  simulation.kill(3);
  simulation.run(18000);
  EXPECT_LT(simulation.error(simulation.optimum_of_the_living()), kFloat);
  EXPECT_GT(simulation.error(simulation.experiment().optimum), 1e-3);
}

TEST(Ecl, StartsWithoutAPull) {
  // Nobody has a gradient: neither the first duals nor the first messages may move a model that is not at 0.
  const Graph graph = make_graph(Choice::parse("ring"), 4, 1);
  const std::vector<float> initial = {1, -2, 3};
  const Floats no_gradient(3, 0.0f);
  for (const char* choice : {"ecl:theta=1", "ecl:theta=0.5", "ecl_isvr:theta=1", "ecl_isvr:theta=0.5"}) {
    const auto solver = make_solver(Choice::parse(choice), {graph, 0, initial, 0.1, 8});
    std::vector<float> x = initial, message(3);
    for (int round = 0; round < 3; ++round) {
      for (int k = 0; k < 8; ++k) solver->descend(x, no_gradient, 0.1);
      solver->end_round(x, 8, 0.1);
      for (std::size_t d = 0; d < x.size(); ++d) EXPECT_NEAR(x[d], initial[d], 1e-5) << choice << ", round " << round;
      for (int e = 0; e < 2; ++e) {
        solver->send(e, x, message);  // its neighbours are in the same state: they send the same
        solver->receive(e, message);
      }
    }
  }
}

/// ECL in the form of the papers: a sign matrix A_{i|j} = +-1 and duals z, synchronous, in double, full gradients.
class Textbook {
 public:
  using Alpha = std::function<double(NodeId i, NodeId j)>;

  Textbook(const Experiment& experiment, Alpha alpha, double theta)
      : experiment_(experiment), q_(experiment.spec), alpha_(std::move(alpha)), theta_(theta) {
    const Spec& spec = experiment.spec;
    const Eigen::VectorXd zero = Eigen::VectorXd::Zero(q_.minimiser[0].size());
    for (NodeId i = 0; i < spec.nodes; ++i) {
      w_.push_back(zero);
      z_.emplace_back(experiment.graph.degree(i), zero);
    }
  }

  void round() {
    const Graph& graph = experiment_.graph;
    const double mu = experiment_.spec.learning_rate;
    for (NodeId i = 0; i < graph.size(); ++i) {
      for (int k = 0; k < experiment_.spec.local_steps; ++k) {
        Eigen::VectorXd numerator = w_[i] - mu * q_.gradient(i, w_[i]);
        double denominator = 1;
        for (int e = 0; e < graph.degree(i); ++e) {
          const NodeId j = graph.edges(i)[e].peer;
          numerator += mu * sign(i, j) * z_[i][e];
          denominator += mu * alpha_(i, j);
        }
        w_[i] = numerator / denominator;
      }
    }
    auto next = z_;
    for (NodeId i = 0; i < graph.size(); ++i)
      for (int e = 0; e < graph.degree(i); ++e) {
        const auto& [j, twin, sends, receives] = graph.edges(i)[e];
        const Eigen::VectorXd y = z_[j][twin] - 2 * alpha_(j, i) * sign(j, i) * w_[j];
        next[i][e] = (1 - theta_) * z_[i][e] + theta_ * y;
      }
    z_ = next;
  }

  const Eigen::VectorXd& model(NodeId i) const { return w_[i]; }

  double error() const {
    const std::vector<float>& optimum = experiment_.optimum;
    const Eigen::VectorXd w = Eigen::Map<const Eigen::VectorXf>(optimum.data(), optimum.size()).cast<double>();
    double largest = 0;
    for (const auto& model : w_) largest = std::max(largest, (model - w).norm() / w.norm());
    return largest;
  }

 private:
  static double sign(NodeId i, NodeId j) { return i < j ? 1 : -1; }

  const Experiment& experiment_;
  test::Quadratics q_;
  Alpha alpha_;
  double theta_;
  std::vector<Eigen::VectorXd> w_;
  std::vector<std::vector<Eigen::VectorXd>> z_;
};

double isvr(const Experiment& experiment, NodeId i) {
  return 1 / (experiment.spec.learning_rate * experiment.graph.degree(i) * (experiment.spec.local_steps - 1));
}

Textbook::Alpha edge_symmetric(const Experiment& experiment) {
  return [&experiment](NodeId i, NodeId j) {
    const double a = isvr(experiment, i), b = isvr(experiment, j);
    return 2 * a * b / (a + b);
  };
}

TEST(Ecl, EqualsTheTextbookFormRoundByRound) {
  for (const double theta : {1.0, 0.5}) {
    Spec spec = quadratics(8, 800);
    spec.mode = "lock-step";
    spec.topology = irregular_graph();
    spec.solver = "ecl_isvr";
    spec.settings = {"theta=" + std::to_string(theta)};
    Simulation simulation(spec);
    Textbook textbook(simulation.experiment(), edge_symmetric(simulation.experiment()), theta);
    for (int round = 0; round < 100; ++round) {
      simulation.run(spec.local_steps);
      textbook.round();
      for (NodeId i = 0; i < spec.nodes; ++i) {
        const auto& w = textbook.model(i);
        ASSERT_LT(relative_distance(simulation.nodes()[i].x(), {w.data(), w.data() + w.size()}), 1e-5)
            << "theta " << theta << ", round " << round << ", node " << i;
      }
    }
  }
}

TEST(Ecl, PerNodeAlphaOnAnIrregularGraphFails) {
  // Why alpha is edge-symmetric: with each node's own alpha the same method rests elsewhere.
  Spec spec = quadratics(8, 1'000'000);
  spec.topology = irregular_graph();
  const Simulation simulation(spec);
  const Experiment& experiment = simulation.experiment();
  Textbook symmetric(experiment, edge_symmetric(experiment), 1.0);
  Textbook per_node(
      experiment, [&](NodeId i, NodeId) { return isvr(experiment, i); }, 1.0);
  for (int round = 0; round < 4000; ++round) symmetric.round(), per_node.round();
  EXPECT_LT(symmetric.error(), 1e-6);  // the optimum itself is kept as floats
  EXPECT_GT(per_node.error(), 0.05);
}

}  // namespace
}  // namespace ecl
