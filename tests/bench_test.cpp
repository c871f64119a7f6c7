// Declared experiments (bench/convergence): what they run, what they run again, what they refuse. Tables only, since
// the pictures need matplotlib. And scripts/sweep.
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

/// Two kinds of flowers; a and b say nothing.
std::string flowers(int first) {
  std::string rows = "width,height,a,b,kind\n";
  for (int n = first; n < first + 40; ++n)
    rows += std::to_string(n % 2 + 0.01 * n) + "," + std::to_string(3 - n % 2) + ",1," + std::to_string(n % 3) +
            (n % 2 ? ",iris\n" : ",rose\n");
  return rows;
}

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

  /// Python that can import the modules of a copy of bench/convergence; what it publishes stays beside the copy.
  Outcome python(const std::string& code) const {
    const fs::path copy = scratch_ / "bench" / "convergence";
    fs::create_directories(copy.parent_path());
    fs::copy(ECL_SOURCE_DIR "/bench/convergence", copy);
    return ecl::test::run({ECL_PYTHON, "-B", "-c", "import sys; sys.path.insert(0, '" + copy.string() + "')\n" + code});
  }

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
  const std::string torn = ended.begin()->first, stopped = ended.rbegin()->first;
  write_file(folder() / "jobs" / torn / "summary.json", "{\"verdict\": \"pree");
  write_file(folder() / "jobs" / stopped / "summary.json", R"({"verdict": "preempted"})");
  fs::remove(folder() / "jobs" / stopped / "tool");
  ASSERT_EQ(bench(kDeclaration).exit_code, 0);
  for (const auto& [run, time] : runs()) EXPECT_EQ(time != ended.at(run), run == torn || run == stopped) << run;
  EXPECT_EQ(report(), files);
}

TEST_F(Bench, KeepsRunsOfAnotherBuildOnlyWhenTold) {
  ASSERT_EQ(bench(kDeclaration).exit_code, 0);
  const std::string mark = "Several builds";
  EXPECT_EQ(report().at("table.md").find(mark), std::string::npos);
  const auto ended = runs();
  const fs::path jobs = folder() / "jobs";
  write_file(jobs / ended.begin()->first / "tool", "another\n");
  fs::remove(jobs / ended.rbegin()->first / "tool");

  const Outcome refused = bench(replaced(kDeclaration, "seeds = 1 2", "seeds = 1 2 3"));
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_EQ(count(refused.err, "\n"), 1u) << refused.err;
  for (const std::string& part : {"2 in " + fs::canonical(jobs).string(), std::string("--any-build")})
    EXPECT_NE(refused.err.find(part), std::string::npos) << part << "\n in: " << refused.err;
  EXPECT_EQ(runs(), ended);

  const Outcome kept = bench(kDeclaration, "--any-build");
  EXPECT_EQ(kept.exit_code, 0) << kept.err;
  EXPECT_EQ(runs(), ended);
  EXPECT_NE(report().at("table.md").find(mark), std::string::npos) << report().at("table.md");
}

/// In its summary the tool quotes them for a shell, so that they can be pasted.
TEST_F(Bench, OptionsMayHoldWhatAShellWouldReadOtherwise) {
  const std::string file = scratch_ / "flowers.csv";
  write_file(file, flowers(0));
  const std::string declaration =
      replaced(kDeclaration, "dataset = digits", "dataset = csv:label=kind,ignore=a|b\ndata = " + file);
  const Outcome first = bench(declaration);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_NE(report().at("tuning.json").find("'csv:label=kind,ignore=a|b'"), std::string::npos);
  const auto ended = runs();
  EXPECT_EQ(bench(declaration).exit_code, 0);
  EXPECT_EQ(runs(), ended);
}

TEST_F(Bench, ARunWithoutTheMetricStopsAllBeforeTheSecond) {
  for (int node = 0; node < 4; ++node)
    write_file(scratch_ / ("site" + std::to_string(node) + ".csv"), flowers(10 * node));
  const std::string data = "dataset = csv:label=LABEL,ignore=a|b\ndata = " + (scratch_ / "site{node}.csv").string();
  const std::string own = replaced(kDeclaration, "dataset = digits", replaced(data, "LABEL", "kind"));
  const std::string number =
      replaced(kDeclaration, "dataset = digits",
               "model = linear\nloss = mse\n" + replaced(replaced(data, "LABEL", "width"), "a|b", "a|b|kind"));
  for (const auto& [declaration, advice] : std::map<std::string, std::string>{
           {own, "set metric = test_accuracy_consensus"}, {number, "nor any other accuracy"}}) {
    fs::remove_all(folder());
    const Outcome outcome = bench(declaration);
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    EXPECT_NE(outcome.err.find("tiny.ini: [experiment] metric: the runs have no test_accuracy_mean"), std::string::npos)
        << outcome.err;
    EXPECT_NE(outcome.err.find(advice), std::string::npos) << outcome.err;
    EXPECT_EQ(runs().size(), 1u);
  }

  const Outcome cured = bench(replaced(own, "title = Tiny", "title = Tiny\nmetric = test_accuracy_consensus"));
  EXPECT_EQ(cured.exit_code, 0) << cured.err;
  const std::string table = report().at("table.md");
  const auto average = table.find("The average model:");
  EXPECT_EQ(count(table.substr(0, average), "| - | - |"), 4u) << table;  // two solvers, the nodes' mean and the worst
  EXPECT_NE(table.find(" ± ", average), std::string::npos) << table;
}

/// The grid is searched at K = 8 alone: what was tried lower there says nothing of K = 2.
TEST_F(Bench, AnEdgeIsOfTheRatesTriedInTheSameCase) {
  const std::string declaration = replaced(kDeclaration, "local-steps = 8\n", "local-steps = 8\nrefine = 1 1e9\n");
  const Outcome outcome = bench(declaration, "--solver dpsgd");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto tuning = nlohmann::json::parse(report().at("tuning.json"));
  ASSERT_EQ(tuning.size(), 2u);
  for (const auto& entry : tuning) {
    EXPECT_EQ(entry["winner"]["lr"], "0.1");
    EXPECT_EQ(entry["edge"], entry["cases"][0]["local-steps"] == "2") << entry.dump(1);
  }
  EXPECT_EQ(count(report().at("table.md"), " edge |"), 1u) << report().at("table.md");
}

TEST_F(Bench, APublishedReportReplacesOnlyWhatItMakes) {
  const fs::path published = scratch_ / "bench" / "results" / "tiny", made = scratch_ / "made";
  fs::create_directories(published), fs::create_directories(made);
  for (const char* name : {"table.md", "curves-gone.png", "by-hand.md"}) write_file(published / name, "old");
  for (const char* name : {"table.md", "curves-2.png"}) write_file(made / name, "new");
  const Outcome outcome = python("import pathlib, run\nrun.publish(pathlib.Path('" + made.string() + "'), 'tiny')");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(read_file(published / "table.md"), "new");
  EXPECT_EQ(read_file(published / "curves-2.png"), "new");
  EXPECT_FALSE(fs::exists(published / "curves-gone.png"));
  EXPECT_EQ(read_file(published / "by-hand.md"), "old");

  const Outcome without_pictures = bench(kDeclaration, "--publish");
  EXPECT_EQ(without_pictures.exit_code, 2);
  EXPECT_NE(without_pictures.err.find("--no-plots"), std::string::npos) << without_pictures.err;
}

TEST_F(Bench, APlanCountsEachExchange) {
  const Outcome outcome = python(R"(
from runner import make_job
def seconds(solver, exchanges):
    return make_job(solver, "simulate", {"solver": solver, **exchanges}, 1).seconds()
one, two, four = (seconds("ecl", {"exchanges": n}) for n in ("1", "2", "4"))
assert one < two and abs((four - one) - 3 * (two - one)) < 1e-9, (one, two, four)
for usual in {}, {"exchanges": "usual"}:
    assert seconds("ecl", usual) == four and seconds("dpsgd", usual) == one
assert seconds("dpsgd", {"exchanges": "auto:10"}) == four
)");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
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

class Sweep : public testing::Test {
 protected:
  /// `scripts/sweep WORDS`, its runs in the scratch directory.
  Outcome sweep(const std::string& words) const {
    fs::create_directory(scratch_ / "scripts"), fs::create_directory(scratch_ / "build");
    for (const std::string name : {"sweep", "table", "lib.sh"})
      fs::copy_file(ECL_SOURCE_DIR "/scripts/" + name, scratch_ / "scripts" / name);
    fs::create_symlink(ECL_TOOL, scratch_ / "build" / "ecl");
    return ecl::test::run(words_of((scratch_ / "scripts" / "sweep").string() + " " + words));
  }

  Scratch scratch_;
};

TEST_F(Sweep, RefusesTwoValuesOfOneDirectoryBeforeItRunsAny) {
  const Outcome outcome = sweep("--partition file:a/b iid file:a_b -- simulate");
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find("--partition file:a/b and file:a_b would share"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::exists(scratch_ / "runs"));
}

TEST_F(Sweep, ShowsTheOthersWhereAValueIsAMistake) {
  const Outcome outcome = sweep("--topology rong ring complete -- simulate --nodes 4 --epochs 1");
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_NE(outcome.err.find("no run with --topology rong;"), std::string::npos) << outcome.err;
  for (const char* name : {"\nring ", "\ncomplete "}) EXPECT_EQ(count(outcome.out, name), 1u) << outcome.out;
}

}  // namespace
}  // namespace ecl::test
