// The tool across several hosts, which tests/hosts/run emulates on this machine: over slow, far and failing networks a
// run ends in good order and learns what it learns on one host.
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/support/command.hpp"
#include "tests/support/jobs.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

constexpr int kSkipped = 77;

/// In lock step: what is learnt does not depend on how quick the machine is.
std::string training(const std::string& steps, const std::string& out) {
  return "train --mode lock-step --partition classes:4 --lr-schedule linear:0.5 --quiet --steps " + steps + " --out " +
         out;
}

constexpr double kAccuracy = 90;  // per cent, of the worst node; on one host it reaches 95 with as many steps

/// `mpirun COMMAND` on emulated hosts; `network`: options of tests/hosts/run, hosts, ranks per host.
std::vector<std::string> across(const std::string& network, const std::string& command) {
  return words_of(ECL_SOURCE_DIR "/tests/hosts/run " + network + " " + command);
}
std::vector<std::string> tool_across(const std::string& network, const std::string& options) {
  return across(network, ECL_TOOL " " + options);
}

void expect_trained(const Outcome& outcome, const std::string& out) {
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json summary = summary_of(out);
  expect_complete(summary);
  EXPECT_EQ(summary["verdict"], "converged");
  EXPECT_GT(summary["test_accuracy_min"], kAccuracy);
  EXPECT_EQ(summary["messages_torn"], 0);
}

struct Network {
  const char* name;
  const char* options;  ///< of tests/hosts/run
};

class Hosts : public testing::TestWithParam<Network> {};

TEST_P(Hosts, TrainAsOneHostDoes) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  const Outcome outcome = run(tool_across(GetParam().options, training("3000", out) + " --eval-every 0"));
  if (outcome.exit_code == kSkipped) GTEST_SKIP() << outcome.err;
  expect_trained(outcome, out);
}

INSTANTIATE_TEST_SUITE_P(HostsTest, Hosts,
                         testing::Values(Network{"two", "2 2"}, Network{"four", "4 2"},
                                         Network{"ten_megabits", "--rate 10 2 2"},
                                         Network{"one_millisecond", "--delay 1 --switch " ECL_SWITCH " 2 2"},
                                         Network{"four_one_millisecond", "--delay 1 --switch " ECL_SWITCH " 4 2"}),
                         [](const auto& test) { return test.param.name; });

/// Seconds between two evaluations of one node at most, as metrics.csv has them.
double longest_gap_s(const std::string& metrics) {
  std::map<std::string, double> last_s;
  double longest_s = 0;
  const auto lines = lines_of(metrics);
  for (std::size_t row = 1; row < lines.size(); ++row) {
    const std::size_t comma = lines[row].find(',');
    const double time_s = std::stod(lines[row].substr(0, comma));
    const std::string node = lines[row].substr(comma + 1, lines[row].find(',', comma + 1) - comma - 1);
    if (last_s.contains(node)) longest_s = std::max(longest_s, time_s - last_s[node]);
    last_s[node] = time_s;
  }
  return longest_s;
}

TEST(HostsTest, ACableThatIsOutForAWhileCostsTimeOnly) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string(), cut = (scratch / "cut").string();
  Process process(tool_across("--cut-while " + cut + " 2 2", training("15000", out) + " --eval-every 5"));
  const auto trains = [&] { return count(read_file(out + "/metrics.csv"), "\n") > 20; };
  if (process.wait_until(trains, 60)) {
    write_file(cut, "");
    process.wait_until([&] { return std::filesystem::exists(cut + ".out"); }, 60);
    std::this_thread::sleep_for(std::chrono::seconds(3));
    std::filesystem::remove(cut);
  }
  const Outcome outcome = process.wait(100);
  if (outcome.exit_code == kSkipped) GTEST_SKIP() << outcome.err;
  expect_trained(outcome, out);
  std::printf("the cable was out for 3 s; no node was silent for more than %.3f s\n",
              longest_gap_s(read_file(out + "/metrics.csv")));
}

TEST(HostsTest, ATenTimesSlowerRankIsWaitedForAtTheEndOnly) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  const Outcome outcome =
      run(tool_across("2 2", "train --epochs 30 --eval-every 0 --quiet --node-speed 1:10 --out " + out));
  if (outcome.exit_code == kSkipped) GTEST_SKIP() << outcome.err;
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_GT(summary_of(out)["test_accuracy_min"], 80);
}

/// Steps that are over before the first messages arrive: the nodes end in agreement all the same. ECL_SHORT_RUNS=20 for
/// as many runs.
TEST(HostsTest, ShortRunsEndInAgreement) {
  const char* wanted = std::getenv("ECL_SHORT_RUNS");
  for (int repetition = 0; repetition < (wanted ? std::atoi(wanted) : 3); ++repetition) {
    const Scratch scratch;
    const std::string out = (scratch / "a").string();
    const Outcome outcome = run(tool_across("2 2", "train --partition classes:3 --epochs 20 --quiet --out " + out));
    if (outcome.exit_code == kSkipped) GTEST_SKIP() << outcome.err;
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const Json summary = summary_of(out);
    EXPECT_EQ(summary["verdict"], "converged") << outcome.err;
    EXPECT_LE(summary["consensus_error"], 0.01);
    EXPECT_GE(summary["test_accuracy_min"].get<double>(), summary["test_accuracy_mean"].get<double>() - 3);
    EXPECT_GT(summary["test_accuracy_mean"], 40) << "how good it is the clock decides; each alone reaches 30";
  }
}

/// Across hosts MPI cannot go on without a rank: what is promised is an end.
TEST(HostsTest, AKilledRankEndsTheRun) {
  setenv("OMPI_MCA_odls_base_sigkill_timeout", "5", 1);  // a second is too short for a busy machine to say why
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  Process process(
      tool_across("2 2", "train --steps 1000000000 --eval-every 0 --quiet --checkpoint-every 1 --out " + out));
  const bool trains = process.wait_until([&] { return std::filesystem::exists(out + "/checkpoints/latest"); }, 60);
  if (!trains && process.wait(1).exit_code == kSkipped) GTEST_SKIP() << process.err();
  ASSERT_TRUE(trains) << process.err();
  const auto ranks = ranks_of(process.id());
  ASSERT_EQ(ranks.size(), 4u);
  kill(ranks.back(), SIGKILL);
  const Outcome outcome = process.wait(60);
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_EQ(count(outcome.err, "ecl: node 3 has died, and the run ends with it; the last checkpoint is " + out), 1u)
      << outcome.err;
}

TEST(HostsTest, ARankThatThrowsEndsTheJob) {
  const Outcome outcome = run(across("2 2", ECL_THROWING_RANK));
  if (outcome.exit_code == kSkipped) GTEST_SKIP() << outcome.err;
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
}

TEST(HostsTest, TooLittleSharedMemoryIsOneClearLine) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  const Outcome outcome = run(tool_across("--shm 20m 1 4", "train --model mlp --hidden 5000 --out " + out));
  if (outcome.exit_code == kSkipped) GTEST_SKIP() << outcome.err;
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 5);
  EXPECT_EQ(count(outcome.err, "ecl: "), 1u) << outcome.err;
  EXPECT_NE(outcome.err.find("MB of shared memory"), std::string::npos) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace ecl::test
