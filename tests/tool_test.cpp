// The tool as a user sees it: command lines in, exit code and words out. Without mpirun; tool_runs_test has the files
// that runs leave, tool_mpi_test the rest.
#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ecl/base/params.hpp"
#include "tests/support/command.hpp"
#include "tests/support/expect_tool.hpp"
#include "tests/support/mistakes.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

// --- mistakes ---

class Refused : public testing::TestWithParam<std::tuple<const char*, Mistake>> {};

TEST_P(Refused, InOneLineAndNothingIsWritten) {
  const auto& [command, mistake] = GetParam();
  const Scratch scratch;
  write_inputs(scratch.path());
  const std::string options = in_directory(mistake.options, scratch.path());
  const std::string out = (scratch / "runs" / "a").string();
  expect_refusal(ecl(std::string(command) + " --out " + out + " " + options), mistake.exit_code, mistake.parts);
  EXPECT_FALSE(fs::exists(scratch / "runs"));
}

INSTANTIATE_TEST_SUITE_P(Tool, Refused,
                         testing::Combine(testing::Values("train", "simulate"), testing::ValuesIn(mistakes())),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param)) + "_" + std::get<1>(test.param).name;
                         });

const std::vector<Mistake> kOfTheSimulator = {
    {"nodes_zero", "--nodes 0", {"--nodes 0", "at least 1"}},
    {"exchange_is_trains",
     "--exchange messages",
     {"--exchange is an option of ecl train", "all nodes are in one process"}},
    {"record_is_trains", "--record", {"--record is an option of ecl train"}},
    {"stall_is_trains", "--stall-warn-s=3", {"--stall-warn-s is an option of ecl train"}},
    {"drop_above_one", "--drop 1.5", {"--drop 1.5", "0 .. 1"}},
    {"drop_negative", "--drop -0.5", {"--drop -0.5", "0 .. 1"}},
    {"tear_above_one", "--tear 2", {"--tear 2", "0 .. 1"}},
    {"latency_negative", "--latency-s -1", {"--latency-s -1", "at least 0"}},
    {"latency_infinite", "--latency-s inf", {"--latency-s inf", "finite"}},
    {"torus_of_seven", "--topology torus --nodes 7", {"topology torus", "7 nodes", "6 or 8"}},
    {"graph_in_pieces", "--topology file:{}/pieces.txt --nodes 4", {"pieces.txt", "in pieces", "connected"}},
    {"no_such_graph", "--topology file:{}/nosuch", {"topology file", "nosuch", "edge list"}},
    {"lock_step_solver_in_mode_async",
     "--solver d2",
     {"solver d2 needs every message of a round exactly once", "use mode lock-step, or solver ecl"}},
    {"lock_step_on_one_way_edges",
     "--solver sgp --topology directed_ring --mode lock-step",
     {"mode lock-step needs edges that work both ways", "use mode async, or an undirected topology such as ring"}},
    {"server_on_a_ring", "--solver fedavg --mode lock-step", {"solver fedavg needs a server: use topology star"}},
    {"nodes_against_placement", "--placement edge:4 --devices 8 --nodes 5", {"--placement edge:4", "4 nodes, not 5"}},
    {"more_nodes_than_samples", "--nodes 2000", {"2000 nodes", "1438 samples", "at most 1438"}},
    {"few_classes_for_few", "--nodes 2 --partition classes:2", {"2 nodes", "K = 2", "K = 5"}},
};

class RefusedBySimulate : public testing::TestWithParam<Mistake> {};

TEST_P(RefusedBySimulate, InOneLineAndNothingIsWritten) {
  const Mistake& mistake = GetParam();
  const Scratch scratch;
  write_inputs(scratch.path());
  const std::string options = in_directory(mistake.options, scratch.path());
  const std::string out = (scratch / "runs").string();
  expect_refusal(ecl("simulate --out " + out + " " + options), mistake.exit_code, mistake.parts);
  EXPECT_FALSE(fs::exists(out));
}

INSTANTIATE_TEST_SUITE_P(Tool, RefusedBySimulate, testing::ValuesIn(kOfTheSimulator),
                         [](const auto& test) { return test.param.name; });

TEST(Tool, RefusesAnUnknownCommand) {
  expect_refusal(ecl("trian --lr 1"), 2, {"unknown command 'trian'", "did you mean 'train'?", "ecl --help"});
  expect_refusal(ecl("qqqqqqqqqqqqq"), 2, {"unknown command 'qqqqqqqqqqqqq'", "ecl --help"});
}

TEST(Tool, ShowsItsHelpWhenNothingIsAsked) {
  const Outcome outcome = ecl("");
  EXPECT_EQ(outcome.exit_code, 2);
  expect_has(outcome.out, {"train", "simulate", "list", "topology", "data", "--version"});
}

TEST(Tool, TrainSendsASimulatorsOptionToTheSimulator) {
  expect_refusal(ecl("train --nodes 4"), 2, {"--nodes", "ecl simulate", "mpirun -n N"});
  expect_refusal(ecl("train --drop=0.1"), 2, {"--drop", "ecl simulate"});
  const Scratch scratch;
  const std::string config = (scratch / "config.ini").string();
  write_file(config, "nodes = 4\n");
  expect_refusal(ecl("train --config " + config), 2, {config + ": --nodes is an option of ecl simulate"});
}

TEST(Tool, RefusesOptionsThatWouldDoNothing) {
  expect_refusal(ecl("simulate --node-models"), 2, {"--node-models needs a directory", "give --out DIR"});
  expect_refusal(ecl("simulate --checkpoint-every 1"), 2, {"--checkpoint-every needs a directory"});
  // Of a run that was begun, maybe by an ecl that took them, the options are as they are.
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  expect_ok(ecl("simulate --nodes 2 --epochs 1 --quiet --out " + out));
  write_file(out + "/config.ini", read_file(out + "/config.ini") + "compare-local = true\n");
  expect_ok(ecl("evaluate " + out));
}

TEST(Tool, RefusesMistakesToTheSmallCommands) {
  const Scratch scratch;
  write_inputs(scratch.path());
  expect_refusal(ecl("topology"), 2, {"needs a name", "ecl topology ring -n 8"});
  expect_refusal(ecl("topology rng"), 2, {"unknown topology 'rng'", "did you mean 'ring'?"});
  expect_refusal(ecl("topology ring chain"), 2, {"'chain' is not an option", "ecl topology --help"});
  expect_refusal(ecl("topology ring --nodse 4"), 2, {"unknown option --nodse", "did you mean '--nodes'?"});
  expect_refusal(ecl("topology ring -n 0"), 2, {"-n 0", "at least 1"});
  expect_refusal(ecl("topology ring -n many"), 2, {"'many'"});
  expect_refusal(ecl("topology torus -n 7"), 2, {"topology torus", "7 nodes"});
  expect_refusal(ecl("topology ring --seed -1"), 2, {"--seed -1", "whole number"});
  expect_refusal(ecl("data --sed 4"), 2, {"unknown option --sed", "did you mean '--seed'?"});
  expect_refusal(ecl("data -n 5000"), 2, {"5000 nodes", "at most 1438"});
  expect_refusal(ecl("data --dataset csv --data " + (scratch / "torn.csv").string()), 5, {"torn.csv:3:3"});
  expect_refusal(ecl("list solvers"), 2, {"'solvers' is not an option", "ecl list --help"});
  const std::string dot = (scratch / "no" / "graph.dot").string();
  EXPECT_EQ(ecl("topology ring --dot " + dot).exit_code, 5);
}

class OutThatHoldsSomething : public testing::TestWithParam<const char*> {};

TEST_P(OutThatHoldsSomething, IsRefusedAndLeftAlone) {
  const Scratch scratch;
  fs::create_directory(scratch / "full");
  write_file(scratch / "full" / "notes.txt", "dear diary");
  write_file(scratch / "file", "mine");
  for (const char* name : {"full", "file"}) {
    const std::string out = (scratch / name).string();
    expect_refusal(ecl(std::string(GetParam()) + " --epochs 1 --out " + out), 2, {"--out", out, "another directory"});
  }
  EXPECT_EQ(contents(scratch.path()), (std::set<std::string>{"file", "full", "full/notes.txt"}));
  EXPECT_EQ(read_file(scratch / "full" / "notes.txt"), "dear diary");
  EXPECT_EQ(read_file(scratch / "file"), "mine");
}

TEST_P(OutThatHoldsSomething, IsRefusedTheSecondTimeWithTheFirstRunIntact) {
  const Scratch scratch;
  const std::string command = std::string(GetParam()) + " --epochs 1 --quiet --out " + (scratch / "a").string();
  expect_ok(ecl(command));
  const std::string first = read_file(scratch / "a" / "summary.json");
  expect_refusal(ecl(command), 2, {"something is there already"});
  EXPECT_EQ(read_file(scratch / "a" / "summary.json"), first);
}

INSTANTIATE_TEST_SUITE_P(Tool, OutThatHoldsSomething, testing::Values("train", "simulate"));

TEST(Tool, PlacementSaysHowManyNodesThereAre) {
  const Scratch scratch;
  const std::string first = (scratch / "a").string(), again = (scratch / "b").string();
  expect_ok(ecl("simulate --placement edge:3 --devices 12 --epochs 1 --quiet --out " + first));
  const Json summary = summary_of(first);
  EXPECT_EQ(summary["placement"], "edge:3");
  EXPECT_EQ(summary["devices"], 12);
  EXPECT_EQ(summary["nodes"], 3);
  EXPECT_EQ(summary["samples_moved"], summary["train_samples"]);
  EXPECT_EQ(summary["raw_bytes_moved"], summary["train_samples"].get<int>() * (64 * 1 + 4));
  expect_ok(ecl("simulate --quiet --config " + first + "/config.ini --out " + again));
  EXPECT_EQ(read_file(scratch / "b" / "metrics.csv"), read_file(scratch / "a" / "metrics.csv"));
  expect_refusal(ecl("train --placement edge:3 --devices 12"), 2,
                 {"--placement edge:3", "3 nodes, not 1", "mpirun -n 3"});
  expect_ok(ecl("train --placement cloud --devices 12 --epochs 1 --quiet"));
  expect_has(ecl("data --placement edge:3 --devices 12").out, {"iid over 12 devices, edge:3", "1438 samples left"});
}

TEST(Tool, AugmentationChangesWhatIsTrainedOnAndNotWhatIsEvaluated) {
  const Scratch scratch;
  const std::string plain = (scratch / "plain").string(), augmented = (scratch / "augmented").string();
  // The model stands still.
  const std::string options = "simulate --model mlp --solver local --epochs 2 --lr 1e-30 --quiet --out ";
  expect_ok(ecl(options + plain));
  expect_ok(ecl(options + augmented + " --augment crop-flip"));
  expect_has(read_file(fs::path(augmented) / "config.ini"), {"augment = crop-flip\n"});
  const auto rows = [](const std::string& run) { return lines_of(read_file(fs::path(run) / "metrics.csv")); };
  const auto one = rows(plain), other = rows(augmented);
  ASSERT_EQ(one.size(), other.size());
  const auto column = [&](const std::string& line, const std::string& name) {
    const auto names = split(one[0], ',');
    return split(line, ',').at(std::find(names.begin(), names.end(), name) - names.begin());
  };
  for (std::size_t r = 1; r < one.size(); ++r) {
    EXPECT_EQ(column(one[r], "loss"), column(other[r], "loss"));
    EXPECT_EQ(column(one[r], "accuracy"), column(other[r], "accuracy"));
    EXPECT_NE(column(one[r], "train_loss"), column(other[r], "train_loss"));
  }
}

// --- words for people ---

TEST(Tool, HelpNamesEveryOption) {
  const std::vector<std::string> shared = {
      "--dataset",    "--data",        "--partition", "--placement",   "--devices",      "--model",        "--hidden",
      "--topology",   "--solver",      "--set",       "--mode",        "--epochs",       "--steps",        "--batch",
      "--augment",    "--local-steps", "--lr",        "--lr-schedule", "--momentum",     "--weight-decay", "--seed",
      "--node-speed", "--eval-every",  "--out",       "--config",      "--print-config", "--quiet",        "--verbose"};
  const std::vector<std::string> simulated = {"--nodes",  "--latency-s", "--bandwidth-bytes-s", "--step-time-s",
                                              "--jitter", "--drop",      "--duplicate",         "--tear"};
  const auto has_option = [](const std::string& help, const std::string& option) {
    return help.find("  " + option + " ") != std::string::npos;
  };
  const Outcome train = ecl("train --help"), simulate = ecl("simulate --help");
  expect_ok(train), expect_ok(simulate);
  for (const std::string& option : shared) {
    EXPECT_TRUE(has_option(train.out, option)) << option;
    EXPECT_TRUE(has_option(simulate.out, option)) << option;
  }
  for (const std::string& option : simulated) {
    EXPECT_FALSE(has_option(train.out, option)) << option;
    EXPECT_TRUE(has_option(simulate.out, option)) << option;
  }
  EXPECT_NE(train.out.find("(=0.05)"), std::string::npos) << "defaults as a person writes them";
}

TEST(Tool, HelpOfEveryCommandIsASuccess) {
  for (const char* command : {"", "train", "simulate", "list", "topology", "data", "doctor"}) {
    const Outcome outcome = ecl(std::string(command) + " --help");
    expect_ok(outcome);
    expect_has(outcome.out, {"ecl", command});
    EXPECT_EQ(outcome.err, "");
  }
  expect_has(ecl("topology --help").out, {"--nodes", "--seed", "--dot"});
  expect_has(ecl("data --help").out, {"--nodes", "--seed", "--dataset", "--data", "--partition"});
}

TEST(Tool, ListNamesEveryPlugIn) {
  const Outcome outcome = ecl("list");
  expect_ok(outcome);
  EXPECT_EQ(outcome.err, "");
  std::size_t entries = 0;
  for (const std::string folder : {"solvers", "topologies", "ecl/models", "ecl/data/datasets", "ecl/data/partitions"}) {
    const std::size_t before = entries;
    for (const std::string& line : lines_of(read_file(fs::path(ECL_SOURCE_DIR) / folder / "registry.def"))) {
      if (line.rfind("ENTRY(", 0) != 0) continue;
      ++entries;
      std::string name = line.substr(6, line.find(',') - 6);
      if (folder.starts_with("ecl/data/")) std::replace(name.begin(), name.end(), '_', '-');
      EXPECT_NE(outcome.out.find("\n  " + name + " "), std::string::npos) << line;
    }
    EXPECT_GT(entries, before) << folder;
  }
  EXPECT_GE(entries, 30u);
  expect_has(outcome.out, {"theta = 1", "alpha_scale", " rows: rows of the grid; by default as near to a square",
                           " probability: probability of each edge; by default 2 ln n / n"});
}

TEST(Tool, TopologyTellsTheFiguresOfARing) {
  const Outcome outcome = ecl("topology ring -n 8");
  expect_ok(outcome);
  const auto lines = lines_of(outcome.out);
  const auto expect_line = [&](const std::string& name, const std::string& value) {
    const bool found = std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.rfind(name + " ", 0) == 0 && line.find(" " + value, name.size()) != std::string::npos;
    });
    EXPECT_TRUE(found) << name << " " << value << "\n in: " << outcome.out;
  };
  expect_line("nodes", "8"), expect_line("edges", "8"), expect_line("degree", "2"), expect_line("diameter", "4");
  expect_line("spectral gap", "0.1953");  // 1 - (1 + 2 cos(2 pi / 8)) / 3
  expect_line("bipartite", "yes");
}

TEST(Tool, TopologyDrawsTheGraph) {
  const Scratch scratch;
  const Outcome shown = ecl("topology chain -n 3 --dot -");
  expect_ok(shown);
  EXPECT_EQ(shown.out.rfind("graph ", 0), 0u) << shown.out;
  expect_has(shown.out, {"0 -- 1;", "1 -- 2;"});
  EXPECT_EQ(count(shown.out, "--"), 2u);
  const Outcome kept = ecl("topology chain -n 3 --dot " + (scratch / "g.dot").string());
  expect_ok(kept);
  expect_has(kept.out, {"diameter"});
  EXPECT_EQ(read_file(scratch / "g.dot"), shown.out);
}

TEST(Tool, DataTellsWhoHoldsWhat) {
  for (const char* partition : {"iid", "classes:2", "dirichlet:0.3", "quantity:0.5"}) {
    const Outcome outcome = ecl(std::string("data -n 8 --partition ") + partition);
    expect_ok(outcome);
    expect_has(outcome.out, {"1438 training samples", "359 test samples", "10 classes",
                             "1438 of 1438 samples held; disjoint and complete: yes"});
  }
}

/// Where the results cannot be printed a script must hear of it.
TEST(Output, ThatCannotBePrintedIsAnError) {
  for (const char* command : {"list", "--help", "--version", "train --help", "simulate --print-config", "data",
                              "topology ring -n 4", "simulate --quiet --epochs 1", "train --quiet --epochs 1"}) {
    for (const char* where : {" >/dev/full", " >&-"}) {
      const Outcome outcome = run({"sh", "-c", std::string("exec ") + ECL_TOOL + " " + command + where});
      EXPECT_EQ(outcome.exit_code, 5) << command << where;
      EXPECT_EQ(outcome.err.rfind("ecl: cannot write to standard output", 0), 0u) << command << where << outcome.err;
      EXPECT_EQ(count(outcome.err, "\n"), 1u) << outcome.err;
    }
  }
}

}  // namespace
}  // namespace ecl::test
