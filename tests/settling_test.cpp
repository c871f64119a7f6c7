// What follows a run's last step: the nodes exchange until they agree. And that every run, however short, exchanges.
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ecl/contracts/solver.hpp"
#include "tests/support/command.hpp"
#include "tests/support/jobs.hpp"
#include "tests/support/run_directory.hpp"
#include "tests/support/simulated.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

struct Ended {
  Outcome outcome;
  Json summary;
  double number(const char* key) const { return summary[key].get<double>(); }
};

Ended run_to_end(std::vector<std::string> command) {
  const Scratch scratch;
  command.insert(command.end(), {"--quiet", "--out", (scratch / "a").string()});
  Ended ended{run(command), {}};
  EXPECT_EQ(ended.outcome.exit_code, 0) << ended.outcome.err;
  ended.summary = summary_of(scratch / "a");
  expect_complete(ended.summary);
  return ended;
}
Ended simulate(const std::string& options) { return run_to_end(tool("simulate " + options)); }
Ended train(int ranks, const std::string& options) { return run_to_end(tool_on(ranks, "train " + options)); }

// --- agreement, by every solver that exchanges ---

class Agreement : public testing::TestWithParam<std::string> {};

/// Eight steps on two classes each leave the nodes far apart; no gradient follows.
TEST_P(Agreement, FollowsTheLastStep) {
  Spec spec;
  spec.local_steps = 4;
  spec = for_solver(spec, GetParam());
  const std::string options = "--solver " + GetParam() + " --topology " + spec.topology + " --mode " + spec.mode +
                              " --local-steps " + std::to_string(spec.local_steps) + " --partition classes:2 --steps 8";
  const Ended apart = simulate(options + " --settle 0"), agreed = simulate(options);
  EXPECT_EQ(agreed.summary["verdict"], "converged");
  EXPECT_LE(agreed.number("consensus_error"), 0.01);
  EXPECT_EQ(agreed.outcome.err, "");
  EXPECT_EQ(agreed.number("steps"), apart.number("steps"));
  EXPECT_EQ(apart.number("settle_rounds"), 0);
  if (spec.topology == "star") return;  // a server brings them together, as soon as it has heard all
  EXPECT_EQ(apart.summary["verdict"], apart.number("consensus_error") <= 0.01 ? "converged" : "finished");
  EXPECT_GT(agreed.number("settle_rounds"), 0);
}

std::vector<std::string> those_that_exchange() {
  std::vector<std::string> names;
  for (const auto& entry : solvers().entries())
    if (entry.name != "local") names.push_back(entry.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Settling, Agreement, testing::ValuesIn(those_that_exchange()),
                         [](const auto& test) { return test.param; });

/// Exchanges with a step of size 0 are averaging: they do not move the mean. Asked of ecl and of plain gossip.
TEST(Settling, LeavesTheMeanWhereItWas) {
  for (const char* solver : {"ecl", "dpsgd", "d2", "gradient_tracking"}) {
    Spec spec = for_solver(quadratics(8, 16), solver);
    spec.mode = "lock-step";
    spec.local_steps = 4;
    Simulation simulation(spec);
    simulation.run(16);
    simulation.settle(1);  // ecl: from w to the centres
    std::vector<std::vector<float>> models[2];
    for (auto& copies : models) {
      for (const auto& node : simulation.nodes()) copies.emplace_back(node.x().begin(), node.x().end());
      simulation.settle(24);
    }
    const auto mean = [](const std::vector<std::vector<float>>& all) { return mean_of({all.begin(), all.end()}); };
    const auto error = [](const std::vector<std::vector<float>>& all) {
      return consensus_error({all.begin(), all.end()});
    };
    const std::vector<double> before = mean(models[0]), after = mean(models[1]);
    EXPECT_LT(relative_distance(std::vector<float>(after.begin(), after.end()), before), 1e-5) << solver;
    EXPECT_LT(error(models[1]), error(models[0]) / 100) << solver;
  }
}

// --- when it ends, and what is said ---

TEST(Settling, SaysSoWhenTheNodesDoNotAgree) {
  const std::string short_run = "--partition classes:2 --steps 8 --local-steps 4 ";
  for (const char* limit : {"--settle 0", "--settle 2", "--settle-s 0"}) {
    const Ended ended = simulate(short_run + limit);
    EXPECT_EQ(ended.summary["verdict"], "finished");
    EXPECT_EQ(ended.outcome.err.rfind("ecl: warning: the nodes do not agree: consensus error ", 0), 0u) << limit;
    ASSERT_EQ(ended.summary["warnings"].size(), 1u) << limit;
  }
  EXPECT_EQ(simulate(short_run + "--settle 2 --mode lock-step").number("settle_rounds"), 2);
  const Ended over_ranks =
      train(4, "--partition classes:2 --steps 8 --settle 2 --mode lock-step --consensus-error 1e-9");
  EXPECT_EQ(over_ranks.number("settle_rounds"), 2);
  EXPECT_NE(over_ranks.outcome.err.find(", after 2 exchanges that followed the last step; train longer, try a smaller "
                                        "--lr, or a larger --settle"),
            std::string::npos)
      << over_ranks.outcome.err;
  EXPECT_EQ(simulate(short_run + "--settle 0 --consensus-error 10").summary["verdict"], "converged");
}

TEST(Settling, SaysSoWhenNobodyHeardAnybody) {
  const Ended ended = simulate("--nodes 4 --steps 20 --drop 1 --settle 20");
  EXPECT_EQ(ended.summary["messages_taken"], 0);
  EXPECT_NE(ended.outcome.err.find("ecl: warning: no node has read a message"), std::string::npos);
  EXPECT_EQ(ended.summary["warnings"].size(), 1u);
  EXPECT_EQ(simulate("--nodes 4 --steps 20 --solver local").outcome.err, "") << "local means: each alone";
}

/// Messages that are lost, late and damaged, nodes of unlike speed: agreement all the same.
TEST(Settling, StandsFaults) {
  const Ended ended = simulate(
      "--partition classes:2 --epochs 20 --drop 0.3 --tear 0.1 --duplicate 0.2 --latency-s 0.01 --node-speed 0:4");
  EXPECT_EQ(ended.summary["verdict"], "converged");
  EXPECT_GT(ended.number("settle_rounds"), 0);
  EXPECT_GT(ended.number("test_accuracy_min"), ended.number("test_accuracy_mean") - 3);
}

/// Who is done answers neighbours that still train, once a round of theirs however often they exchange in it, and only
/// those: what they say reaches all.
TEST(Settling, AnswersThoseWhoStillTrainOnceARound) {
  for (const char* exchanges : {"1", "4"}) {
    const std::string options =
        std::string("--partition classes:2 --epochs 40 --local-steps 8 --settle-s 0 --exchanges ") + exchanges + " ";
    const Ended all = simulate(options), slow = simulate(options + "--node-speed 1:4");
    const double rounds_alone = 0.75 * slow.number("rounds");  // node 1's, once its neighbour 0 is done
    EXPECT_NEAR(slow.number("settle_rounds"), rounds_alone, 0.2 * rounds_alone) << exchanges;
    EXPECT_GT(slow.number("test_accuracy_min"), all.number("test_accuracy_min") - 3) << exchanges;
  }
}

TEST(Settling, OverRanks) {
  const std::string apart = "--partition classes:3 --steps 8 --local-steps 4 ";
  for (const char* mode : {"--mode lock-step", "--mode async"}) {
    const Ended agreed = train(4, apart + mode), cut = train(4, apart + mode + " --settle 0");
    EXPECT_EQ(agreed.summary["verdict"], "converged") << mode;
    EXPECT_LE(agreed.number("consensus_error"), 0.01) << mode;
    EXPECT_EQ(cut.summary["verdict"], "finished") << mode;
    EXPECT_EQ(count(cut.outcome.err, "ecl: warning: "), 1u) << cut.outcome.err;
  }
}

/// A rank that hears the signal while it settles: the run ends in good order, and goes on from where it was.
TEST(Settling, CanBeInterruptedAndResumed) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  const std::string options =
      "train --quiet --partition classes:3 --steps 40 --settle 1000000000 --settle-s 3 --consensus-error 1e-30 --out ";
  Process process(contained(tool_on(4, options + out), scratch));
  const auto settles = [&] { return ranks_of(process.id()).size() == 4 && fs::exists(out + "/status.json"); };
  if (!process.wait_until(settles, 60)) GTEST_SKIP() << "the ranks' processes are not to be found";
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  for (const pid_t rank : ranks_of(process.id())) kill(rank, SIGTERM);
  const Outcome outcome = process.wait(60);
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 75) << outcome.err;
  EXPECT_EQ(summary_of(out)["verdict"], "preempted");
  const Outcome resumed = run(tool_on(4, "train --quiet --resume " + out));
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(summary_of(out)["steps"], 160);
}

// --- rounds ---

constexpr int kExchanges = 4;  // a round of ecl has

/// Fewer steps than K: the round is as long as there are steps, and a last one may be shorter.
TEST(Rounds, TheLastOneMayBeShorter) {
  struct Case {
    int steps, local_steps, rounds;
  };
  for (const auto& [steps, local_steps, rounds] : {Case{5, 8, 1}, Case{12, 8, 2}, Case{16, 8, 2}, Case{1, 1, 1}}) {
    for (const char* mode : {"async", "lock-step"}) {
      const Ended ended = simulate("--nodes 4 --settle 0 --consensus-error 10 --steps " + std::to_string(steps) +
                                   " --local-steps " + std::to_string(local_steps) + " --mode " + mode);
      EXPECT_EQ(ended.summary["rounds"], rounds);
      EXPECT_EQ(ended.summary["messages_sent"], 4 * 2 * rounds * kExchanges) << steps << " steps, " << mode;
    }
  }
  EXPECT_EQ(count(run(tool("simulate --dry-run --local-steps 8 --steps 12")).out, "12 steps on each node, in 2 rounds"),
            1u);
  EXPECT_EQ(count(run(tool("simulate --dry-run --local-steps 8 --steps 5")).out, "5 steps on each node, in 1 round,"),
            1u);
}

TEST(Rounds, AShortRunMovesTheModel) {
  const double untrained = 7.5, alone = simulate("--nodes 64 --epochs 2 --solver local").number("test_accuracy_mean");
  const Ended ended = simulate("--nodes 64 --epochs 2 --local-steps 8");
  EXPECT_EQ(ended.summary["rounds"], 1);
  EXPECT_EQ(ended.summary["verdict"], "converged");
  EXPECT_GT(ended.number("test_accuracy_min"), 5 * untrained);
  EXPECT_GT(ended.number("test_accuracy_min"), alone) << "what no communication gives";
}

/// Where nobody says how long: small data get more epochs, short runs more rounds.
TEST(Rounds, AreEnoughByDefault) {
  const auto said = [](const std::string& options) { return run(tool("simulate --dry-run " + options)).out; };
  // 1,438 samples of digits on 8 nodes are 5.6 steps of 32 an epoch: 142.4 epochs are 800 steps.
  EXPECT_EQ(count(said(""), "800 steps on each node, in 200 rounds, 142 evaluations"), 1u) << said("");
  EXPECT_EQ(count(said("--epochs 10"), "57 steps on each node, in 57 rounds"), 1u);
  EXPECT_EQ(count(said("--steps 2000"), "2000 steps on each node, in 250 rounds"), 1u);                  // K = 8
  EXPECT_EQ(count(said("--local-steps 2 --steps 1000"), "1000 steps on each node, in 500 rounds"), 1u);  // as said
  EXPECT_EQ(count(said("--nodes 64"), "200 steps on each node, in 200 rounds"), 1u);                     // 200 epochs
  EXPECT_EQ(count(said("--batch 1"), "1798 steps on each node, in 225 rounds, 10 evaluations"), 1u);     // 10 epochs
  const Ended ended = simulate("--partition classes:2");
  EXPECT_GT(ended.number("test_accuracy_min"), 95);  // 10 epochs with K = 8: 91.4
}

TEST(Rounds, ShortRunsOfUnlikeShardsAreBetterThanNoCommunication) {
  for (const char* data :
       {"--partition classes:2", "--partition classes:3 --epochs 20", "--partition classes:2 --nodes 32"}) {
    const double alone = simulate(std::string(data) + " --solver local").number("test_accuracy_mean");
    EXPECT_GT(simulate(data).number("test_accuracy_min"), alone + 20) << data;
  }
}

/// ecl's velocity in the first rounds is a mean of the gradients in which its start, 0, counts as four: on one node,
/// with one gradient for ever, t / (t + 4) of that; then beta rules.
TEST(Rounds, EclsVelocityIsAMeanAtFirst) {
  const Graph graph(1, {}, "alone");
  const std::vector<float> initial = {1, -2};
  const Floats gradient = {3, 5};
  const auto solver = make_solver(Choice::parse("ecl:beta=0.9"), {graph, 0, initial, 0.1, 2});
  std::vector<float> x = initial;
  double velocity = 0;
  for (int round = 1; round <= 40; ++round) {
    const double before = x[0];
    for (int k = 0; k < 2; ++k) solver->descend(x, gradient, 0.1);
    solver->end_round(x, 2, 0.1);
    velocity = round <= 6 ? round / (round + 4.0) : 0.9 * velocity + 0.1;  // 9 / 10 is beta
    EXPECT_NEAR((before - x[0]) / (0.1 * 2 * 3), velocity, 1e-5) << "round " << round;
  }
}

}  // namespace
}  // namespace ecl::test
