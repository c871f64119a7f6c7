// What every plug-in must do, asked of all of them through the registries: a new one is tested without a new file.
#include <Eigen/LU>
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <numeric>
#include <random>

#include "support/dense_gossip.hpp"
#include "support/quadratics.hpp"

namespace ecl {
namespace {

using test::Averaging;
using test::for_solver;
using test::Quadratics;
using test::quadratics;
using test::restless;
using test::Simulation;
using test::with;

constexpr double kFloat = 1e-5;  // relative error that float storage leaves on these problems (condition 10)

template <class Table>
std::vector<std::string> names(const Table& table) {
  std::vector<std::string> all;
  for (const auto& entry : table.entries()) all.push_back(entry.name);
  return all;
}

std::string test_name(const testing::TestParamInfo<std::string>& info) { return info.param; }

/// The models at which gossip with full gradients and K = 1 rests: X = Y - mu H (Y - B) with Y = W X, W what a round's
/// exchanges are.
std::vector<Eigen::VectorXd> gossip_fixed_point(const Spec& spec, const Graph& graph) {
  const Quadratics q(spec);
  const int n = spec.nodes, d = static_cast<int>(q.minimiser[0].size());
  const Eigen::MatrixXd averaging = test::averaging_matrix(graph, spec);
  Eigen::MatrixXd a = Eigen::MatrixXd::Identity(n * d, n * d), w = a;
  Eigen::VectorXd b(n * d);
  const auto identity = Eigen::MatrixXd::Identity(d, d);
  for (NodeId i = 0; i < n; ++i) {
    for (NodeId j = 0; j < n; ++j) w.block(i * d, j * d, d, d) = averaging(i, j) * identity;
    const Eigen::MatrixXd step = spec.learning_rate * q.hessian[i];
    a.middleRows(i * d, d) -= (identity - step) * w.middleRows(i * d, d);
    b.segment(i * d, d) = step * q.minimiser[i];
  }
  const Eigen::VectorXd x = w * a.partialPivLu().solve(b);  // as evaluated: at the start of a round
  std::vector<Eigen::VectorXd> models;
  for (int i = 0; i < n; ++i) models.emplace_back(x.segment(i * d, d));
  return models;
}

/// Where fedasync rests in lock step with K = 1: a weighted mean of the gradients vanishes. A round mixes the models in
/// the order of the nodes, the hub's own last, with a_t = 0.6 (t - tau + 1)^-0.5; what is mixed in later dilutes.
std::vector<Eigen::VectorXd> fedasync_fixed_point(const Spec& spec, const Graph&) {
  const Quadratics q(spec);
  const int n = spec.nodes, d = static_cast<int>(q.minimiser[0].size());
  Eigen::MatrixXd a = Eigen::MatrixXd::Zero(d, d);
  Eigen::VectorXd b = Eigen::VectorXd::Zero(d);
  double later = 1;
  for (int k = n - 1; k >= 0; --k) {
    const int i = (k + 1) % n;
    const double mixing = 0.6 / std::sqrt(k + 1);
    a += later * mixing * q.hessian[i];
    b += later * mixing * q.hessian[i] * q.minimiser[i];
    later *= 1 - mixing;
  }
  return std::vector<Eigen::VectorXd>(n, a.partialPivLu().solve(b));
}

/// The biased solvers and where theory says each of their nodes rests (K = 1). All others must reach the optimum.
using Theory = std::function<std::vector<Eigen::VectorXd>(const Spec&, const Graph&)>;
const std::map<std::string, Theory>& biased() {
  static const std::map<std::string, Theory> table = {
      {"dpsgd", gossip_fixed_point},
      {"fedasync", fedasync_fixed_point},
      {"sgp", gossip_fixed_point},       // on a ring all push-sum weights are 1, the shares Metropolis weights
      {"qg_dsgdm", gossip_fixed_point},  // what does not move has no quasi-global momentum
      {"local", [](const Spec& spec, const Graph&) { return Quadratics(spec).minimiser; }},
  };
  return table;
}

/// Runs `spec`, K = 1, and asks that each node is where it should be.
void expect_rests_where_theory_says(const Spec& spec, double tolerance = kFloat) {
  Simulation simulation(spec);
  simulation.run(spec.steps);
  const std::vector<float>& optimum = simulation.experiment().optimum;
  const auto theory = biased().find(spec.solver);
  if (theory == biased().end()) {
    EXPECT_LT(simulation.error(optimum), tolerance)
        << "is " << spec.solver << " biased by design? then say in biased(), above, where it rests";
    return;
  }
  const auto models = theory->second(spec, simulation.experiment().graph);
  for (NodeId i = 0; i < spec.nodes; ++i) {
    const std::vector<double> expected(models[i].data(), models[i].data() + models[i].size());
    EXPECT_LT(relative_distance(simulation.nodes()[i].x(), expected), tolerance) << "node " << i;
  }
  EXPECT_GT(simulation.error(optimum), spec.parsed_exchanges().number > 1 ? 1e-3 : 0.1)
      << "a biased solver that is not: the problem is too easy";
}

class SolverConformance : public testing::TestWithParam<std::string> {};

TEST_P(SolverConformance, RestsWhereTheorySays) {
  Spec spec = for_solver(quadratics(8, 6000), GetParam());
  spec.local_steps = 1;
  if (restless(GetParam())) spec.mode = "lock-step";
  expect_rests_where_theory_says(spec);
}

/// How a solver may exchange several times a round: none of it, where it exchanges once.
std::vector<Averaging> averagings(const std::string& solver) {
  if (!test::probe(solver)->exchanges_again()) return {};
  std::vector<Averaging> all = {{2}, {4}, {8}};
  if (test::takes_gossip(solver))
    for (const char* gossip : {"fast", "chebyshev"})
      for (const int exchanges : {2, 4, 8})
        if (solver != "d2" || gossip != std::string("chebyshev") || exchanges > 2)  // an eigenvalue below -1/3
          all.push_back({exchanges, gossip});
  return all;
}

TEST_P(SolverConformance, RestsWhereTheorySaysWithSeveralExchangesARound) {
  for (const Averaging& averaging : averagings(GetParam())) {
    SCOPED_TRACE(averaging.name());
    Spec spec = with(for_solver(quadratics(8, 3000), GetParam()), averaging);
    spec.local_steps = 1;
    spec.mode = "lock-step";
    expect_rests_where_theory_says(spec, 2 * kFloat);  // each exchange rounds
  }
}

TEST_P(SolverConformance, ExchangesAgainOrRefusesItByName) {
  Spec spec = for_solver(quadratics(4, 10), GetParam());
  spec.exchanges = "2";
  if (test::probe(GetParam())->exchanges_again()) return Simulation(spec).run(10);
  try {
    Simulation simulation(spec);
    FAIL() << "was not refused";
  } catch (const Error& error) {
    const std::string message = error.what();
    for (const std::string& part : {GetParam(), std::string("--exchanges 2")})
      EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

/// Asynchronously an exchange takes what there is: exact solvers rest at the optimum all the same, biased ones not
/// farther from it than with one exchange.
TEST_P(SolverConformance, SeveralExchangesARoundDoNoHarmAsynchronously) {
  Spec spec = for_solver(quadratics(8, 6000), GetParam());
  spec.local_steps = 1;
  if (spec.mode == "lock-step" || averagings(GetParam()).empty()) return;
  const auto error = [&](int exchanges) {
    spec.exchanges = std::to_string(exchanges);
    Simulation simulation(spec);
    for (int slice = 0; slice < 600; ++slice) simulation.run(10);
    return simulation.error(simulation.experiment().optimum);
  };
  const bool exact = !biased().contains(GetParam());
  const double bound = exact ? 2 * kFloat : 1.1 * error(1);
  for (const int exchanges : {2, 4, 8}) EXPECT_LT(error(exchanges), bound) << exchanges << " exchanges";
}

TEST_P(SolverConformance, LockStepRestsWhereAsynchronousDoesOrAsynchronousIsRefused) {
  Spec spec = for_solver(quadratics(6, 6000), GetParam());
  spec.local_steps = 1;
  if (spec.mode == "lock-step") {
    spec.mode = "async";
    EXPECT_THROW(Simulation{spec}, Error);
    return;
  }
  if (restless(GetParam())) spec.learning_rate = 0.01;  // how far off chance keeps it falls with that
  Simulation free(spec);
  // In slices: a node that still steps when its neighbours are done hears of no new mass.
  for (int slice = 0; slice < 600; ++slice) free.run(10);
  if (restless(GetParam())) {  // nodes alike in speed: around the optimum
    EXPECT_LT(free.error(free.experiment().optimum), 0.15);
    return;
  }
  spec.mode = "lock-step";
  Simulation locked(spec);
  locked.run(6000);
  for (NodeId i = 0; i < spec.nodes; ++i) {
    const CVec x = locked.nodes()[i].x();
    EXPECT_LT(relative_distance(free.nodes()[i].x(), {x.begin(), x.end()}), 1e-5) << "node " << i;
  }
}

TEST_P(SolverConformance, RefusesUnknownParameters) {
  Spec spec = for_solver(quadratics(4, 10), GetParam());
  spec.settings = {"no_such_parameter=1"};
  EXPECT_THROW(Simulation{spec}, Error);
}

TEST_P(SolverConformance, TakesOneWayEdgesOrRefusesThemByName) {
  Spec spec = for_solver(quadratics(5, 100), GetParam());
  spec.topology = "directed_ring";
  try {
    Simulation simulation(spec);
    simulation.run(100);
    EXPECT_TRUE(simulation.experiment().make_solver(0)->directed());
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find(GetParam()), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST_P(SolverConformance, WorksOnOneNodeAndOnTwo) {
  constexpr std::uint64_t kSteps = 3000;
  for (const NodeId nodes : {1, 2}) {
    Spec spec = for_solver(quadratics(nodes, kSteps), GetParam());
    spec.local_steps = 1;  // with more, those that average their gradients make fewer steps
    Simulation simulation(spec);
    simulation.run(kSteps);
    if (nodes == 1) {
      EXPECT_LT(simulation.error(simulation.experiment().optimum), kFloat);
    }
    for (const auto& node : simulation.nodes()) EXPECT_EQ(node.optimizer().steps(), kSteps);
  }
}

/// A schedule and local steps that keep every part of the state busy.
Spec busy(const std::string& solver, std::uint64_t steps) {
  Spec spec = for_solver(quadratics(6, steps), solver);
  spec.schedule = "cosine";
  spec.node_speed = "0:3,2:2";
  spec.links = {.latency_s = 0.7, .jitter = 0.5};
  return spec;
}

std::vector<std::vector<float>> models_of(const Simulation& simulation) {
  std::vector<std::vector<float>> models;
  for (const auto& node : simulation.nodes()) models.emplace_back(node.x().begin(), node.x().end());
  return models;
}

/// Saves `first` as it is and asks that what is loaded goes on as it does.
void expect_goes_on_from_its_archive(Simulation& first, const Spec& spec) {
  Simulation second(spec);
  Archive saved;
  saved(first);
  Archive loaded(saved.bytes(), "simulation");
  loaded(second);
  loaded.finish();
  EXPECT_EQ(models_of(second), models_of(first));
  first.run(50), second.run(50);
  EXPECT_EQ(models_of(second), models_of(first)) << "50 steps later";
  for (NodeId i = 0; i < spec.nodes; ++i) {
    const Traffic &one = first.nodes()[i].optimizer().traffic(), &other = second.nodes()[i].optimizer().traffic();
    EXPECT_EQ(other.messages_sent, one.messages_sent);
    EXPECT_EQ(other.messages_taken, one.messages_taken);
  }
}

/// Once a round, and four times in each way that the solver has.
std::vector<Averaging> once_and_again(const std::string& solver) {
  std::vector<Averaging> some = {{}};
  for (const Averaging& averaging : averagings(solver))
    if (averaging.exchanges == 4) some.push_back(averaging);
  return some;
}

TEST_P(SolverConformance, GoesOnFromItsArchiveBitForBit) {
  for (const Averaging& averaging : once_and_again(GetParam()))
    for (const int before : {3, 16, 37}) {  // inside a round and at its ends, where there are 8 local steps
      SCOPED_TRACE(averaging.name() + " after " + std::to_string(before) + " steps");
      const Spec spec = with(busy(GetParam(), before + 50), averaging);
      Simulation first(spec);
      first.run(before);
      expect_goes_on_from_its_archive(first, spec);
    }
}

TEST_P(SolverConformance, GoesOnFromItsArchiveBitForBitAmongTheExchangesOfARound) {
  for (const Averaging& averaging : averagings(GetParam())) {
    SCOPED_TRACE(averaging.name());
    Spec spec = with(busy(GetParam(), 1000), averaging);
    spec.mode = "lock-step";
    Simulation first(spec);
    const auto exchanging = [&] {  // node 0 is slow, and those around it wait for it
      return std::any_of(first.nodes().begin(), first.nodes().end(), [](auto& node) { return node.exchanging(); });
    };
    for (int slice = 0; slice < 3 || (slice < 50 && !exchanging()); ++slice) first.run_for(15);
    EXPECT_TRUE(exchanging());
    expect_goes_on_from_its_archive(first, spec);
  }
}

TEST_P(SolverConformance, InLockStepGoesOnOverNewMailboxesBitForBit) {
  for (const Averaging& averaging : once_and_again(GetParam()))
    for (const std::uint64_t rounds : {0, 1, 5}) {
      SCOPED_TRACE(averaging.name());
      Spec spec = with(busy(GetParam(), rounds * 8 + 44), averaging);
      spec.mode = "lock-step";
      Simulation first(spec), second(spec);
      first.run(rounds * spec.local_steps);
      second.take_nodes_of(first);
      Simulation third(spec);  // a resumed run is resumed once more
      first.run(2 * spec.local_steps), second.run(2 * spec.local_steps);
      third.take_nodes_of(second);
      first.run(20), third.run(20);
      EXPECT_EQ(models_of(third), models_of(first)) << "after " << rounds << " rounds";
    }
}

TEST_P(SolverConformance, AsynchronouslyEndsWhereItWouldOverNewMailboxes) {
  Spec spec = for_solver(quadratics(6, 6000), GetParam());
  spec.local_steps = 1;
  if (spec.mode == "lock-step" || restless(GetParam()) || biased().contains(GetParam())) return;
  Simulation first(spec), second(spec);
  first.run(100);
  second.take_nodes_of(first);
  second.run(5900);
  EXPECT_LT(second.error(second.experiment().optimum), kFloat);
}

INSTANTIATE_TEST_SUITE_P(All, SolverConformance, testing::ValuesIn(names(solvers())), test_name);

class ModelConformance : public testing::TestWithParam<std::string> {
 protected:
  ModelConformance() {
    const bool quadratic = GetParam() == "quadratic";
    const bool pictures = GetParam() == "cnn" || GetParam() == "resnet";
    data_ = load_dataset(Choice::parse(quadratic  ? "quadratic:samples=40,dimension=7"
                                       : pictures ? "digits"
                                                  : "synthetic:samples=60,features=6"),
                         {"", 4, 3})
                .train;
    if (pictures) {
      std::vector<std::int32_t> first(60);
      std::iota(first.begin(), first.end(), 0);
      data_ = data_.subset(first);
    }
    // Pictures of 8 x 8.
    const Choice choice = Choice::parse(GetParam() == "cnn"      ? "cnn:kernel=3,padding=1"
                                        : GetParam() == "resnet" ? "resnet:8"
                                                                 : GetParam());
    Params params = models().params(choice);
    model_ = models().find(GetParam()).make({data_.features(), data_.classes(), data_.image}, params);
    x_.resize(model_->dim());
    Random random(5, Purpose::test);
    std::normal_distribution<double> normal(0, 0.3);
    for (float& value : x_) value = static_cast<float>(normal(random));
    batch_.features.resize(data_.size() * data_.features());
    data_.gather(0, data_.size(), batch_.features.data());
    batch_.labels = data_.labels();
  }

  double loss(const std::vector<float>& x) {
    std::vector<float> unused(model_->dim());
    return model_->gradient(x, batch_, unused);
  }

  Dataset data_;
  std::unique_ptr<Model> model_;
  std::vector<float> x_;
  Batch batch_;
};

TEST_P(ModelConformance, GradientMatchesFiniteDifferences) {
  std::vector<float> g(model_->dim());
  model_->gradient(x_, batch_, g);
  Random random(6, Purpose::test);
  std::normal_distribution<double> normal;
  constexpr double kStep = 1e-3;
  const double norm = Eigen::Map<Eigen::VectorXf>(g.data(), static_cast<Eigen::Index>(g.size())).norm();
  for (int trial = 0; trial < 30; ++trial) {
    std::vector<float> forward = x_, backward = x_;
    double slope = 0;
    for (std::size_t d = 0; d < x_.size(); ++d) {
      const double direction = normal(random);
      forward[d] += static_cast<float>(kStep * direction);
      backward[d] -= static_cast<float>(kStep * direction);
      slope += g[d] * (static_cast<double>(forward[d]) - backward[d]);
    }
    const double difference = loss(forward) - loss(backward);
    // The slopes have deviation 2 kStep |g|; ReLU's kinks and float rounding cost a few per cent of that.
    EXPECT_NEAR(difference, slope, 0.05 * 2 * kStep * norm) << "direction " << trial;
  }
}

TEST_P(ModelConformance, ScoreAgreesWithTheBatchLoss) {
  EXPECT_NEAR(model_->score(x_, data_).loss, loss(x_), 1e-4 * std::abs(loss(x_)));
}

TEST_P(ModelConformance, GradientDescentLowersTheLoss) {
  std::vector<float> g(model_->dim());
  const double before = loss(x_);
  for (int k = 0; k < 200; ++k) {
    model_->gradient(x_, batch_, g);
    for (std::size_t d = 0; d < x_.size(); ++d) x_[d] -= 0.05f * g[d];
  }
  EXPECT_LT(loss(x_), 0.98 * before);
}

TEST_P(ModelConformance, InitialModelIsAFunctionOfTheSeed) {
  std::vector<float> a(model_->dim(), 9), b(model_->dim(), 8);
  Random first(1, Purpose::initial_model), second(1, Purpose::initial_model);
  model_->init(a, first);
  model_->init(b, second);
  EXPECT_EQ(a, b);
}

INSTANTIATE_TEST_SUITE_P(All, ModelConformance, testing::ValuesIn(names(models())), test_name);

TEST(Quadratic, OptimumHasNoGradient) {
  const Spec spec = quadratics(8, 1);
  const Simulation simulation(spec);
  const Quadratics q(spec);
  const std::vector<float>& optimum = simulation.experiment().optimum;
  const Eigen::VectorXd w = Eigen::Map<const Eigen::VectorXf>(optimum.data(), optimum.size()).cast<double>();
  Eigen::VectorXd sum = Eigen::VectorXd::Zero(w.size());
  for (NodeId i = 0; i < spec.nodes; ++i) sum += q.hessian[i] * (w - q.minimiser[i]);
  EXPECT_LT(sum.norm(), 1e-5 * w.norm());
}

TEST(Mlp, TakesAnyHiddenWidths) {
  Params params("model mlp", "7,5");
  const auto model = models().find("mlp").make({4, 3}, params);
  EXPECT_EQ(model->dim(), (4u + 1) * 7 + (7 + 1) * 5 + (5 + 1) * 3);
  Params bad("model mlp", "7,x");
  EXPECT_THROW(models().find("mlp").make({4, 3}, bad), Error);
}

}  // namespace
}  // namespace ecl
