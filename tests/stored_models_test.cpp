// Models of runs that have not ended, and of single nodes: what is taken out of checkpoints is what the run had there,
// and what is not there is one clear line.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "ecl/base/random.hpp"
#include "tests/support/command.hpp"
#include "tests/support/jobs.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

constexpr int kNodes = 3;

class StoredModels : public testing::Test {
 protected:
  StoredModels() {
    Random random(1, Purpose::test);
    const auto table = [&](const std::string& name, int rows, double offset) {
      std::string text = "height,width,kind\n";
      for (int n = 0; n < rows; ++n) {
        const double height = random.uniform(), width = random.uniform() + offset;
        const bool tall = height + 0.7 * (width - offset) + 0.4 * random.uniform() > 1;
        text += std::to_string(height) + "," + std::to_string(width) + (tall ? ",tall\n" : ",short\n");
      }
      write_file(scratch_ / name, text);
    };
    table("train.csv", 300, 0), table("test.csv", 90, 0);
    for (int site = 0; site < kNodes; ++site) table("site" + std::to_string(site) + ".csv", 80 + 40 * site, site);
  }

  std::string path(const std::string& name) const { return (scratch_ / name).string(); }
  /// Ten steps an epoch. With a constant rate, and without exchanges after the last step, a run is the beginning of a
  /// longer one.
  std::string dealt() const {
    return " --quiet --batch 10 --local-steps 5 --lr-schedule constant --settle 0 --dataset csv:label=kind --data " +
           path("train.csv") + " --test " + path("test.csv") + " --out ";
  }
  std::string own(const std::string& parameters) const {
    return " --quiet --batch 10 --local-steps 5 --steps 40 --dataset csv:label=kind" + parameters + " --data " +
           path("site{node}.csv") + " --out ";
  }

  /// Standard output of `ecl COMMAND`, which says `note` and no more on standard error.
  static std::string done(const std::string& command, const std::string& note = "") {
    const Outcome outcome = run(tool(command));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, note.empty() ? "" : "ecl: note: " + note + "\n") << command;
    return outcome.out;
  }
  std::string predicted(const std::string& run, const std::string& options = "", const std::string& note = "") const {
    return done("predict " + run + " --data " + path("test.csv") + options, note);
  }
  Json evaluated(const std::string& run, const std::string& options) const {
    const Outcome outcome = ecl::test::run(tool("evaluate " + run + options + " --out " + path("measures.json")));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return Json::parse(read_file(scratch_ / "measures.json"), nullptr, false);
  }
  static void refused(const std::string& command, const std::string& part, int code = 2) {
    const Outcome outcome = run(tool(command));
    EXPECT_EQ(outcome.exit_code, code) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(count(outcome.err, "\n"), 1u) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  }
  static int latest(const std::string& run) { return std::atoi(read_file(run + "/checkpoints/latest").c_str()); }
  /// Begins a run and kills it when it has `checkpoints`.
  static void kill_at(const std::vector<std::string>& command, const std::string& out, int checkpoints) {
    const Scratch leftovers;
    Process process(contained(command, leftovers));
    ASSERT_TRUE(process.wait_until([&] { return latest(out) >= checkpoints; }, 60)) << process.err();
    kill_job(process);
    process.wait(30);
  }

  /// The rows of metrics.csv, or sites.csv, by the names of their columns.
  static std::vector<std::map<std::string, std::string>> table_of(const std::string& file) {
    const auto split = [](const std::string& line) {
      std::vector<std::string> cells;
      std::istringstream in(line + ",");
      for (std::string cell; std::getline(in, cell, ',');) cells.push_back(cell);
      return cells;
    };
    const auto lines = lines_of(read_file(file));
    const auto names = split(lines.at(0));
    std::vector<std::map<std::string, std::string>> rows;
    for (std::size_t line = 1; line < lines.size(); ++line) {
      const auto cells = split(lines[line]);
      for (std::size_t c = 0, row = rows.size(); c < std::min(names.size(), cells.size()); ++c)
        rows.resize(row + 1), rows[row][names[c]] = cells[c];
    }
    return rows;
  }
  /// The measures are those of the row of `node` at `step`.
  void expect_row(const Json& measures, const std::string& run, int node, int step) const {
    for (const auto& row : table_of(run + "/metrics.csv")) {
      if (row.at("node") != std::to_string(node) || row.at("step") != std::to_string(step)) continue;
      EXPECT_NEAR(measures["accuracy"].get<double>(), std::stod(row.at("accuracy")), 1e-4);
      EXPECT_NEAR(measures["log_loss"].get<double>(), std::stod(row.at("loss")), 1e-6);
      return;
    }
    ADD_FAILURE() << "no row of node " << node << " at step " << step;
  }

  const Scratch scratch_;
};

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
  refused("predict " + run_on + " --checkpoint 3 --data " + path("test.csv"), "no checkpoint '3' (it has 1, 2;");
  refused("export " + stopped + " --checkpoint newest --format npz", "holds no checkpoint; a run keeps them with");
  refused("evaluate " + stopped + " --checkpoint list", "holds no checkpoint; a run keeps them with");
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
    refused("simulate --quiet --dataset csv:label=kind --data " + path("train.csv") + " --init " + out,
            "holds no model yet");
    refused("predict " + out + "/model --data " + path("test.csv"), "name the directory of the run");
  }

  const std::string command = "predict " + path("ranks") + " --data " + path("test.csv");
  const fs::path file = path("ranks") + "/checkpoints/" + std::to_string(latest(path("ranks"))) + "/node-1";
  const std::string state = read_file(file), other = read_file(file.parent_path() / "node-2");
  std::string damaged = state;
  damaged[damaged.size() / 2] ^= 1;
  write_file(file, damaged);
  refused(command, "its checksum is not that of its content", 5);
  EXPECT_EQ(run(tool(command + " --node 2")).exit_code, 0) << "which is in a file of its own";
  write_file(file, other);
  refused(command + " --node 1", "does not hold the models of all nodes", 5);
  fs::remove(file);
  refused(command, "/node-1' is not there: on hosts that share no file system it lies on node 1's");
  write_file(file, state);
  const fs::path config = path("ranks") + "/config.ini";
  std::string edited = read_file(config);
  edited.replace(edited.find("seed = 1"), 8, "seed = 2");
  write_file(config, edited);
  refused(command, "belongs to another run: 'seed = 1' there, 'seed = 2' here");
}

TEST_F(StoredModels, OfANodeAreWhatItsEvaluationSaw) {
  const std::string out = path("a");
  done("simulate --nodes 3 --steps 45 --node-models --solver local" + dealt() + out);
  for (int node = 0; node < kNodes; ++node)
    expect_row(evaluated(out, " --node " + std::to_string(node)), out, node, 45);
  refused("evaluate " + out + " --node 3", "no node 3 (0 .. 2)");
  refused("evaluate " + out + " --node 1 --scaling-of 1", "leave out --scaling-of");
  refused("evaluate " + out + " --scaling-of 1", "all have the same scaling");
  done("simulate --nodes 3 --steps 45" + dealt() + path("b"));
  refused("evaluate " + path("b") + " --node 2",
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
  refused("predict " + out + rows, "--scaling-of NODE");
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
