// The C interface over real ranks: it is the tool's algorithm, bit for bit; it goes on from a saved state; and where
// the ranks' loops are not alike, there is a named end.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ecl/c/ecl.h"
#include "support/simulated.hpp"
#include "support/world.hpp"

namespace ecl {
namespace {

using test::world;

/// A node of the C interface, opened with "key=value" texts.
class Opened {
 public:
  Opened(const std::vector<std::string>& options, CVec first) : x(first.begin(), first.end()) {
    EXPECT_EQ(ecl_init(), ECL_OK) << ecl_error();
    std::vector<const char*> texts;
    for (const std::string& option : options) texts.push_back(option.c_str());
    texts.push_back(nullptr);
    code = ecl_open(ECL_COMM_WORLD, texts.data(), x.data(), x.size(), &node);
    error = ecl_error();
  }
  ~Opened() { EXPECT_EQ(ecl_close(node), ECL_OK) << ecl_error(); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

  double figure(const char* name) const {
    double value = -1;
    EXPECT_EQ(ecl_figure(node, name, &value), ECL_OK) << ecl_error();
    return value;
  }
  std::string save() {
    const void* state = nullptr;
    std::size_t bytes = 0;
    EXPECT_EQ(ecl_save(node, &state, &bytes), ECL_OK) << ecl_error();
    return {static_cast<const char*>(state), bytes};
  }
  int load(const std::string& state) { return ecl_load(node, state.data(), state.size()); }

  Floats x;
  int code;
  std::string error;
  ecl_node* node = nullptr;
};

/// An mlp on digits of few classes, in lock step: its gradients, and what the simulator makes of them.
class Digits {
 public:
  explicit Digits(const std::string& solver, int local_steps = 2)
      : spec_(spec(solver, local_steps)),
        experiment_(spec_, world().size(), sites_),
        batches_(experiment_.make_batches(world().rank())),
        weight_(experiment_.data.shard(world().rank()).weight) {}

  static Spec spec(const std::string& solver, int local_steps) {
    Spec spec = test::for_solver({}, solver);
    spec.nodes = world().size();
    spec.partition = "classes:3";
    spec.model = "mlp", spec.hidden = "8";
    spec.mode = "lock-step", spec.schedule = "constant";
    spec.local_steps = local_steps, spec.steps = 1000;
    spec.quiet = true;
    return spec;
  }
  std::vector<std::string> options() const {
    return {"solver=" + spec_.solver, "topology=" + spec_.topology, "mode=lock-step", "lr=0.05",
            "local_steps=" + std::to_string(spec_.local_steps)};
  }
  CVec initial() const { return experiment_.initial; }

  void train(Opened& rank, int steps) {
    Floats gradient(rank.x.size());
    for (int s = 0; s < steps; ++s) {
      ASSERT_EQ(ecl_begin(rank.node), ECL_OK) << ecl_error();
      batches_.next(batch_);
      experiment_.model->gradient(rank.x, batch_, gradient);
      if (weight_ != 1.0f)
        for (float& g : gradient) g *= weight_;
      ASSERT_EQ(ecl_step(rank.node, gradient.data()), ECL_OK) << ecl_error();
    }
    ASSERT_EQ(ecl_begin(rank.node), ECL_OK) << ecl_error();
  }
  std::vector<float> simulated(int steps) const {
    test::Simulation simulation(spec_);
    simulation.run(steps);
    const CVec x = simulation.nodes()[world().rank()].x();
    return {x.begin(), x.end()};
  }

 private:
  Spec spec_;
  LocalSites sites_;
  Experiment experiment_;
  Batches batches_;
  Batch batch_;
  float weight_;
};

class Solvers : public testing::TestWithParam<std::string> {};

TEST_P(Solvers, LockStepIsTheSimulatorsBitForBit) {
  Digits digits(GetParam());
  Opened rank(digits.options(), digits.initial());
  ASSERT_EQ(rank.code, ECL_OK) << rank.error;
  digits.train(rank, 40);
  EXPECT_EQ(std::vector<float>(rank.x.begin(), rank.x.end()), digits.simulated(40));
  EXPECT_EQ(rank.figure("steps"), 40);
}

std::vector<std::string> solvers_for_any_model() {
  std::vector<std::string> names;
  for (const auto& entry : solvers().entries())
    if (!test::takes_exact_steps(entry.name)) names.push_back(entry.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(All, Solvers, testing::ValuesIn(solvers_for_any_model()));

TEST(State, GoesOnBitForBitFromAnyStepOfARound) {
  for (const int saved_at : {8, 9, 10}) {  // of rounds of three steps
    Digits digits("ecl", 3);
    std::string state;
    {
      Opened rank(digits.options(), digits.initial());
      digits.train(rank, saved_at);
      state = rank.save();
    }
    Opened again(digits.options(), digits.initial());
    ASSERT_EQ(again.load(state), ECL_OK) << ecl_error();
    digits.train(again, 30 - saved_at);
    EXPECT_EQ(std::vector<float>(again.x.begin(), again.x.end()), digits.simulated(30)) << saved_at;
  }
}

TEST(State, OfAnotherRunOrDamagedIsRefused) {
  Digits digits("ecl");
  const std::string state = [&] {
    Opened rank(digits.options(), digits.initial());
    digits.train(rank, 4);
    EXPECT_EQ(rank.load(rank.save()), ECL_USAGE);
    EXPECT_EQ(std::string(ecl_error()), "a state is loaded before the first step; this run has made 4: open a new one");
    return rank.save();
  }();
  std::vector<std::string> options = digits.options();
  options[0] = "solver=dpsgd";
  Opened other(options, digits.initial());
  EXPECT_EQ(other.load(state), ECL_USAGE);
  EXPECT_EQ(std::string(ecl_error()),
            "the state is of another run: 'solver=ecl' there, 'solver=dpsgd' here; open the run as it was opened");
  std::string damaged = state;
  damaged[state.size() / 2] ^= 1;
  for (const std::string& bad : {damaged, state.substr(0, state.size() - 1), std::string("ecl"), std::string()}) {
    EXPECT_EQ(other.load(bad), ECL_IO);
    EXPECT_EQ(std::string(ecl_error()),
              "the state is damaged, or none of an ecl node: its checksum is not that of its content");
  }
}

/// Rank i wants x = i; together they want the mean rank.
void train_towards_rank(Opened& rank, int steps) {
  Floats gradient(rank.x.size());
  for (int s = 0; s < steps; ++s) {
    ASSERT_EQ(ecl_begin(rank.node), ECL_OK) << ecl_error();
    for (std::size_t d = 0; d < gradient.size(); ++d) gradient[d] = rank.x[d] - static_cast<float>(world().rank());
    ASSERT_EQ(ecl_step(rank.node, gradient.data()), ECL_OK) << ecl_error();
  }
}

TEST(Loops, OfUnlikeLengthSettleInAgreement) {
  const Floats zero(100);
  for (const char* solver : {"solver=ecl", "solver=dpsgd"}) {
    Opened rank({"lr=0.1", "local_steps=2", solver}, zero);
    train_towards_rank(rank, world().rank() == 1 ? 51 : 600);  // one leaves early, in the middle of a round
    double error = 1;
    ASSERT_EQ(ecl_settle(rank.node, &error), ECL_OK) << ecl_error();
    EXPECT_LE(error, 0.01) << solver;
    Floats mean = rank.x;
    ASSERT_EQ(ecl_average(rank.node, mean.data(), mean.size()), ECL_OK) << ecl_error();
    EXPECT_NEAR(rank.x[0], mean[0], 0.02 * std::abs(mean[0])) << solver;
    EXPECT_EQ(ecl_begin(rank.node), ECL_USAGE);
    EXPECT_EQ(std::string(ecl_error()),
              "this run has settled, and takes no further steps; open another one to train on");
    EXPECT_EQ(ecl_settle(rank.node, &error), ECL_USAGE);
  }
}

TEST(Loops, OfKnownLengthEndThere) {
  const Floats zero(10);
  Opened rank({"lr=0.1", "total_steps=3", "schedule=linear:0.5", "local_steps=8"}, zero);
  train_towards_rank(rank, 3);
  const Floats gradient(10);
  EXPECT_EQ(ecl_step(rank.node, gradient.data()), ECL_USAGE);
  EXPECT_EQ(std::string(ecl_error()), "all total_steps=3 steps are made: settle");
}

TEST(Loops, LeaveOutAGradientThatIsNoNumber) {
  const Floats zero(10);
  Opened rank({"lr=0.1", "mode=lock-step"}, zero);
  Floats gradient(10, 1.0f);
  gradient[7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(ecl_step(rank.node, gradient.data()), ECL_DIVERGED);
  EXPECT_EQ(std::string(ecl_error()),
            "the gradient of step 1 holds an infinity or a NaN; no step was made. Is the learning rate too large?");
  EXPECT_EQ(rank.x, zero);
  train_towards_rank(rank, 400);
  double error = 1;
  EXPECT_EQ(ecl_settle(rank.node, &error), ECL_OK);
  EXPECT_NEAR(rank.x[0], (world().size() - 1) / 2.0, 1e-3);
}

TEST(Loops, TheLearningRateIsTheNextSteps) {
  const Floats zero(1);
  Opened rank({"lr=0.5", "solver=local"}, zero);
  const Floats gradient(1, 1.0f);
  ASSERT_EQ(ecl_step(rank.node, gradient.data()), ECL_OK);
  ASSERT_EQ(ecl_set_lr(rank.node, 0.25), ECL_OK);
  ASSERT_EQ(ecl_step(rank.node, gradient.data()), ECL_OK);
  EXPECT_EQ(rank.x[0], -0.75f);
  EXPECT_EQ(ecl_set_lr(rank.node, 0), ECL_USAGE);
}

TEST(Opening, NamesTheRankThatDiffersOnAllRanks) {
  const bool odd = world().rank() == 2;
  const Floats zero(10), one(10, 1.0f);
  const Opened other_option({odd ? "lr=0.2" : "lr=0.1"}, zero);
  EXPECT_EQ(other_option.code, ECL_USAGE);
  EXPECT_NE(other_option.error.find(" was given 'lr=0.2' where rank 0 has 'lr=0.1'; all ranks take the same"),
            std::string::npos)
      << other_option.error;
  const Opened other_start({}, odd ? one : zero);
  EXPECT_EQ(other_start.code, ECL_USAGE);
  EXPECT_EQ(other_start.error.substr(0, 10), "rank 2 on ");
  EXPECT_NE(other_start.error.find(" starts from other values than rank 0; "), std::string::npos) << other_start.error;
}

TEST(Opening, RefusesInOneLine) {
  const auto refused = [](const std::vector<std::string>& options) {
    const Floats zero(10);
    const Opened rank(options, zero);
    EXPECT_EQ(rank.code, ECL_USAGE);
    EXPECT_EQ(rank.node, nullptr);
    return rank.error;
  };
  EXPECT_EQ(refused({"mode=sync"}), "mode 'sync' is none of async, lock-step");
  EXPECT_EQ(refused({"exchanges=0"}), "exchanges=0 is neither usual nor a number in 1 .. 1000");
  EXPECT_EQ(refused({"schedule=cosine"}),
            "schedule=cosine falls over total_steps; say how many there are, or set the rate yourself");
  EXPECT_NE(refused({"solver=exl"}).find("did you mean 'ecl'?"), std::string::npos);
  EXPECT_NE(refused({"solver=d2"}).find("use lock step, or the solver ecl"), std::string::npos)
      << refused({"solver=d2"});
  EXPECT_EQ(refused({"lrr=1"}).find("ecl_open: unknown parameter 'lrr', did you mean 'lr'?"), 0u);
  EXPECT_EQ(ecl_begin(nullptr), ECL_USAGE);
}

TEST(Neighbours, AreThoseOfTheGraph) {
  int room[4] = {};
  std::size_t count = 0;
  ASSERT_EQ(ecl_neighbours("ring", 5, 1, 0, room, 4, &count), ECL_OK);
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(room[0], 1);
  EXPECT_EQ(room[1], 4);
  EXPECT_EQ(ecl_neighbours("star", 9, 1, 0, room, 4, &count), ECL_OK);
  EXPECT_EQ(count, 8u);  // more than there is room for
  EXPECT_EQ(ecl_neighbours("rink", 5, 1, 0, room, 4, &count), ECL_USAGE);
}

// Last: ranks that were left cannot close their nodes any more.
TEST(ZLost, InLockStepARankThatEndsEarlyIsNamed) {
  const Floats zero(10);
  Opened rank({"lr=0.1", "mode=lock-step"}, zero);
  const bool early = world().rank() == 3;
  double error = 0;
  Floats gradient(10, 1.0f);
  int code = ECL_OK;
  for (int s = 0; s < (early ? 5 : 9) && code == ECL_OK; ++s) code = ecl_step(rank.node, gradient.data());
  if (code == ECL_OK) code = ecl_settle(rank.node, &error);
  EXPECT_EQ(code, ECL_RANK_LOST);
  const std::string what = ecl_error();
  EXPECT_TRUE(what.find(" has ended after step 5, and rank ") != std::string::npos ||
              what.find(" has failed after step ") != std::string::npos)
      << what;
  EXPECT_EQ(ecl_step(rank.node, gradient.data()) == ECL_OK, false);
}

}  // namespace
}  // namespace ecl
