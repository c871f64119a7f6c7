// Declared experiments (bench/convergence): what they run, what they run again, what they refuse. Tables only, since
// the pictures need matplotlib.
#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/command.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

/// Two solvers with two trials each, on the data set that is compiled in: a second or so.
constexpr const char* kDeclaration = R"([experiment]
title = Tiny
seeds = 1 2

[options]
dataset = digits
batch = 32
nodes = 4
epochs = 2

[cases]
local-steps = 2 8
mode = lock-step

[tuning]
trials = 2
seeds = 11
epochs = 1
local-steps = 8

[solver ecl]
lr = 0.05
set theta = 0.5 1

[solver dpsgd]
lr = 1e-6 0.1
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

class Bench : public testing::Test {
 protected:
  /// `scripts/bench tiny OPTIONS` without its installing and building.
  Outcome bench(const std::string& declaration, const std::string& options = "") const {
    write_file(scratch_ / "tiny.ini", declaration);
    return ecl::test::run(
        words_of(ECL_PYTHON " -B " ECL_SOURCE_DIR "/bench/convergence/run.py --tool " ECL_TOOL " --no-plots --runs " +
                 (scratch_ / "runs").string() + " " + (scratch_ / "tiny.ini").string() + " " + options));
  }
  fs::path folder() const { return scratch_ / "runs" / "tiny"; }

  std::map<std::string, std::string> report() const {
    std::map<std::string, std::string> files;
    for (const char* name : {"table.md", "results.csv", "tuning.json"}) files[name] = read_file(folder() / name);
    return files;
  }

  /// When each run ended; a run that is done again shows.
  std::map<std::string, fs::file_time_type> runs() const {
    std::map<std::string, fs::file_time_type> ended;
    if (!fs::exists(folder() / "jobs")) return ended;
    for (const auto& entry : fs::directory_iterator(folder() / "jobs"))
      ended[entry.path().filename().string()] = fs::last_write_time(entry.path() / "summary.json");
    return ended;
  }

  Scratch scratch_;
};

TEST_F(Bench, RunsOnceAndAlwaysReportsTheSame) {
  const Outcome first = bench(kDeclaration);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const auto files = report();
  const auto ended = runs();
  EXPECT_EQ(ended.size(), 2u * 2u + 2u * 2u * 2u);  // two solvers: two trials, then two cases on two seeds
  for (const char* part : {"ecl", "dpsgd", " ± ", "Worst node", "Sent by all nodes", "lr 0.1 (edge)"})
    EXPECT_NE(files.at("table.md").find(part), std::string::npos) << part << "\n" << files.at("table.md");

  const Outcome second = bench(kDeclaration);
  EXPECT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(second.err, "");
  EXPECT_EQ(runs(), ended);
  EXPECT_EQ(report(), files);

  fs::remove_all(folder());
  EXPECT_EQ(bench(kDeclaration).exit_code, 0);
  EXPECT_EQ(report(), files);
}

TEST_F(Bench, GoesOnWhereItWasStopped) {
  ASSERT_EQ(bench(kDeclaration).exit_code, 0);
  const auto files = report();
  const auto ended = runs();
  const std::string torn = ended.begin()->first;
  write_file(folder() / "jobs" / torn / "summary.json", "{\"verdict\": \"pree");
  ASSERT_EQ(bench(kDeclaration).exit_code, 0);
  for (const auto& [run, time] : runs()) EXPECT_EQ(time != ended.at(run), run == torn) << run;
  EXPECT_EQ(report(), files);
}

TEST_F(Bench, TheBetterTrialWinsAndIsRecorded) {
  ASSERT_EQ(bench(kDeclaration, "--solver dpsgd --case local-steps=8").exit_code, 0);
  const auto tuning = nlohmann::json::parse(report().at("tuning.json"));
  ASSERT_EQ(tuning.size(), 1u);
  EXPECT_EQ(tuning[0]["solver"], "dpsgd");
  EXPECT_EQ(tuning[0]["winner"]["lr"], "0.1");
  ASSERT_EQ(tuning[0]["trials"].size(), 2u);
  EXPECT_GT(tuning[0]["trials"][1]["score"], tuning[0]["trials"][0]["score"]);
}

TEST_F(Bench, ReportsDivergenceAsAResult) {
  const Outcome outcome = bench(replaced(kDeclaration, "lr = 1e-6 0.1", "lr = 1e8 1e9"));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(report().at("table.md").find("diverged 2/2"), std::string::npos) << report().at("table.md");
}

TEST_F(Bench, APlanRunsNothing) {
  const Outcome outcome = bench(kDeclaration, "--dry-run");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("12 runs"), std::string::npos) << outcome.out;
  EXPECT_FALSE(fs::exists(folder()));
}

TEST_F(Bench, AMistakeInALaterExperimentShowsBeforeTheFirstRuns) {
  write_file(scratch_ / "later.ini", replaced(kDeclaration, "dataset = digits", "dataset = cifar10\ndata = missing"));
  const Outcome outcome = bench(kDeclaration, (scratch_ / "later.ini").string());
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_NE(outcome.err.find("later.ini"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("scripts/fetch-data cifar10"), std::string::npos) << outcome.err;
  EXPECT_TRUE(runs().empty());
}

struct Misdeclared {
  const char *name, *from, *to;
  std::vector<std::string> parts;
};

class BenchRefuses : public Bench, public testing::WithParamInterface<Misdeclared> {};

TEST_P(BenchRefuses, InOneLineAndRunsNothing) {
  const Outcome outcome = bench(replaced(kDeclaration, GetParam().from, GetParam().to));
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_EQ(count(outcome.err, "\n"), 1u) << outcome.err;
  EXPECT_NE(outcome.err.find("tiny.ini"), std::string::npos) << outcome.err;
  for (const std::string& part : GetParam().parts)
    EXPECT_NE(outcome.err.find(part), std::string::npos) << part << "\n in: " << outcome.err;
  EXPECT_TRUE(runs().empty());
}

INSTANTIATE_TEST_SUITE_P(
    Declarations, BenchRefuses,
    testing::Values(Misdeclared{"UnknownKey", "batch =", "bach =", {"[options]", "bach", "did you mean batch?"}},
                    Misdeclared{"MissingKey", "title = Tiny\n", "", {"[experiment]", "title", "missing"}},
                    Misdeclared{"MissingSection", "[tuning]", "[options2]", {"[options2]", "no such section"}},
                    Misdeclared{"KeyTwice", "epochs = 1\n", "epochs = 1\nepochs = 1\n", {"tuning", "epochs"}},
                    Misdeclared{"NotANumber", "seeds = 1 2", "seeds = 1 two", {"[experiment]", "seeds", "whole"}},
                    Misdeclared{"ListAsOption", "batch = 32", "batch = 16 32", {"[options]", "batch", "one value"}},
                    Misdeclared{"UnequalTrials", "0.5 1", "0.5 0.7 1", {"[solver ecl]", "3 points", "trials"}},
                    Misdeclared{"NoSuchSolver", "[solver ecl]", "[solver ekl]", {"[solver ekl]", "did you mean 'ecl'"}},
                    Misdeclared{"NoSuchParameter", "set theta", "set thta", {"[solver ecl]", "did you mean 'theta'"}}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace ecl::test
