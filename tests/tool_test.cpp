// The tool as a user sees it: command lines in, exit code, words and files out. Without mpirun; tool_mpi_test has the
// rest.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ecl/base/build.hpp"
#include "ecl/base/params.hpp"
#include "tests/support/command.hpp"
#include "tests/support/mistakes.hpp"
#include "tests/support/run_directory.hpp"
#include "tests/support/tiny_disk.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

Outcome ecl(const std::string& options) { return run(tool(options)); }

/// One line that says all the `parts`, and nothing else anywhere.
void expect_refusal(const Outcome& outcome, int exit_code, const std::vector<std::string>& parts) {
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, exit_code);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err.rfind("ecl: ", 0), 0u) << outcome.err;
  EXPECT_EQ(count(outcome.err, "\n"), 1u) << outcome.err;
  EXPECT_TRUE(!outcome.err.empty() && outcome.err.back() == '\n');
  for (const std::string& part : parts)
    EXPECT_NE(outcome.err.find(part), std::string::npos) << part << "\n in: " << outcome.err;
}

void expect_ok(const Outcome& outcome) {
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

void expect_has(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << "\n in: " << text;
}

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

// --- runs ---

/// Options of a short run, and where it went.
std::string short_run(const Scratch& scratch, const std::string& name, const std::string& options) {
  const Outcome outcome = ecl(options + " --quiet --out " + (scratch / name).string());
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  return read_file(scratch / name / "metrics.csv");
}

TEST(Simulate, WritesWhatItPromises) {
  const Scratch scratch;
  const std::string out = (scratch / "runs" / "a").string();
  const std::string options = "simulate --nodes 5 --epochs 4 --partition classes:4 --seed 3 --out " + out;
  const Outcome outcome = ecl(options);
  expect_ok(outcome);
  expect_has(outcome.out, {"converged: ecl on ring, 5 nodes"});
  const Json summary = summary_of(out);
  expect_complete(summary);
  EXPECT_EQ(summary["verdict"], "converged");
  EXPECT_EQ(summary["command"], "ecl " + options);
  EXPECT_EQ(summary["nodes"], 5);
  EXPECT_EQ(summary["dimension"], 650);
  EXPECT_EQ(summary["train_samples"], 1438);
  EXPECT_EQ(summary["seed"], 3);
  EXPECT_EQ(summary["version"], version());
  EXPECT_EQ(summary["steps"], 5 * 36);  // ceil(4 * 1438 / (5 * 32)) each
  EXPECT_GT(summary["messages_sent"], 0);
  for (const char* key : {"test_accuracy_mean", "test_accuracy_min", "test_accuracy_consensus"})
    expect_within_per_cent(summary[key]);
  const std::string metrics = read_file(out + "/metrics.csv");
  expect_metrics(metrics, 5, 4);
  double time_s = 0, node = 0, step = 0, epoch = 0;
  ASSERT_EQ(std::sscanf(lines_of(metrics).back().c_str(), "%lf,%lf,%lf,%lf", &time_s, &node, &step, &epoch), 4);
  EXPECT_NEAR(epoch, 36 * 5 * 32 / 1438.0, 1e-7) << "exact enough to compare runs by";
  EXPECT_EQ(parameters_of(out).size(), 650u);
  expect_safetensors(read_file(out + "/model/model.safetensors"),
                     R"({"__metadata__": {"format": "pt", "ecl": "softmax"},
                         "linear.weight": {"dtype": "F32", "shape": [10, 64], "data_offsets": [0, 2560]},
                         "linear.bias": {"dtype": "F32", "shape": [10], "data_offsets": [2560, 2600]}})");
}

TEST(Simulate, DryRunSaysWhatANodeHoldsAndWritesNothing) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  const Outcome outcome = run(tool("simulate --nodes 4 --batch 50 --dry-run --out " + out));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  expect_has(outcome.out,
             {"650 parameters", "batches of 50", "2 neighbours 4 times every 4 steps", "nothing was trained"});
  EXPECT_FALSE(fs::exists(out));
}

/// The memory that --dry-run names is what the run then takes, where reading takes most and where the model does.
TEST(Simulate, DryRunKnowsThePeakOfItsMemory) {
  const Scratch scratch;
  std::string table = "label";
  for (int c = 0; c < 50; ++c) table += ",x" + std::to_string(c);
  for (int row = 0; row < 20'000; ++row) {
    (table += '\n') += std::to_string(row % 3);
    for (int c = 0; c < 50; ++c) ((table += ',') += std::to_string((row * 31 + c * 17) % 1000)) += ".25";
  }
  write_file(scratch / "table.csv", table);
  int number = 0;
  for (const std::string& options :
       {"simulate --dataset csv:label=label --data " + (scratch / "table.csv").string(),
        "train --dataset csv:label=label --data " + (scratch / "table.csv").string(),
        std::string("simulate --model mlp --hidden 1500,1000"), std::string("train --model mlp --hidden 3000,1500")}) {
    const std::string all = options + " --steps 10 --local-steps 8 --eval-every 0 --quiet",
                      out = scratch / std::to_string(number++);
    const Outcome said = run(tool(all + " --dry-run"));
    const std::size_t at = said.out.find("memory: ");
    ASSERT_NE(at, std::string::npos) << said.out << said.err;
    const double named = std::stod(said.out.substr(at + 8)) * 1e6;
    expect_ok(run(tool(all + " --out " + out)));
    const double taken = summary_of(out)["peak_memory_bytes"].get<double>();
    EXPECT_GT(named, 0.8 * taken) << options;
    EXPECT_LT(named, 1.25 * taken) << options;
  }
}

/// What does not fit is named, with its size and how much there is.
TEST(Memory, ThatIsNotThereIsNamed) {
  const Scratch scratch;
  write_file(scratch / "large.csv", std::string(100'000'000, '1'));
  std::string rows;
  for (int row = 0; row < 5'000'000; ++row) rows += row % 2 == 0 ? "1,x\n" : "2,y\n";
  write_file(scratch / "long.csv", rows);
  std::string wide = "1 1:1\n2 1000000:2\n";
  for (int row = 0; row < 200; ++row) wide += "1 2:1\n";
  write_file(scratch / "wide.svm", wide);
  const auto within = [&](const char* kilobytes, const std::string& options) {
    return run(
        {"sh", "-c",
         std::string("ulimit -v ") + kilobytes + "; exec " + ECL_TOOL + " simulate --nodes 2 --quiet " + options});
  };
  const std::string csv = "--dataset csv --data " + scratch.path().string();
  expect_refusal(within("120000", csv + "/large.csv"), 5, {"dataset csv does not fit into memory, of which "});
  expect_refusal(within("120000", csv + "/long.csv"), 5, {"dataset csv does not fit into memory, of which "});
  expect_refusal(within("600000", "--dataset libsvm:standardise=1 --data " + (scratch / "wide.svm").string()), 5,
                 {"wide.svm' as 162 rows of 1000000 numbers needs 648 MB and ", "leave out columns"});
  expect_refusal(
      within("2000000", "--model mlp --hidden 30000,30000"), 5,
      {"model mlp, 902280010 parameters on 2 nodes, needs 28.9 GB and ", "use a smaller model, or fewer nodes"});
}

TEST(Simulate, WritesNullWhereAnAccuracyDoesNotApply) {
  const Scratch scratch;
  short_run(scratch, "a",
            "simulate --nodes 4 --dataset quadratic --model quadratic --batch 1 --steps 50 --eval-every 0");
  const Json summary = summary_of(scratch / "a");
  expect_complete(summary);
  for (const char* key : {"test_accuracy_mean", "test_accuracy_min", "test_accuracy_consensus"})
    EXPECT_TRUE(summary[key].is_null()) << key;
  EXPECT_TRUE(summary["test_loss_consensus"].is_number());
  expect_metrics(read_file(scratch / "a" / "metrics.csv"), 4, 1);
}

class Replayed : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(Replayed, ToTheByteFromTheSameSeedAndNotFromAnother) {
  const auto& [problem, network] = GetParam();
  const Scratch scratch;
  const std::string options = std::string("simulate --nodes 6 --eval-every 1 ") + problem + " " + network;
  const std::string first = short_run(scratch, "a", options + " --seed 7");
  expect_metrics(first, 6, 3);
  EXPECT_EQ(short_run(scratch, "b", options + " --seed 7"), first);
  EXPECT_NE(short_run(scratch, "c", options + " --seed 8"), first);
  EXPECT_EQ(read_file(scratch / "a" / "model" / "model.safetensors"),
            read_file(scratch / "b" / "model" / "model.safetensors"));
}

INSTANTIATE_TEST_SUITE_P(
    Simulate, Replayed,
    testing::Combine(testing::Values("--dataset digits --model softmax --epochs 3",
                                     "--dataset quadratic:samples=60 --model quadratic --batch 2 --epochs 3"),
                     testing::Values("--mode async --drop 0.1 --duplicate 0.1 --tear 0.1 --jitter 0.5 --node-speed 0:4",
                                     "--mode lock-step --jitter 0.5 --node-speed 0:4")),
    [](const auto& test) {
      return std::string(test.index / 2 == 0 ? "softmax" : "quadratic") +
             (test.index % 2 == 0 ? "_async" : "_lock_step");
    });

/// A file and columns whose names hold all that means something elsewhere.
TEST(Simulate, RepeatsARunWhoseNamesAreFullOfSigns) {
  const Scratch scratch;
  const std::string file = (scratch / " its \"data\" #1 = a\\b ").string();
  std::string rows = "subject#,\"a,b\",c:d=e,label\n";
  for (int n = 0; n < 60; ++n) {
    for (const int value : {n % 4, n % 7, n % 5}) (rows += std::to_string(value)) += ',';
    rows += n % 7 > 3 ? "up\n" : "down\n";
  }
  write_file(file, rows);
  for (const char* group : {"subject#", "\"a,b\"", "\"c:d=e\""}) {
    const std::string out = (scratch / (std::string("out #") + group)).string(), again = out + " again";
    std::vector<std::string> command = tool("simulate --quiet --nodes 4 --steps 20");
    command.insert(command.end(),
                   {"--data", file, "--dataset", "csv:label=label,test-by=row,group=" + std::string(group),
                    "--partition", "by-column:" + std::string(group), "--out"});
    std::vector<std::string> repeated = tool("simulate --quiet");
    repeated.insert(repeated.end(), {"--config", out + "/config.ini", "--out", again});
    command.push_back(out);
    expect_ok(run(command));
    expect_ok(run(repeated));
    EXPECT_EQ(read_file(again + "/metrics.csv"), read_file(out + "/metrics.csv")) << group;
    const auto options = [](const std::string& text) { return text.substr(text.find("\ndataset")); };
    EXPECT_EQ(options(read_file(again + "/config.ini")), options(read_file(out + "/config.ini"))) << group;
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

/// A file must not take the place of a stdout that is closed: results would be written into it.
TEST(Output, NeverGoesIntoAFileOfTheRun) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  const Outcome outcome =
      run({"sh", "-c", std::string("exec ") + ECL_TOOL + " simulate --epochs 2 --quiet --out " + out + " <&- >&-"});
  EXPECT_EQ(outcome.exit_code, 5);
  EXPECT_EQ(count(read_file(out + "/metrics.csv"), "converged"), 0u);
  EXPECT_EQ(lines_of(read_file(out + "/metrics.csv")).size(), 1u + 2 * 8);
}

TEST(Simulate, RepeatsARunFromPrintedAndFromKeptOptions) {
  const Scratch scratch;
  const std::string options =
      "simulate --solver ecl_isvr --nodes 4 --steps 40 --lr 0.07 --momentum 0.3 --set theta=0.6 --set alpha_scale=2 "
      "--drop 0.05 "
      "--partition dirichlet:0.5 --lr-schedule cosine --seed 5";
  const std::string first = short_run(scratch, "a", options);
  const Outcome printed = ecl(options + " --print-config --out " + (scratch / "none").string());
  expect_ok(printed);
  EXPECT_FALSE(fs::exists(scratch / "none"));
  const std::string kept = read_file(scratch / "a" / "config.ini");
  ASSERT_NE(kept.find("\n# on 4 nodes\n"), std::string::npos) << "the command and the number of nodes as comments";
  EXPECT_EQ(printed.out, kept.substr(kept.find("nodes\n", kept.find("# on")) + 6));
  expect_has(printed.out, {"lr = 0.07\n", "set = theta=0.6\n", "steps = 40\n"});
  write_file(scratch / "printed.ini", printed.out);
  EXPECT_EQ(short_run(scratch, "b", "simulate --config " + (scratch / "printed.ini").string()), first);
  EXPECT_EQ(short_run(scratch, "c", "simulate --config " + (scratch / "a" / "config.ini").string()), first);
}

TEST(Simulate, LetsTheCommandLineWinOverTheFile) {
  const Scratch scratch;
  write_file(scratch / "a.ini", "steps = 40\nlr = 0.07\nset = theta=0.6\nset = alpha_scale=2\nseed = 5\n");
  const Outcome outcome =
      ecl("simulate --print-config --epochs 2 --lr 0.5 --set theta=0.9 --config " + (scratch / "a.ini").string());
  expect_ok(outcome);
  expect_has(outcome.out, {"epochs = 2\n", "lr = 0.5\n", "set = theta=0.9\n", "set = alpha_scale=2\n", "seed = 5\n"});
  for (const char* absent : {"steps = 40", "theta=0.6"})
    EXPECT_EQ(outcome.out.find(absent), std::string::npos) << outcome.out;
}

TEST(Simulate, TakesAnotherLearningRateUnderAdamUnlessItIsToldOne) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "lr = 0.05\n"},
      {"--optimizer adam", "lr = 0.001\n"},
      {"--optimizer adamw:beta2=0.99 --weight-decay 0.1", "lr = 0.001\n"},
      {"--optimizer adam --lr 0.05", "lr = 0.05\n"}};
  for (const auto& [options, rate] : cases) {
    const Outcome printed = ecl(std::string("simulate --print-config ") + options);
    expect_ok(printed);
    expect_has(printed.out, {rate});
  }
}

TEST(Train, WorksWithoutMpirun) {
  const Scratch scratch;
  const Outcome outcome = ecl("train --epochs 3 --quiet --out " + (scratch / "a").string());
  expect_ok(outcome);
  EXPECT_EQ(outcome.err, "");
  expect_has(outcome.out, {"converged: ecl on ring, 1 nodes"});
  const Json summary = summary_of(scratch / "a");
  expect_complete(summary);
  EXPECT_EQ(summary["nodes"], 1);
  expect_metrics(read_file(scratch / "a" / "metrics.csv"), 1, 3);
  EXPECT_EQ(parameters_of(scratch / "a").size(), 650u);
}

class EitherCommand : public testing::TestWithParam<const char*> {};

TEST_P(EitherCommand, EndsADivergingRunInGoodOrder) {
  const Scratch scratch;
  const Outcome outcome =
      ecl(std::string(GetParam()) + " --model mlp --lr 1e6 --quiet --out " + (scratch / "a").string());
  EXPECT_EQ(outcome.exit_code, 4);
  EXPECT_EQ(outcome.err, "");
  expect_has(outcome.out, {"diverged"});
  const Json summary = summary_of(scratch / "a");
  expect_complete(summary);
  EXPECT_EQ(summary["verdict"], "diverged");
}

TEST_P(EitherCommand, CallsALossThatGrewAThousandfoldDiverged) {
  const Outcome outcome = ecl(std::string(GetParam()) + " --model softmax --lr 1e6 --quiet");  // large, but a number
  EXPECT_EQ(outcome.exit_code, 4);
  expect_has(outcome.out, {"diverged", "smaller --lr"});
}

TEST_P(EitherCommand, CallsAModelThatTheLastRoundRuinedDiverged) {
  const Outcome outcome = ecl(std::string(GetParam()) + " --steps 8 --local-steps 8 --lr 1e5 --quiet");
  EXPECT_EQ(outcome.exit_code, 4) << outcome.out << outcome.err;
  expect_has(outcome.out, {"diverged", "smaller --lr"});
}

TEST_P(EitherCommand, SaysOnlyProgressOnStandardError) {
  const Outcome outcome = ecl(std::string(GetParam()) + " --epochs 2");
  expect_ok(outcome);
  for (const std::string& line : lines_of(outcome.err)) EXPECT_EQ(line.rfind("step ", 0), 0u) << line;
}

INSTANTIATE_TEST_SUITE_P(Tool, EitherCommand, testing::Values("train", "simulate"));

// --- runs that are interrupted ---

struct Interrupted {
  const char* name;
  const char* command;
  int signal;
  bool progress;  ///< waits for the first line of progress; else for the first evaluation
};

class Stopped : public testing::TestWithParam<Interrupted> {};

/// A run that nothing but a signal ends, in the middle of it.
TEST_P(Stopped, EndsInGoodOrder) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  Process process(tool(std::string(GetParam().command) + " --steps 100000000 --eval-every 1000 --out " + out));
  const auto under_way = [&] {
    return GetParam().progress ? !process.err().empty() : count(read_file(out + "/metrics.csv"), "\n") > 1;
  };
  ASSERT_TRUE(process.wait_until(under_way, 90)) << process.err();
  process.signal(GetParam().signal);
  const Outcome outcome = process.wait(60);
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 75);
  expect_has(outcome.out, {"preempted"});
  for (const std::string& line : lines_of(outcome.err)) EXPECT_EQ(line.rfind("step ", 0), 0u) << line;
  EXPECT_EQ(outcome.err.find_first_of("\r\033"), std::string::npos) << "only a terminal is redrawn";
  const Json summary = summary_of(out);
  expect_complete(summary);
  EXPECT_EQ(summary["verdict"], "preempted");
  EXPECT_GT(summary["steps"], 0);
  expect_within_per_cent(summary["test_accuracy_mean"]);
  const std::string metrics = read_file(out + "/metrics.csv");
  const std::size_t nodes = summary["nodes"];
  EXPECT_GT(count(metrics, "\n"), 1u);
  expect_metrics(metrics, nodes, (count(metrics, "\n") - 1) / nodes);
  EXPECT_EQ(parameters_of(out).size(), 650u);
}

INSTANTIATE_TEST_SUITE_P(Tool, Stopped,
                         testing::Values(Interrupted{"train_term", "train", SIGTERM, false},
                                         Interrupted{"simulate_int", "simulate --nodes 4", SIGINT, true}),
                         [](const auto& test) { return test.param.name; });

/// However many evaluations are still to come, the end takes neither long nor much memory.
TEST(Train, StopsAsFastFarFromItsEnd) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  Process process(tool("train --quiet --steps 4000000 --eval-every 1 --out " + out));
  ASSERT_TRUE(process.wait_until([&] { return count(read_file(out + "/metrics.csv"), "\n") > 2; }, 90));
  process.signal(SIGTERM);
  const Outcome outcome = process.wait(60);
  EXPECT_EQ(outcome.exit_code, 75);
  EXPECT_LT(outcome.peak_megabytes, 300);
  EXPECT_EQ(summary_of(out)["verdict"], "preempted");
}

// --- a job script; slurm_test runs it under Slurm ---

/// Programs that stand for the tool and for Slurm: the run is at `step` when it has the job signal itself twice.
void write_programs(const fs::path& at, int step) {
  write_file(at / "ecl",
             "#!/bin/bash\necho \"ecl $*\"\nwhile (($#)); do\n  [[ $1 != --out && $1 != --resume ]] || out=$2\n"
             "  shift\ndone\nmkdir -p \"$out\"\ntouch \"$out/config.ini\"\nprintf '{\\n  \"step\": 7,\\n  \"by_node\": "
             "[\\n    {\\n      \"node\": 0,\\n"
             "      \"step\": 0,\\n    },\\n    {\\n      \"step\": " +
                 std::to_string(step) +
                 ",\\n    }]}' >\"$out/status.json\"\n"
                 "trap 'sleep 0.1; exit 75' USR1\nkill -USR1 $PPID; kill -USR1 $PPID\n"
                 "while :; do sleep 0.01; done\n");
  write_file(at / "scontrol", "#!/bin/bash\necho \"scontrol $*\"\n");
  for (const char* name : {"ecl", "scontrol"}) fs::permissions(at / name, fs::perms::owner_all);
}

TEST(RequeueScript, QueuesTheJobAnewAsLongAsItGetsOn) {
  const Scratch scratch;
  fs::create_directory(scratch / "build");
  const auto job = [&](const std::string& options, int step) {
    write_programs(scratch / "build", step);
    return run({"bash", "-c",
                "cd " + scratch.path().string() +
                    "; SLURM_JOB_ID=3 LAUNCH=env bash " ECL_SOURCE_DIR "/scripts/cluster/requeue.sbatch " + options});
  };
  Outcome outcome = job("--epochs 9", 5);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "ecl train --epochs 9 --checkpoint-every 1 --out runs/3\nscontrol requeue 3\n");
  outcome = job("--epochs 9", 6);
  EXPECT_EQ(outcome.out, "ecl train --resume runs/3\nscontrol requeue 3\n");
  outcome = job("--epochs 9", 6);
  EXPECT_EQ(outcome.exit_code, 75);
  EXPECT_EQ(outcome.out, "ecl train --resume runs/3\n");
  EXPECT_EQ(outcome.err,
            "requeue.sbatch: no step was made in this job's time, and another as long would make none: give "
            "a longer --time\n");
  fs::rename(scratch / "runs/3", scratch / "runs/2");
  outcome = job("--resume runs/2 --quiet", 6);
  EXPECT_EQ(outcome.exit_code, 75) << "a run of another job, no step further";
  outcome = job("--checkpoint-every 0.1", 0);
  EXPECT_EQ(outcome.out, "ecl train --checkpoint-every 0.1 --out runs/3\n");
}

// --- disks ---

class FullDisk : public testing::TestWithParam<std::tuple<const char*, int>> {};

TEST_P(FullDisk, IsToldInOneLine) {
  const auto& [command, pages] = GetParam();
  const Scratch scratch;
  const TinyDisk disk(scratch / "disk", pages);
  if (!disk.mounted()) GTEST_SKIP() << "no right to mount a small tmpfs here; run as root to test a full disk";
  expect_refusal(ecl(std::string(command) + " --epochs 60 --quiet --out " + (scratch / "disk" / "a").string()), 5,
                 {"cannot write", (scratch / "disk" / "a").string(), "disk"});
}

// With 1 page config.ini fits, with 2 the first lines of metrics.csv too, with 4 nearly all.
std::string full_disk_name(const testing::TestParamInfo<FullDisk::ParamType>& test) {
  const std::string last_word = words_of(std::get<0>(test.param)).back();
  return last_word.substr(last_word.find_first_not_of('-')) + "_" + std::to_string(std::get<1>(test.param));
}

INSTANTIATE_TEST_SUITE_P(Tool, FullDisk,
                         testing::Combine(testing::Values("train", "simulate", "train --record"),
                                          testing::Values(1, 2, 4)),
                         full_disk_name);

}  // namespace
}  // namespace ecl::test
