// The exact proximal steps, and PDMM and ADMM that rest on them.
#include <gtest/gtest.h>
#include <random>
#include <tuple>

#include "support/simulated.hpp"

namespace ecl {
namespace {

using test::quadratics;
using test::Simulation;

Spec exact(Spec spec, const std::string& solver) {
  spec.solver = solver;
  spec.local_steps = 1;
  return spec;
}

double error_after(const Spec& spec) {
  Simulation simulation(spec);
  simulation.run(spec.steps);
  return simulation.error(simulation.experiment().optimum);
}

/// The optimality condition of every model that has a proximal step: its gradient at the solution is the pull less the
/// curvature's. On a shard that is a part of the data, and weighted; of softmax also with weights of the samples.
TEST(ProximalStep, SolvesTheLocalProblem) {
  const std::string synthetic = "synthetic:samples=300,features=6";
  for (const auto& [name, dataset, weighted] :
       {std::tuple{"quadratic", std::string("quadratic:samples=40,dimension=7"), false},
        {"softmax", synthetic, false},
        {"softmax", synthetic, true}}) {
    Dataset data = load_dataset(Choice::parse(dataset), {"", 4, 3}).train;
    std::vector<float> weights;
    for (std::size_t row = 0; row < data.size(); ++row) weights.push_back(static_cast<float>(row % 4) / 2);
    if (weighted) data.set_weights(weights);
    Params params = models().params(Choice::parse(name));
    const auto model = models().find(name).make({data.features(), data.classes()}, params);
    Shard shard{std::make_shared<const Dataset>(data), {}, 1.7};
    for (std::int32_t row = 1; row < static_cast<std::int32_t>(data.size()); row += 3) shard.rows.push_back(row);
    const ProximalStep step = model->proximal_step(shard);
    ASSERT_TRUE(step);

    Batch batch{Floats(shard.rows.size() * data.features()), {}};
    data.gather(shard.rows, batch.features.data());
    for (const std::int32_t row : shard.rows) batch.labels.push_back(data.labels()[row]);
    for (const std::int32_t row : shard.rows)
      if (weighted) batch.weights.push_back(weights[row]);
    std::vector<float> pull(model->dim()), w(model->dim(), 0.5f), g(model->dim());
    Random random(1, Purpose::test);
    std::normal_distribution<double> normal;
    for (float& value : pull) value = static_cast<float>(normal(random));
    for (const double curvature : {0.01, 1.0, 30.0, 1.0}) {
      step(pull, curvature, w);
      model->gradient(w, batch, g);
      double residual = 0, size = 0;
      for (std::size_t d = 0; d < w.size(); ++d) {
        residual += std::pow(1.7 * g[d] - pull[d] + curvature * w[d], 2);
        size += std::pow(pull[d], 2);
      }
      EXPECT_LT(std::sqrt(residual / size), 1e-5) << name << ", curvature " << curvature;
    }
  }
}

TEST(Pdmm, ReachesTheOptimumWithinAHundredRounds) {
  Spec spec = exact(quadratics(8, 100), "pdmm");
  spec.mode = "lock-step";
  EXPECT_LT(error_after(spec), 1e-5);
  spec.steps = 10;
  EXPECT_GT(error_after(spec), 1e-4);
  spec.steps = 150;
  EXPECT_LT(error_after(exact(spec, "admm")), 1e-5);
}

TEST(Pdmm, ExactUnderDropTearDuplicateLatencyAndSpeedSpread) {
  for (const char* solver : {"pdmm", "admm"}) {
    Spec spec = exact(quadratics(8, 3000), solver);
    spec.dataset = "quadratic:samples=60";
    spec.partition = "quantity:0.5";
    spec.links = {.latency_s = 5, .jitter = 1, .drop = 0.2, .duplicate = 0.2, .tear = 0.2};
    spec.node_speed = "2:2,3:4";
    EXPECT_LT(error_after(spec), 1e-5) << solver;
  }
}

TEST(Pdmm, TrainsSoftmaxToTheCentralOptimum) {
  Spec spec = quadratics(6, 400);
  spec.dataset = "synthetic:samples=400,features=6";
  spec.model = "softmax";
  spec.partition = "dirichlet:0.3";
  spec.weight_decay = 0.05;  // so that there is an optimum
  spec.mode = "lock-step";
  Spec central = spec;
  central.nodes = 1;
  central.solver = "local";
  central.learning_rate = 0.3;
  Simulation descent(central);
  descent.run(5000);
  const CVec optimum = descent.nodes()[0].x();
  for (const char* solver : {"pdmm", "admm"}) {
    Simulation network(exact(spec, solver));
    network.run(400);
    EXPECT_LT(network.error({optimum.begin(), optimum.end()}), 1e-4) << solver;
  }
}

}  // namespace
}  // namespace ecl
