// Runs as a user starts them, without mpirun: the files they leave, the options they keep, how they end.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ecl/base/build.hpp"
#include "ecl/base/params.hpp"
#include "tests/support/command.hpp"
#include "tests/support/expect_tool.hpp"
#include "tests/support/run_directory.hpp"
#include "tests/support/tiny_disk.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

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

/// Virtual seconds, and samples, of ten steps of four nodes whose last is four times slower.
TEST(Simulate, ASlowNodeKeepsPaceWithSmallerBatches) {
  const Scratch scratch;
  const auto summary = [&](const std::string& name, const std::string& options) {
    short_run(scratch, name,
              "simulate --nodes 4 --batch 40 --steps 10 --settle 0 --step-time-s 1 --jitter 0 --latency-s 0 "
              "--bandwidth-bytes-s 0 "
              "--mode lock-step --consensus-error 9 " +
                  options);
    return summary_of(scratch / name);
  };
  const Json equal = summary("a", ""), slow = summary("b", "--node-speed 3:4"),
             smaller = summary("c", "--node-speed 3:4 --node-batch 3:10");
  EXPECT_EQ(equal["seconds"], 10);
  EXPECT_EQ(slow["seconds"], 40);
  EXPECT_EQ(smaller["seconds"], 10);
  EXPECT_EQ(slow["gradient_samples"], 10 * 4 * 40);
  EXPECT_EQ(smaller["gradient_samples"], 10 * (3 * 40 + 10));
  const std::string metrics = read_file(scratch / "c" / "metrics.csv");
  double time_s = 0, node = 0, step = 0, epoch = 0;
  ASSERT_EQ(std::sscanf(lines_of(metrics).back().c_str(), "%lf,%lf,%lf,%lf", &time_s, &node, &step, &epoch), 4);
  EXPECT_NEAR(epoch, 10 * 130 / 1438.0, 1e-7);
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
