// Models of runs that have not ended, and of single nodes: what is taken out of checkpoints is what the run had there,
// and what is not there is one clear line.
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/small_runs.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

using StoredModels = SmallRuns;

TEST_F(StoredModels, ACheckpointIsTheRunThatWasStoppedThere) {
  const std::string run_on = path("on"), stopped = path("stopped");
  const std::string options = "train --mode lock-step --node-models --steps ";
  ASSERT_EQ(run(tool_on(kNodes, options + "55 --checkpoint-every 2" + dealt() + run_on)).exit_code, 0);
  ASSERT_EQ(run(tool_on(kNodes, options + "40" + dealt() + stopped)).exit_code, 0);
  ASSERT_EQ(latest(run_on), 2);
  char apart[64];
  std::snprintf(apart, sizeof apart, "%.3g apart (consensus error)",
                summary_of(stopped)["consensus_error"].get<double>());
  const Outcome of_checkpoint = run(tool("predict " + run_on + " --checkpoint 2 --data " + path("test.csv")));
  EXPECT_EQ(of_checkpoint.err,
            std::string("ecl: note: checkpoint 2, epoch 4, the mean of 3 nodes' models, which were ") + apart + "\n");
  EXPECT_EQ(of_checkpoint.out, predicted(stopped));
  EXPECT_NE(predicted(run_on), predicted(stopped));
  for (int node = 0; node < kNodes; ++node) {
    const std::string whose = " --node " + std::to_string(node);
    EXPECT_EQ(predicted(run_on, " --checkpoint newest" + whose,
                        "checkpoint 2, epoch 4, node " + std::to_string(node) + "'s model"),
              predicted(stopped, whose));
    EXPECT_NE(predicted(run_on, whose), predicted(stopped, whose));
  }
  const auto list = lines_of(done("evaluate " + run_on + " --checkpoint list"));
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].rfind("checkpoint 1: epoch 2, 3 nodes, ", 0), 0u) << list[0];
  EXPECT_EQ(list[1], std::string("checkpoint 2: epoch 4, 3 nodes, ") + apart);
  expect_error("predict " + run_on + " --checkpoint 3 --data " + path("test.csv"), "no checkpoint '3' (it has 1, 2;");
  expect_error("export " + stopped + " --checkpoint newest --format npz", "holds no checkpoint; a run keeps them with");
  expect_error("evaluate " + stopped + " --checkpoint list", "holds no checkpoint; a run keeps them with");
}

/// Whatever has been killed: the newest checkpoint is used, and said to be.
TEST_F(StoredModels, OfAKilledRunAreThoseOfItsNewestCheckpoint) {
  const std::string options = " --steps 100000000 --eval-every 2 --checkpoint-every 2" + dealt();
  for (const std::string kind : {"ranks", "simulated"}) {
    const std::string out = path(kind), command = "predict " + out + " --data " + path("test.csv");
    const auto start = kind == "ranks" ? tool_on(kNodes, "train --mode lock-step" + options + out)
                                       : tool("simulate --nodes 3 --mode lock-step --jitter 0" + options + out);
    ASSERT_NO_FATAL_FAILURE(kill_at(start, out, 3));
    EXPECT_FALSE(fs::exists(out + "/model/model.safetensors"));
    const int newest = latest(out);
    const std::string checkpoint = "checkpoint " + std::to_string(newest);
    const Outcome outcome = run(tool(command));
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.err.rfind("ecl: note: '" + out + "' has not ended: this is " + checkpoint + ", epoch", 0), 0u)
        << outcome.err;
    EXPECT_EQ(outcome.out, run(tool(command + " --checkpoint " + std::to_string(newest))).out);
    const Json mean = evaluated(out, "");
    EXPECT_EQ(mean, evaluated(out, " --checkpoint newest"));
    EXPECT_EQ(mean, evaluated(out, " --data " + path("test.csv")));
    if (kind == "ranks")  // all are at one step there, which is evaluated, too
      for (int node = 0; node < kNodes; ++node)
        expect_row(evaluated(out, " --node " + std::to_string(node)), out, node, 20 * newest);
    const Outcome exported = run(tool("export " + out + " --format npz"));
    EXPECT_EQ(exported.out.rfind(out + "/model/model-checkpoint-" + std::to_string(newest) + ".npz: ", 0), 0u);
    expect_error("simulate --quiet --dataset csv:label=kind --data " + path("train.csv") + " --init " + out,
                 "holds no model yet");
    expect_error("predict " + out + "/model --data " + path("test.csv"), "name the directory of the run");
  }

  const std::string command = "predict " + path("ranks") + " --data " + path("test.csv");
  const fs::path file = path("ranks") + "/checkpoints/" + std::to_string(latest(path("ranks"))) + "/node-1";
  const std::string state = read_file(file), other = read_file(file.parent_path() / "node-2");
  std::string damaged = state;
  damaged[damaged.size() / 2] ^= 1;
  write_file(file, damaged);
  expect_error(command, "its checksum is not that of its content", 5);
  EXPECT_EQ(run(tool(command + " --node 2")).exit_code, 0) << "which is in a file of its own";
  write_file(file, other);
  expect_error(command + " --node 1", "does not hold the models of all nodes", 5);
  fs::remove(file);
  expect_error(command, "/node-1' is not there: on hosts that share no file system it lies on node 1's");
  write_file(file, state);
  const fs::path config = path("ranks") + "/config.ini";
  std::string edited = read_file(config);
  edited.replace(edited.find("seed = 1"), 8, "seed = 2");
  write_file(config, edited);
  expect_error(command, "belongs to another run: 'seed = 1' there, 'seed = 2' here");
}

TEST_F(StoredModels, OfANodeAreWhatItsEvaluationSaw) {
  const std::string out = path("a");
  done("simulate --nodes 3 --steps 45 --node-models --solver local" + dealt() + out);
  for (int node = 0; node < kNodes; ++node)
    expect_row(evaluated(out, " --node " + std::to_string(node)), out, node, 45);
  expect_error("evaluate " + out + " --node 3", "no node 3 (0 .. 2)");
  expect_error("evaluate " + out + " --node 1 --scaling-of 1", "leave out --scaling-of");
  expect_error("evaluate " + out + " --scaling-of 1", "all have the same scaling");
  done("simulate --nodes 3 --steps 45" + dealt() + path("b"));
  expect_error("evaluate " + path("b") + " --node 2",
               "kept no model of node 2 by itself (a run with --node-models does); --checkpoint newest");
}

/// Each site has its own rows to test, and scales by itself: its own model is measured on these.
TEST_F(StoredModels, OfASiteHaveItsOwnScaling) {
  const std::string out = path("ranks");
  ASSERT_EQ(
      run(tool_on(kNodes, "train --node-models --solver local --settle 0" + own(",standardise=own") + out)).exit_code,
      0);
  const auto sites = table_of(out + "/sites.csv");
  ASSERT_EQ(sites.size(), static_cast<std::size_t>(kNodes));
  for (int node = 0; node < kNodes; ++node) {
    const Json measures = evaluated(out, " --node " + std::to_string(node));
    EXPECT_EQ(std::to_string(measures["samples"].get<int>()), sites[node].at("test_samples"));
    EXPECT_NEAR(measures["accuracy"].get<double>(), std::stod(sites[node].at("accuracy_own")), 1e-4);
    EXPECT_NEAR(measures["log_loss"].get<double>(), std::stod(sites[node].at("loss_own")), 1e-5);
  }
  EXPECT_NEAR(evaluated(out, "")["accuracy"].get<double>(), summary_of(out)["test_accuracy_consensus"].get<double>(),
              1e-9);
  const std::string rows = " --data " + path("site2.csv");
  expect_error("predict " + out + rows, "--scaling-of NODE");
  const std::string by_own = done("predict " + out + " --node 2" + rows),
                    average = done("predict " + out + " --scaling-of 2" + rows);
  EXPECT_NE(by_own, average);
  EXPECT_NE(done("predict " + out + " --scaling-of 1" + rows), average);
}

/// What a run ended with before it was resumed is not what it has now.
TEST_F(StoredModels, OfAResumedRunAreNotThoseOfBefore) {
  const std::string out = path("a");
  const std::string options = "simulate --nodes 3 --steps 100000000 --checkpoint-every 20 --eval-every 1000";
  Process process(tool(options + dealt() + out));
  ASSERT_TRUE(process.wait_until([&] { return latest(out) >= 1; }, 60)) << process.err();
  process.signal(SIGUSR1);
  ASSERT_EQ(process.wait(60).exit_code, 75);
  const Outcome at_stop = run(tool("predict " + out + " --checkpoint newest --data " + path("test.csv")));
  EXPECT_EQ(predicted(out), at_stop.out) << "it ended with what the checkpoint holds";
  const int before = latest(out);
  ASSERT_NO_FATAL_FAILURE(kill_at(tool("simulate --quiet --resume " + out), out, before + 2));
  const Outcome now = run(tool("predict " + out + " --data " + path("test.csv")));
  EXPECT_EQ(count(now.err, "has not ended: this is checkpoint " + std::to_string(latest(out))), 1u) << now.err;
  EXPECT_NE(now.out, at_stop.out);
}

}  // namespace
}  // namespace ecl::test
