// The tool under mpirun, as a user starts it. mpirun adds words of its own to a failure, so what counts there is that
// ecl's line comes exactly once.
#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/command.hpp"
#include "tests/support/jobs.hpp"
#include "tests/support/mistakes.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

/// The lines that ecl itself said.
std::vector<std::string> ecl_lines(const std::string& err) {
  auto lines = lines_of(err);
  std::erase_if(lines, [](const std::string& line) { return line.rfind("ecl: ", 0) != 0; });
  return lines;
}

class Ranks : public testing::TestWithParam<int> {};

TEST_P(Ranks, TrainQuietly) {
  const int ranks = GetParam();
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  const Outcome outcome = run(tool_on(ranks, "train --epochs 2 --quiet --out " + out));
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(count(outcome.out, "converged: ecl on ring, " + std::to_string(ranks) + " nodes"), 1u) << outcome.out;
  EXPECT_EQ(count(outcome.out, "test accuracy"), 1u) << outcome.out;
  const Json summary = summary_of(out);
  expect_complete(summary);
  EXPECT_EQ(summary["nodes"], ranks);
  EXPECT_EQ(summary["messages_torn"], 0);
  expect_metrics(read_file(out + "/metrics.csv"), ranks, 2);
  EXPECT_EQ(parameters_of(out).size(), 650u);
}

INSTANTIATE_TEST_SUITE_P(ToolMpi, Ranks, testing::Values(1, 2, 3, 5, 8, 16), testing::PrintToStringParamName());

struct Case {
  Mistake mistake;
  int ranks;
};

/// Mistakes that one rank cannot show, and one of each stage at which a mistake is found.
const std::vector<Case> kCases = {
    {{"unknown_option", "--lokal-steps 3", {"unknown option --lokal-steps", "did you mean '--local-steps'?"}}, 4},
    {{"unknown_solver", "--solver ekl", {"unknown solver 'ekl'", "did you mean 'ecl'?"}}, 4},
    {{"set_out_of_range", "--set theta=7", {"theta = 7"}}, 4},
    {{"torn_csv", "--dataset csv --data {}/torn.csv", {"torn.csv:3:3"}, 5}, 4},
    {{"torus_of_seven", "--topology torus", {"topology torus", "7 nodes", "6 or 8"}}, 7},
    {{"graph_in_pieces", "--topology file:{}/pieces.txt", {"pieces.txt", "in pieces", "connected"}}, 4},
    {{"no_such_graph", "--topology file:{}/nosuch", {"topology file", "nosuch"}}, 2},
    {{"more_nodes_than_samples", "--dataset csv --data {}/four.csv", {"5 nodes", "samples"}}, 5},
    {{"node_speed_nobody", "--node-speed 3:2", {"--node-speed", "no node 3"}}, 3},
};

class RefusedUnderMpirun : public testing::TestWithParam<Case> {};

TEST_P(RefusedUnderMpirun, InOneLineAndNothingIsWritten) {
  const auto& [mistake, ranks] = GetParam();
  const Scratch scratch;
  write_inputs(scratch.path());
  const std::string options = in_directory(mistake.options, scratch.path());
  const std::string out = (scratch / "runs").string();
  const Outcome outcome = run(tool_on(ranks, "train --out " + out + " " + options));
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, mistake.exit_code);
  EXPECT_EQ(outcome.out.find("converged"), std::string::npos);
  EXPECT_EQ(outcome.err.find("MPI_ABORT"), std::string::npos) << outcome.err;
  const auto lines = ecl_lines(outcome.err);
  ASSERT_EQ(lines.size(), 1u) << outcome.err;
  for (const std::string& part : mistake.parts) EXPECT_NE(lines[0].find(part), std::string::npos) << lines[0];
  EXPECT_FALSE(fs::exists(out));
}

INSTANTIATE_TEST_SUITE_P(ToolMpi, RefusedUnderMpirun, testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.mistake.name; });

TEST(TrainOverRanks, AModelThatTheLastRoundRuinedHasDivergedOnAllRanks) {
  const Outcome outcome = run(tool_on(4, "train --steps 8 --local-steps 8 --lr 1e5 --quiet"));
  EXPECT_EQ(outcome.exit_code, 4) << outcome.err;
  EXPECT_EQ(count(outcome.out, "diverged: ecl on ring, 4 nodes"), 1u) << outcome.out;
}

TEST(ToolMpi, RefusesAnOutThatHoldsSomethingAndLeavesItAlone) {
  const Scratch scratch;
  write_file(scratch / "notes.txt", "dear diary");
  const Outcome outcome = run(tool_on(3, "train --epochs 1 --out " + scratch.path().string()));
  EXPECT_EQ(outcome.exit_code, 2);
  const auto lines = ecl_lines(outcome.err);
  ASSERT_EQ(lines.size(), 1u) << outcome.err;
  EXPECT_NE(lines[0].find("something is there already"), std::string::npos) << lines[0];
  EXPECT_EQ(contents(scratch.path()), std::set<std::string>{"notes.txt"});
}

TEST(ToolMpi, HelpAndConfigComeOnce) {
  const Outcome help = run(tool_on(3, "train --help"));
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_EQ(count(help.out, "--lr-schedule"), 1u);
  const Outcome config = run(tool_on(3, "train --print-config"));
  EXPECT_EQ(config.exit_code, 0);
  EXPECT_EQ(count(config.out, "lr-schedule = "), 1u);
}

TEST(ToolMpi, EndsADivergingRunInGoodOrder) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  const Outcome outcome = run(tool_on(4, "train --model mlp --lr 1e6 --quiet --out " + out));
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 4);
  EXPECT_EQ(count(outcome.out, "diverged"), 1u) << outcome.out;
  const Json summary = summary_of(out);
  expect_complete(summary);
  EXPECT_EQ(summary["verdict"], "diverged");
}

/// Lock step depends on nothing but the seed: all but the time column is the same twice.
TEST(ToolMpi, LockStepIsTheSameTwice) {
  const Scratch scratch;
  const auto untimed = [&](const std::string& name) {
    const std::string out = (scratch / name).string();
    EXPECT_EQ(run(tool_on(4, "train --mode lock-step --epochs 3 --quiet --out " + out)).exit_code, 0);
    std::string text;
    for (const std::string& line : lines_of(read_file(out + "/metrics.csv")))
      text += line.substr(line.find(',')) + "\n";
    return text;
  };
  const std::string first = untimed("a");
  EXPECT_EQ(count(first, "\n"), 1u + 4 * 3);
  EXPECT_EQ(untimed("b"), first);
}

struct Signalled {
  const char* name;
  int every;  ///< epochs between evaluations
  bool all;   ///< the ranks, or one of them
};

class Stopped : public testing::TestWithParam<Signalled> {};

/// A job scheduler signals all ranks. If one alone hears of it, it tells the others.
TEST_P(Stopped, EndsInGoodOrder) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  const std::string every = std::to_string(GetParam().every);
  Process process(tool_on(3, "train --quiet --steps 10000000 --eval-every " + every + " --out " + out));
  ASSERT_TRUE(process.wait_until([&] { return fs::exists(out + "/metrics.csv"); }, 60)) << process.err();
  const auto ranks = ranks_of(process.id());
  if (ranks.empty()) GTEST_SKIP() << "this launcher keeps its ranks elsewhere";
  ASSERT_EQ(ranks.size(), 3u);
  for (const pid_t rank : ranks)
    if (GetParam().all || rank == ranks.back()) kill(rank, SIGTERM);
  const Outcome outcome = process.wait(60);
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 75) << outcome.err;
  EXPECT_EQ(count(outcome.out, "preempted"), 1u) << outcome.out;
  const Json summary = summary_of(out);
  expect_complete(summary);
  EXPECT_EQ(summary.value("verdict", ""), "preempted");
}

INSTANTIATE_TEST_SUITE_P(ToolMpi, Stopped,
                         testing::Values(Signalled{"all_ranks", 0, true}, Signalled{"one_rank", 0, false},
                                         Signalled{"one_rank_often_evaluated", 100, false}),
                         [](const auto& test) { return test.param.name; });

/// What a rank finds whose mpirun is another MPI's: it is alone, and told that it is not.
std::vector<std::string> alone_among_four(int rank, const std::string& options) {
  const bool open_mpi = run(tool("--version")).out.find("Open MPI") != std::string::npos;
  const std::string number = open_mpi ? "PMI_RANK=" : "OMPI_COMM_WORLD_RANK=",
                    size = open_mpi ? "PMI_SIZE=4" : "OMPI_COMM_WORLD_SIZE=4";
  return words_of("env " + number + std::to_string(rank) + " " + size + " " ECL_TOOL " " + options);
}

TEST(ToolMpi, RanksThatAreEachAloneDoNotTrain) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  const Outcome first = run(alone_among_four(0, "train --steps 5 --out " + out));
  EXPECT_EQ(first.exit_code, 2);
  ASSERT_EQ(ecl_lines(first.err).size(), 1u) << first.err;
  EXPECT_NE(first.err.find("started 4 ranks, but each is alone: ecl was built with "), std::string::npos) << first.err;
  EXPECT_FALSE(fs::exists(out));
  const Outcome third = run(alone_among_four(2, "train --steps 5"));
  EXPECT_EQ(third.exit_code, 2);
  EXPECT_EQ(third.out + third.err, "") << "it is said once";
  const Outcome doctor = run(alone_among_four(0, "doctor"));
  EXPECT_EQ(doctor.exit_code, 5);
  EXPECT_NE(doctor.out.find("ranks      ACT   an mpi"), std::string::npos) << doctor.out;
  EXPECT_EQ(run(alone_among_four(0, "data")).exit_code, 2);
}

/// Each of them would do all of it. A launcher that started one process is only in the way.
TEST(ToolMpi, WhatIsOneProcessIsNotStartedSeveralTimes) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  const Outcome outcome = run(tool_on(2, "simulate --nodes 2 --steps 5 --out " + out));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(ecl_lines(outcome.err),
            std::vector<std::string>{"ecl: ecl simulate is one process: leave out mpirun, or use ecl train"});
  EXPECT_EQ(outcome.err.find("MPI_ABORT"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::exists(out));
  const Outcome replay = run(tool_on(2, "replay " + out));
  EXPECT_EQ(replay.exit_code, 2);
  EXPECT_EQ(ecl_lines(replay.err), std::vector<std::string>{"ecl: ecl replay is one process: leave out mpirun"});
  EXPECT_EQ(run(tool_on(1, "simulate --nodes 2 --steps 5 --quiet")).exit_code, 0);
}

TEST(ToolMpi, ASlurmBatchScriptIsNoRank) {
  const auto outcome = run(words_of("env SLURM_PROCID=0 SLURM_NTASKS=4 " ECL_TOOL " predict /nowhere --data x"));
  EXPECT_EQ(count(outcome.err, "without mpirun"), 0u) << outcome.err;
  EXPECT_NE(outcome.err.find("/nowhere"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace ecl::test
