// The C interface over real ranks: it is the tool's algorithm, bit for bit; it goes on from a saved state; and where
// the ranks' loops are not alike, there is a named end.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <memory>
#include <mpi.h>
#include <string>
#include <vector>

#include "ecl/c/ecl.h"
#include "support/simulated.hpp"
#include "support/world.hpp"

namespace ecl {
namespace {

using test::world;

constexpr int kMeasured = FirstGradients::kUsual;
constexpr StepLengths kBounded = StepLengths::bounded;

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

/// What else the steps are made by.
struct Steps {
  const char* optimizer = "sgd";
  double weight_decay = 0, clip_norm = 0;
};

/// An mlp on digits of few classes, in lock step: its gradients, and what the simulator makes of them.
class Digits {
 public:
  explicit Digits(const std::string& solver, int local_steps = 2, const Steps& steps = {})
      : spec_(spec(solver, local_steps, steps)),
        experiment_(spec_, world().size(), sites_),
        measured_(experiment_.make_batches(world().rank())),
        batches_(experiment_.make_batches(world().rank())),
        weight_(experiment_.data.shard(world().rank()).weight) {
    measures_ = steps.optimizer != std::string("sgd") && experiment_.make_solver(0)->step_lengths() == kBounded;
  }

  static Spec spec(const std::string& solver, int local_steps, const Steps& steps) {
    Spec spec = test::for_solver({}, solver);
    spec.optimizer = steps.optimizer, spec.weight_decay = steps.weight_decay, spec.clip_norm = steps.clip_norm;
    spec.nodes = world().size();
    spec.partition = "classes:3";
    spec.model = "mlp", spec.hidden = "8";
    spec.mode = "lock-step", spec.schedule = "constant";
    spec.local_steps = local_steps, spec.steps = 1000;
    spec.quiet = true;
    return spec;
  }
  std::vector<std::string> options() const {
    return {"solver=" + spec_.solver,
            "topology=" + spec_.topology,
            "mode=lock-step",
            "lr=0.05",
            "local_steps=" + std::to_string(spec_.local_steps),
            "optimizer=" + spec_.optimizer,
            "weight_decay=" + std::to_string(spec_.weight_decay),
            "clip_norm=" + std::to_string(spec_.clip_norm)};
  }
  CVec initial() const { return experiment_.initial; }
  /// Steps before those of the simulator: of the first batches, which it sees before it trains.
  int measured() const { return measures_ ? kMeasured : 0; }

  void train(Opened& rank, int steps) {
    Floats gradient(rank.x.size());
    for (int s = 0; s < steps; ++s, ++steps_) {
      ASSERT_EQ(ecl_begin(rank.node), ECL_OK) << ecl_error();
      (steps_ < measured() ? measured_ : batches_).next(batch_);
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
  Batches measured_, batches_;
  Batch batch_;
  float weight_;
  bool measures_ = false;
  int steps_ = 0;
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

class AdaptedSolvers : public testing::TestWithParam<std::string> {};

TEST_P(AdaptedSolvers, AdamAndClippingAreTheSimulatorsBitForBit) {
  for (const Steps& steps : {Steps{"adam"}, Steps{"adamw:beta2=0.99", 0.1, 0.5}, Steps{"sgd", 0.01, 0.5}}) {
    Digits digits(GetParam(), 2, steps);
    Opened rank(digits.options(), digits.initial());
    ASSERT_EQ(rank.code, ECL_OK) << rank.error;
    digits.train(rank, digits.measured() + 40);
    EXPECT_EQ(std::vector<float>(rank.x.begin(), rank.x.end()), digits.simulated(40)) << steps.optimizer;
    EXPECT_EQ(rank.figure("steps"), digits.measured() + 40);
  }
}

std::vector<std::string> solvers_for_adam() {
  std::vector<std::string> names;
  for (const auto& entry : solvers().entries())
    if (test::probe(entry.name)->step_lengths() != StepLengths::one) names.push_back(entry.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(All, AdaptedSolvers, testing::ValuesIn(solvers_for_adam()));

/// Saved after so many of `measured` steps that measure and 30 of rounds of three steps, and loaded, it ends in the
/// simulator's bits.
void expect_to_go_on(int saved_at, int measured, const Steps& steps) {
  Digits digits("ecl", 3, steps);
  std::string state;
  {
    Opened rank(digits.options(), digits.initial());
    digits.train(rank, saved_at);
    state = rank.save();
  }
  Opened again(digits.options(), digits.initial());
  ASSERT_EQ(again.load(state), ECL_OK) << ecl_error();
  EXPECT_EQ(again.figure("steps"), saved_at);
  digits.train(again, measured + 30 - saved_at);
  EXPECT_EQ(std::vector<float>(again.x.begin(), again.x.end()), digits.simulated(30)) << saved_at;
}

TEST(State, GoesOnBitForBitFromAnyStepOfARound) {
  for (const int saved_at : {8, 9, 10}) expect_to_go_on(saved_at, 0, {});
}

TEST(State, GoesOnBitForBitFromAnyStepThatMeasuresOrTrains) {
  for (const int saved_at : {0, 1, kMeasured - 1, kMeasured, kMeasured + 1, kMeasured + 9})
    expect_to_go_on(saved_at, kMeasured, {"adamw", 0.1, 0.5});
}

TEST(State, OfSomeRanksThatMeasuredAndOthersThatTrainedIsRefused) {
  const Floats zero(10), gradient(10, 1.0f);
  const std::vector<std::string> options = {"optimizer=adam", "measure_steps=3"};
  std::string early, late;
  {
    Opened rank(options, zero);
    for (int s = 0; s < 4; ++s) {
      if (s == 2) early = rank.save();
      ASSERT_EQ(ecl_step(rank.node, gradient.data()), ECL_OK) << ecl_error();
    }
    late = rank.save();
  }
  Opened again(options, zero);
  EXPECT_EQ(again.load(world().rank() == 1 ? early : late), ECL_USAGE);
  const std::string what = ecl_error();
  EXPECT_NE(what.find(" loads a state of step 2, rank 0 one of step 4; the first measure_steps=3 only measure "
                      "gradients: all ranks are saved in them, or none"),
            std::string::npos)
      << what;
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

/// Whatever changes what its steps would be.
TEST(State, OfAnotherRuleIsRefused) {
  const Floats zero(10);
  const std::vector<std::string> saved = {"total_steps=9", "clip_norm=1e-9", "exchanges=2"};
  const std::string state = Opened(saved, zero).save();
  const auto refused = [&](std::vector<std::string> options) {
    Opened other(options, zero);
    EXPECT_EQ(other.load(state), ECL_USAGE) << options[0];
    return std::string(ecl_error());
  };
  EXPECT_EQ(refused({"clip_norm=2e-9", "exchanges=2"}),
            "the state is of another run: 'clip_norm=1e-09' there, 'clip_norm=2e-09' here; open the run as it was "
            "opened");
  const std::vector<std::string> more = {"weight_decay=1e-08", "lr=0.05000001", "overlap=1", "schedule=step:0.5,0.1"};
  for (const std::string& option : more)
    EXPECT_NE(refused({option, saved[0], saved[1], saved[2]}).find('\'' + option + "' here"), std::string::npos)
        << ecl_error();
  Opened longer({"total_steps=20", saved[1], saved[2]}, zero);
  EXPECT_EQ(longer.load(state), ECL_OK) << "at a constant rate there may be more steps: " << ecl_error();
}

TEST(State, OfMoreStepsThanThereAreIsRefused) {
  const Floats zero(10), gradient(10, 1.0f);
  std::string state;
  {
    Opened rank({}, zero);
    for (int s = 0; s < 4; ++s) ASSERT_EQ(ecl_step(rank.node, gradient.data()), ECL_OK) << ecl_error();
    state = rank.save();
  }
  Opened shorter({"total_steps=3"}, zero);
  EXPECT_EQ(shorter.load(state), ECL_USAGE);
  EXPECT_EQ(std::string(ecl_error()),
            "the state is of step 4, and total_steps=3 are fewer; open the node for more steps");
  Opened as_long({"total_steps=4"}, zero);
  EXPECT_EQ(as_long.load(state), ECL_OK) << ecl_error();
}

TEST(State, OfAnotherScheduleIsOfAsManySteps) {
  const Floats zero(10);
  const std::string state = Opened({"schedule=cosine", "total_steps=9"}, zero).save();
  Opened other({"schedule=cosine", "total_steps=10"}, zero);
  EXPECT_EQ(other.load(state), ECL_USAGE);
  EXPECT_NE(std::string(ecl_error()).find("'total_steps=9' there, 'total_steps=10' here"), std::string::npos)
      << ecl_error();
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
    EXPECT_EQ(ecl_begin(rank.node), ECL_OK) << "where loops begin the next step at the end of the last";
    EXPECT_EQ(ecl_step(rank.node, mean.data()), ECL_USAGE);
    EXPECT_EQ(std::string(ecl_error()),
              "this run has settled, and takes no further steps; open another one to train on");
    EXPECT_EQ(ecl_settle(rank.node, &error), ECL_USAGE);
  }
}

/// Of rank i at x: each has other curvatures and another optimum, and coordinates are of sizes from 0.1 to 10.
struct Quadratic {
  explicit Quadratic(int rank) {
    for (int d = 0; d < kDim; ++d) {
      const double size = std::pow(10.0, d % 3 - 1);
      curvature.push_back(static_cast<float>(size * (1 + 0.5 * std::sin(3 * rank + d))));
      optimum.push_back(static_cast<float>(std::cos(rank + 2 * d)));
    }
  }
  static constexpr int kDim = 30;
  Floats curvature, optimum;
};

/// How far x is from the optimum over all ranks, relative to it.
double off_the_optimum(CVec x) {
  double distance = 0, length = 0;
  for (int d = 0; d < Quadratic::kDim; ++d) {
    double pull = 0, weight = 0;
    for (int rank = 0; rank < world().size(); ++rank) {
      const Quadratic part(rank);
      pull += double{part.curvature[d]} * part.optimum[d], weight += part.curvature[d];
    }
    distance += std::pow(x[d] - pull / weight, 2), length += std::pow(pull / weight, 2);
  }
  return std::sqrt(distance / length);
}

double off_after_training(Opened& rank, int steps) {
  const Quadratic mine(world().rank());
  Floats gradient(Quadratic::kDim);
  for (int s = 0; s < steps; ++s) {
    EXPECT_EQ(ecl_begin(rank.node), ECL_OK) << ecl_error();
    for (int d = 0; d < Quadratic::kDim; ++d) gradient[d] = mine.curvature[d] * (rank.x[d] - mine.optimum[d]);
    EXPECT_EQ(ecl_step(rank.node, gradient.data()), ECL_OK) << ecl_error();
  }
  return off_the_optimum(rank.x);
}

TEST(Loops, UnderAdamAndClippingRestAtTheOptimumOverAllData) {
  const std::vector<std::string> adam = {"optimizer=adam", "lr=0.05"}, clipped = {"lr=0.05", "clip_norm=0.5"},
                                 both = {"optimizer=adam:beta2=0.99", "lr=0.05", "clip_norm=1"};
  for (std::vector<std::string> options : {adam, clipped, both}) {
    const std::string about = options[0];
    options.emplace_back("mode=lock-step");
    Opened rank(options, Floats(Quadratic::kDim));
    ASSERT_EQ(rank.code, ECL_OK) << rank.error;
    EXPECT_LT(off_after_training(rank, 6000), 2e-5) << about;
    double error = 1;
    EXPECT_EQ(ecl_settle(rank.node, &error), ECL_OK) << ecl_error();
    EXPECT_LT(error, 2e-5) << about;
  }
}

TEST(Loops, OfKnownLengthEndThereUnderAdamToo) {
  const Floats zero(10), gradient(10, 1.0f);
  Opened rank({"optimizer=adam", "lr=0.5", "total_steps=6", "measure_steps=4", "local_steps=8", "solver=led",
               "schedule=step:0.5,0.1", "mode=lock-step"},
              zero);
  ASSERT_EQ(rank.code, ECL_OK) << rank.error;
  for (int s = 0; s < 6; ++s) ASSERT_EQ(ecl_step(rank.node, gradient.data()), ECL_OK) << ecl_error();
  EXPECT_NEAR(rank.x[0], -0.5 - 0.05, 1e-5) << "two steps of Adam, of which the second is the schedule's second half";
  EXPECT_EQ(ecl_step(rank.node, gradient.data()), ECL_USAGE);
  EXPECT_EQ(std::string(ecl_error()), "all total_steps=6 steps are made: settle");
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
  EXPECT_EQ(refused({"exchanges=0"}),
            "exchanges=0 is none of: usual, a number in 1 .. 1000, auto, auto:PERCENT with a percentage above 0, at "
            "most 1000");
  EXPECT_EQ(refused({"exchanges=auto", "solver=ecl_isvr"}),
            "solver ecl_isvr exchanges once a round; leave out exchanges=auto, or use solver=ecl");
  EXPECT_EQ(refused({"exchanges=auto:50", "mode=lock-step"}),
            "exchanges=auto:50 goes by how long each node waits for the others; it needs mode=async, patience above 0, "
            "and no overlap");
  EXPECT_EQ(refused({"patience=0", "mode=lock-step"}),
            "patience bounds how long an exchange waits for the neighbours, and in lock step each waits for all; leave "
            "it out, or use mode=async");
  EXPECT_EQ(refused({"overlap=1", "mode=lock-step"}),
            "overlap makes exchanges while the next gradients are computed; it needs mode=async, exchanges=2 or more, "
            "and a solver whose exchanges leave the model alone: ecl");
  EXPECT_EQ(refused({"optimizer=adagrad"}), "optimizer=adagrad: unknown optimizer 'adagrad' (known: sgd, adam, adamw)");
  EXPECT_EQ(refused({"optimizer=adam", "momentum=0.9"}),
            "optimizer=adam has a momentum of its own, beta1; leave momentum at 0");
  EXPECT_EQ(refused({"optimizer=adamw"}),
            "optimizer=adamw is adam but for its decay: name that, as in weight_decay=0.01, or use adam");
  EXPECT_EQ(refused({"optimizer=adam:beta1=0.8"}),
            "solver ecl has a momentum of its own (beta); leave beta1 out of the optimizer");
  EXPECT_EQ(refused({"clip_norm=1", "solver=d2", "mode=lock-step"}),
            "solver d2 takes no steps that each node shortens by itself, as clipping does; use optimizer sgd without a "
            "clip norm, or one that takes them: ecl, led, k_gt, lt_admm, scaffold, dpsgd, fedavg, local");
  EXPECT_EQ(refused({"optimizer=adam", "total_steps=16"}),
            "the first 16 of total_steps=16 only measure gradients, for adam, and none is left; make more steps, or "
            "set a smaller measure_steps");
  EXPECT_EQ(refused({"schedule=cosine"}),
            "schedule=cosine falls over total_steps; say how many there are, or set the rate yourself");
  EXPECT_NE(refused({"solver=exl"}).find("did you mean 'ecl'?"), std::string::npos);
  EXPECT_EQ(refused({"solver=d2"}),
            "solver d2 needs every message of a round exactly once, which mode async does not promise; use mode "
            "lock-step, or solver ecl");
  EXPECT_EQ(refused({"solver=sgp", "topology=directed_ring", "mode=lock-step"}),
            "mode lock-step needs edges that work both ways, as a message is acknowledged by the one that comes back, "
            "and this topology has one-way ones; use mode async, or an undirected topology such as ring");
  EXPECT_EQ(refused({"lrr=1"}).find("ecl_open: unknown parameter 'lrr', did you mean 'lr'?"), 0u);
  EXPECT_EQ(ecl_begin(nullptr), ECL_USAGE);
}

/// A communicator whose duplicates, and theirs, are counted until they are freed.
class Counted {
 public:
  explicit Counted(MPI_Comm parent) {
    const auto copy = [](MPI_Comm, int, void* count, void* value, void* copied, int* wanted) {
      ++*static_cast<int*>(value);
      *static_cast<void**>(copied) = value;
      *wanted = 1;
      return static_cast<void>(count), MPI_SUCCESS;
    };
    const auto forget = [](MPI_Comm, int, void* value, void*) { return --*static_cast<int*>(value), MPI_SUCCESS; };
    MPI_Comm_dup(parent, &comm_);
    MPI_Comm_create_keyval(copy, forget, &key_, nullptr);
    MPI_Comm_set_attr(comm_, key_, &living_);
  }
  ~Counted() {
    MPI_Comm_free(&comm_);
    MPI_Comm_free_keyval(&key_);
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

  int handle() const { return MPI_Comm_c2f(comm_); }
  int duplicates() const { return living_; }

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
  int key_ = MPI_KEYVAL_INVALID, living_ = 0;
};

/// What this process shares with others: mailboxes lie there.
std::size_t shared_bytes() {
  std::size_t bytes = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long from = 0, to = 0;
    char mode[5] = "";
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &from, &to, mode) == 3 && mode[3] == 's') bytes += to - from;
  }
  return bytes;
}

TEST(Opening, ThatIsRefusedLeavesNothingBehind) {
  ASSERT_EQ(ecl_init(), ECL_OK) << ecl_error();
  const Counted comm(world().handle());
  Floats x(1 << 20);
  for (const char* option : {"solver=exl", "solver=d2", "exchanges=0"}) {
    const char* const options[] = {option, nullptr};
    const std::size_t before = shared_bytes();
    ecl_node* node = nullptr;
    EXPECT_EQ(ecl_open(comm.handle(), options, x.data(), x.size(), &node), ECL_USAGE) << option;
    EXPECT_LT(shared_bytes(), before + x.size() * sizeof(float)) << option << ": its mailboxes are still there";
    EXPECT_EQ(comm.duplicates(), 0) << option;
  }
}

TEST(Opening, OfMoreFloatsThanMpiSumsUpIsRefused) {
  ASSERT_EQ(ecl_init(), ECL_OK) << ecl_error();
  float x = 0;  // none of the others is looked at
  ecl_node* node = nullptr;
  EXPECT_EQ(ecl_open(ECL_COMM_WORLD, nullptr, &x, std::size_t{1} << 31, &node), ECL_USAGE);
  EXPECT_EQ(std::string(ecl_error()),
            "the model has 2147483648 floats, and MPI sums up at most 2147483647 at once; open a node for each of "
            "several parts of it");
}

TEST(Averaging, OfUnlikeLengthsIsTheSameErrorOnAll) {
  const Floats zero(10);
  Opened rank({}, zero);
  std::vector<float> values(1000, static_cast<float>(world().rank()));
  for (const std::size_t count : {std::size_t{7}, std::size_t{0}, std::size_t{1000}}) {
    const std::size_t mine = world().rank() == 2 ? count : 10;
    EXPECT_EQ(ecl_average(rank.node, values.data(), mine), ECL_USAGE);
    const std::string what = ecl_error();
    EXPECT_EQ(what.substr(0, 10), "rank 2 on ");
    EXPECT_NE(what.find(" averages " + std::to_string(count) + " values, and rank 0 10; all ranks give as many"),
              std::string::npos)
        << what;
  }
  ASSERT_EQ(ecl_average(rank.node, values.data(), 10), ECL_OK) << ecl_error();
  EXPECT_EQ(values[9], 1.5f);
  EXPECT_EQ(values[10], static_cast<float>(world().rank())) << "nothing of it was averaged before";
}

TEST(Gathering, OfMoreThanMpiCountsIsRefused) {
  ASSERT_EQ(ecl_init(), ECL_OK) << ecl_error();
  const std::string mine(16, 'a');  // as many as are left of such a number in 32 bits
  std::string all(mine.size() * world().size(), '-');
  const std::string before = all;
  EXPECT_EQ(ecl_gather(mine.data(), std::size_t{1} << 32 | mine.size(), all.data()), ECL_USAGE);
  EXPECT_EQ(std::string(ecl_error()),
            "each rank gathers 4294967312 bytes at once, and may gather at most 2147483647; gather them in several "
            "calls");
  EXPECT_EQ(all, before);
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

// Last, so with a parameter: ranks that were left can neither close their nodes nor open others.
class ZLost : public testing::TestWithParam<const char*> {};

TEST_P(ZLost, InLockStepARankThatEndsEarlyIsNamed) {
  const Floats zero(10);
  Opened rank({"lr=0.1", GetParam()}, zero);
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
  EXPECT_EQ(ecl_step(rank.node, gradient.data()), ECL_RANK_LOST);
  EXPECT_EQ(ecl_error(), what);
  EXPECT_EQ(Opened({"lr=0.1"}, zero).code, ECL_RANK_LOST);
}
INSTANTIATE_TEST_SUITE_P(At, ZLost, testing::Values("mode=lock-step"));

}  // namespace
}  // namespace ecl
