// A model of one's own, trained by ecl over MPI: least squares, whose answer is known. Rank i holds samples around
// another centre; together they find the weights that made all of them.
#include <cmath>
#include <cstdio>
#include <memory>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "ecl/contracts/model.hpp"
#include "ecl/exchange/mpi_port.hpp"
#include "ecl/mpi/session.hpp"
#include "ecl/node/node.hpp"

namespace {

constexpr int kInputs = 3;
const std::vector<float> kTruth = {2, -1, 0.5};

/// Mean of (w.a - b)^2 / 2 over samples of kInputs numbers a and one number b.
class LeastSquares final : public ecl::Model {
 public:
  std::size_t dim() const override { return kInputs; }
  std::vector<ecl::Slice> slices() const override { return {{"weight", {1, kInputs}}}; }
  void init(ecl::Vec w, ecl::Random&) const override { std::fill(w.begin(), w.end(), 0.0f); }

  double gradient(ecl::CVec w, const ecl::Batch& batch, ecl::Vec g) override {
    std::fill(g.begin(), g.end(), 0.0f);
    const auto rows = static_cast<float>(batch.labels.size());
    double loss = 0;
    for (const float* a = batch.features.data(); a != batch.features.data() + batch.features.size(); a += kInputs + 1) {
      const float off = std::inner_product(w.begin(), w.end(), a, 0.0f) - a[kInputs];
      for (int j = 0; j < kInputs; ++j) g[j] += off * a[j] / rows;
      loss += off * off / 2;
    }
    return loss / rows;
  }

  ecl::Score score(ecl::CVec w, const ecl::Dataset& data) override {
    ecl::Batch all{ecl::Floats(data.size() * data.features()), data.labels()};
    data.gather(0, data.size(), all.features.data());
    std::vector<float> unused(dim());
    return {gradient(w, all, unused)};
  }
};

/// What only this rank has.
ecl::Shard samples_of(int rank) {
  constexpr int kSamples = 200;
  std::mt19937 random(rank);
  std::normal_distribution<float> normal(static_cast<float>(rank % 2), 1);
  std::vector<float> values;
  for (int n = 0; n < kSamples; ++n) {
    float target = 0;
    for (int j = 0; j < kInputs; ++j) {
      values.push_back(normal(random));
      target += kTruth[j] * values.back();
    }
    values.push_back(target);
  }
  auto data = std::make_shared<ecl::Dataset>(kInputs + 1, 0, std::move(values), std::vector<std::int32_t>(kSamples));
  std::vector<std::int32_t> rows(kSamples);
  std::iota(rows.begin(), rows.end(), 0);
  return {std::move(data), std::move(rows)};
}

}  // namespace

int main() {
  const ecl::mpi::Session session;
  const auto world = ecl::mpi::Comm::world();
  const int rank = world.rank();
  const ecl::Graph graph = ecl::make_graph(ecl::Choice::parse("ring"), world.size(), /*seed=*/1);

  LeastSquares model;
  const std::vector<float> start(model.dim(), 0.0f);  // the same on all ranks
  const ecl::StepRule rule{.learning_rate = 0.1, .local_steps = 4};
  auto solver = ecl::make_solver(ecl::Choice::parse("ecl"),
                                 {graph, rank, start, rule.initial_step_size(), rule.local_steps, rule.momentum});
  ecl::MpiPort port(world, graph, solver->message_size(), ecl::Mode::lock_step);
  ecl::Optimizer<ecl::MpiPort> optimizer(std::move(port), std::move(solver), graph, rank, rule, ecl::Mode::lock_step);
  ecl::Workspace workspace;
  ecl::Node<ecl::MpiPort> node(std::move(optimizer),
                               ecl::Batches(samples_of(rank), /*batch_size=*/20, /*seed=*/1, rank), start, model,
                               workspace);

  for (int k = 0; k < 4000; ++k) {
    while (!node.ready()) world.poke();  // lock step only: asynchronous ranks wait for nobody
    node.step();
  }
  world.barrier();  // a rank that is done stays until all are: its neighbours still write to it
  double error = 0;
  for (int j = 0; j < kInputs; ++j) error = std::max(error, std::abs(static_cast<double>(node.x()[j]) - kTruth[j]));
  error = world.max(error);
  if (rank == 0) std::printf("%d ranks found the weights, error %.1e\n", world.size(), error);
  return error < 1e-3 ? 0 : 1;
}
