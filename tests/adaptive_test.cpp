// Adam, AdamW and clipping (solvers/adaptive_steps.cpp): the published numbers where nobody else speaks, and the
// solver's own fixed point, whatever they do to the steps on the way.
#include <Eigen/Core>
#include <cmath>
#include <gtest/gtest.h>
#include <tuple>

#include "ecl/node/step_rule.hpp"
#include "support/quadratics.hpp"

namespace ecl {
namespace {

using test::for_solver;
using test::Quadratics;
using test::quadratics;
using test::Simulation;

constexpr double kFloat = 1e-5;            // relative error that float storage leaves on these problems (condition 10)
constexpr double kExchanges = 2 * kFloat;  // each exchange rounds, and ecl makes four a round

double error_after(const Spec& spec, const test::Wrap& wrap = {}) {
  Simulation simulation(spec, wrap);
  simulation.run(spec.steps);
  return simulation.error(simulation.experiment().optimum);
}

Spec with_adam(Spec spec) {
  spec.optimizer = "adam";
  return spec;
}

std::string refusal(const Spec& spec) {
  try {
    check(spec);
    Simulation simulation(spec);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

void expect_refusal(const Spec& spec, const std::vector<std::string>& parts) {
  const std::string message = refusal(spec);
  for (const std::string& part : parts) EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

/// x after each of a node's steps with these gradients, alone.
std::vector<float> steps_of_one(const SolverSetup& setup, const std::vector<float>& gradients) {
  const auto solver = make_solver(Choice::parse("local"), setup);
  std::vector<float> x(setup.initial.begin(), setup.initial.end()), after;
  for (const float g : gradients) {
    solver->descend(x, std::vector<float>{g}, setup.step_size);
    after.push_back(x[0]);
  }
  return after;
}

class Alone : public testing::Test {
 protected:
  SolverSetup setup(float first) {
    initial_ = {first};
    return {graph_, 0, initial_, 0.1, 1};
  }
  Graph graph_ = make_graph(Choice::parse("ring"), 1, 1);
  std::vector<float> initial_;
};

// Step size 0.1, gradients 1, -2, 0.5, beta 0.9 and 0.999. m: 0.1, -0.11, -0.049; over 1 - beta^t 1, -0.578947,
// -0.180812. v: 0.001, 0.004999, 0.005244; over 1 - beta^t 1, 2.500750, 1.749749. Steps: -0.1 times 1, -0.366104,
// -0.136691.
TEST_F(Alone, AdamMakesThePublishedSteps) {
  SolverSetup adam = setup(0);
  adam.adam.emplace();
  const auto x = steps_of_one(adam, {1, -2, 0.5});
  const double expected[] = {-0.1, -0.0633896, -0.0497206};
  for (int k = 0; k < 3; ++k) EXPECT_NEAR(x[k], expected[k], 1e-7) << "step " << k;
}

// As above, after x <- x - 0.1 * 0.5 x each time.
TEST_F(Alone, AdamWTakesItsDecayOffTheModelItself) {
  SolverSetup adamw = setup(2);
  adamw.adam = AdamRule{.decay = 0.5};
  const auto x = steps_of_one(adamw, {1, -2, 0.5});
  const double expected[] = {1.8, 1.7466104, 1.6729490};
  for (int k = 0; k < 3; ++k) EXPECT_NEAR(x[k], expected[k], 1e-6) << "step " << k;
}

TEST_F(Alone, AdamTakesGradientsOfAnySize) {
  SolverSetup adam = setup(1000);  // next to which the plain step is lost in rounding
  adam.adam = AdamRule{.eps = 1e-30};
  adam.step_size = 1;
  EXPECT_NEAR(steps_of_one(adam, {1e-6f})[0], 999, 1e-3);
}

TEST_F(Alone, ClippingShortensWhatIsLongerAndLeavesTheRest) {
  const std::vector<float> initial = {0, 0};
  SolverSetup clipping{graph_, 0, initial, 0.1, 1};
  clipping.clip_norm = 1;
  const auto solver = make_solver(Choice::parse("local"), clipping);
  std::vector<float> x = initial;
  solver->descend(x, std::vector<float>{3, -4}, 0.1);  // norm 5
  EXPECT_NEAR(x[0], -0.06, 1e-7);
  EXPECT_NEAR(x[1], 0.08, 1e-7);
  solver->descend(x, std::vector<float>{0.3f, 0.4f}, 0.1);
  EXPECT_NEAR(x[0], -0.09, 1e-7);
  EXPECT_NEAR(x[1], 0.04, 1e-7);
}

/// Solvers that say they take such steps, and are exact with plain ones.
bool exact(const std::string& solver) { return test::probe(solver)->step_lengths() == StepLengths::bounded; }

class AnySolver : public testing::TestWithParam<std::string> {};

TEST_P(AnySolver, RestsAtTheOptimumUnderAdamOrRefusesIt) {
  Spec spec = with_adam(for_solver(quadratics(8, 8000), GetParam()));
  spec.local_steps = 1;
  if (test::probe(GetParam())->step_lengths() == StepLengths::one)
    return expect_refusal(spec, {"solver " + GetParam() + " ", "optimizer sgd"});
  if (exact(GetParam()))
    EXPECT_LT(error_after(spec), kExchanges);
  else  // by design: sum_i P_i grad f_i = 0, or each its own
    EXPECT_GT(error_after(spec), 0.1);
}

TEST_P(AnySolver, IsNamedWhereOthersAreRefused) {
  Spec refused = with_adam(for_solver(quadratics(4, 1), "d2"));
  EXPECT_EQ(refusal(refused).find(" " + GetParam() + ",") != std::string::npos ||
                refusal(refused).ends_with(" " + GetParam()),
            test::probe(GetParam())->step_lengths() != StepLengths::one);
}

TEST_P(AnySolver, RestsAtTheOptimumUnderAdamWithLocalSteps) {
  if (!exact(GetParam())) return;
  Spec spec = with_adam(for_solver(quadratics(8, 32000), GetParam()));
  spec.local_steps = 8;
  EXPECT_LT(error_after(spec), kFloat);
}

/// Shorter than a single node's gradient at the optimum, so that it would always be clipped there.
TEST_P(AnySolver, RestsAtTheOptimumWhereLocalGradientsAreLongerThanTheClippingNorm) {
  if (!exact(GetParam())) return;
  Spec spec = for_solver(quadratics(8, 20000), GetParam());
  const Quadratics q(spec);
  const Simulation never(spec);
  const auto& w = never.experiment().optimum;
  const Eigen::VectorXd optimum = Eigen::Map<const Eigen::VectorXf>(w.data(), w.size()).cast<double>();
  double shortest = std::numeric_limits<double>::infinity();
  for (NodeId i = 0; i < spec.nodes; ++i) shortest = std::min(shortest, q.gradient(i, optimum).norm());
  spec.clip_norm = 0.5 * shortest;
  spec.local_steps = 1;
  EXPECT_LT(error_after(spec), kFloat);
  spec.optimizer = "adam";
  EXPECT_LT(error_after(spec), kExchanges) << "with adam";
}

TEST_P(AnySolver, GoesOnFromItsArchiveBitForBit) {
  if (test::probe(GetParam())->step_lengths() == StepLengths::one) return;
  for (const int before : {3, 16, 37}) {
    Spec spec = with_adam(for_solver(quadratics(6, 100), GetParam()));
    spec.optimizer = "adamw", spec.weight_decay = 0.1, spec.clip_norm = 3;
    spec.links = {.latency_s = 0.7, .jitter = 0.5};
    Simulation first(spec), second(spec);
    first.run(before);
    Archive saved;
    saved(first);
    Archive loaded(saved.bytes(), "simulation");
    loaded(second);
    loaded.finish();
    first.run(50), second.run(50);
    for (NodeId i = 0; i < spec.nodes; ++i) {
      const CVec a = first.nodes()[i].x(), b = second.nodes()[i].x();
      EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end())) << before << " steps, node " << i;
    }
  }
}

std::vector<std::string> solver_names() {
  std::vector<std::string> all;
  for (const auto& entry : solvers().entries()) all.push_back(entry.name);
  return all;
}
INSTANTIATE_TEST_SUITE_P(All, AnySolver, testing::ValuesIn(solver_names()),
                         [](const auto& test) { return test.param; });

/// K, R, theta.
class EclUnderAdam : public testing::TestWithParam<std::tuple<int, int, const char*>> {
 protected:
  static Spec spec() {
    Spec spec = with_adam(quadratics(8, 24000));
    spec.local_steps = std::get<0>(GetParam());
    spec.exchanges = std::to_string(std::get<1>(GetParam()));
    spec.settings = {std::get<2>(GetParam())};
    return spec;
  }
};

TEST_P(EclUnderAdam, IsExactInLockStep) {
  Spec lock_step = spec();
  lock_step.mode = "lock-step";
  EXPECT_LT(error_after(lock_step), kExchanges);
}

TEST_P(EclUnderAdam, IsExactUnderDropTearDuplicateLatencyAndSpeedSpread) {
  Spec faults = spec();
  faults.links = {.latency_s = 5, .jitter = 1, .drop = 0.2, .duplicate = 0.2, .tear = 0.2};
  faults.node_speed = "2:2,3:4,5:3,7:2";
  EXPECT_LT(error_after(faults), kExchanges);
}

INSTANTIATE_TEST_SUITE_P(KRTheta, EclUnderAdam,
                         testing::Combine(testing::Values(1, 8), testing::Values(1, 4),
                                          testing::Values("theta=1", "theta=0.5")));

/// Gradients of each node times lengths of its own, before the solver adds the corrections.
class LengthsOfTheGradientAlone final : public Forwarding {
 public:
  using Forwarding::Forwarding;
  void descend(Vec x, CVec gradient, double step_size) override {
    Floats adapted(gradient.begin(), gradient.end());
    for (float& g : adapted) g /= std::sqrt(std::abs(g)) + 1e-8f;
    Forwarding::descend(x, adapted, step_size);
  }
};

TEST(Adam, WithTheCorrectionsOutsideWouldRestElsewhere) {
  for (const char* solver : {"ecl", "led"}) {
    const Spec spec = for_solver(quadratics(8, 20000), solver);
    EXPECT_GT(error_after(spec,
                          [](NodeId, std::unique_ptr<Solver> inner) {
                            return std::make_unique<LengthsOfTheGradientAlone>(std::move(inner));
                          }),
              0.05)
        << solver;
  }
}

/// The gradient alone shortened, as is usual where there is one node.
class ClippedAlone final : public Forwarding {
 public:
  ClippedAlone(std::unique_ptr<Solver> solver, double norm) : Forwarding(std::move(solver)), norm_(norm) {}
  void descend(Vec x, CVec gradient, double step_size) override {
    Eigen::VectorXf g = Eigen::Map<const Eigen::VectorXf>(gradient.data(), gradient.size());
    if (g.norm() > norm_) g *= static_cast<float>(norm_) / g.norm();
    Forwarding::descend(x, {g.data(), gradient.size()}, step_size);
  }

 private:
  double norm_;
};

TEST(Clipping, OfTheGradientAloneWouldRestElsewhere) {
  Spec spec = for_solver(quadratics(8, 20000), "led");
  static constexpr double kNorm = 1;
  EXPECT_GT(error_after(spec,
                        [](NodeId, std::unique_ptr<Solver> inner) {
                          return std::make_unique<ClippedAlone>(std::move(inner), kNorm);
                        }),
            0.05);
  spec.clip_norm = kNorm;
  EXPECT_LT(error_after(spec), kFloat);
}

/// sum_i ( grad f_i(x) + lambda x / P_i ) = 0, with 1 / P_i = max( |grad f_i|, 1 / S^2 ), and the same x everywhere.
TEST(AdamW, RestsWhereItsDecayAndTheGradientsOfAllNodesBalance) {
  for (const char* solver : {"ecl", "led", "k_gt", "lt_admm", "scaffold"}) {
    Spec spec = for_solver(quadratics(8, 16000), solver);
    spec.optimizer = "adamw:beta2=0.99", spec.weight_decay = 0.3;
    spec.local_steps = 1, spec.mode = "lock-step";
    Simulation simulation(spec);
    simulation.run(spec.steps);
    const Quadratics q(spec);
    const auto vector = [](CVec x) {
      return Eigen::VectorXd(Eigen::Map<const Eigen::VectorXf>(x.data(), x.size()).cast<double>());
    };
    const Eigen::VectorXd first = vector(simulation.experiment().initial), x = vector(simulation.nodes()[0].x());
    std::vector<double> squares(x.size(), 0.0);
    for (NodeId i = 0; i < spec.nodes; ++i)
      for (int d = 0; d < x.size(); ++d) squares[d] += std::pow(q.gradient(i, first)[d], 2) / spec.nodes;
    const std::vector<float> scale = step_scale(squares);
    Eigen::VectorXd gradients = Eigen::VectorXd::Zero(x.size()), decay = gradients;
    for (NodeId i = 0; i < spec.nodes; ++i) {
      EXPECT_LT((vector(simulation.nodes()[i].x()) - x).norm(), kFloat * x.norm()) << solver << ", node " << i;
      const Eigen::VectorXd g = q.gradient(i, x);
      gradients += g;
      for (int d = 0; d < x.size(); ++d)
        decay[d] += 0.3 * x[d] * std::max(std::abs(g[d]), 1 / (double{scale[d]} * scale[d]));
    }
    EXPECT_GT(gradients.norm(), 0.1) << solver;
    EXPECT_LT((gradients + decay).norm(), 1e-3 * gradients.norm()) << solver;
  }
}

TEST(StepScale, IsAPowerOfTwoNearTheRootOfTheLength) {
  const auto scale = step_scale({16, 1.0 / 65536, 0, 0});  // the root of their mean is 2, of which 0.03 is 0.06
  EXPECT_EQ(scale, (std::vector<float>{0.5f, 4, 4, 4}));
  EXPECT_EQ(step_scale({0, 0}), (std::vector<float>{1, 1})) << "nobody has a gradient";
  EXPECT_EQ(step_scale({std::nan(""), 1}), (std::vector<float>{1, 1})) << "training says so";
}

TEST(Optimizer, OptionsThatDoNotGoTogetherAreRefused) {
  Spec spec = with_adam(quadratics(4, 1));
  spec.momentum = 0.9;
  expect_refusal(spec, {"--optimizer adam", "beta1", "--momentum"});
  spec.momentum = 0, spec.optimizer = "adamw";
  expect_refusal(spec, {"--optimizer adamw", "--weight-decay 0.01"});
  spec.optimizer = "adam:beta1=0.8";
  expect_refusal(spec, {"solver ecl", "beta", "beta1"});
  spec.solver = "local";
  EXPECT_EQ(refusal(spec), "");
  spec.optimizer = "adagrad";
  expect_refusal(spec, {"adagrad", "sgd, adam, adamw"});
  spec.optimizer = "adam:beta3=1";
  expect_refusal(spec, {"--optimizer adam", "beta3"});
  spec.optimizer = "sgd", spec.clip_norm = -1;
  expect_refusal(spec, {"--clip-norm"});
  spec.clip_norm = 1, spec.solver = "d2", spec.mode = "lock-step";
  expect_refusal(spec, {"solver d2", "clip norm"});
}

}  // namespace
}  // namespace ecl
