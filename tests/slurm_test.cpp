// The scripts of scripts/cluster on a Slurm cluster of four hosts, which tests/slurm/run emulates: started by mpirun
// and by srun, as an array, cancelled, out of time, requeued, without a node. Lock step: the numbers are the
// simulator's whatever happened on the way.
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/command.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

const std::string kMpirun = "mpirun", kSrun = "srun --mpi=pmix";
const std::string kTraining = "--mode lock-step --partition classes:5 --quiet ";
const std::string kQuick = kTraining + "--steps 100", kSeconds = kTraining + "--steps 1500 --eval-every 5";
const std::string kEndless = kTraining + "--steps 1000000000 --eval-every 0";
const std::string kMinute = kTraining + "--steps 1000 --eval-every 0 --node-speed 0:1000";  // about

/// Waits until `holds`, at most five minutes: Slurm looks at its clock every half minute, and machines are busy.
bool eventually(const std::function<bool()>& holds) {
  return Process({"sleep", "1000"}).wait_until([&] { return usleep(50'000), holds(); }, 300);
}

/// `name` in a line of words name=value.
std::string value_of(const std::string& name, const std::string& line) {
  for (const std::string& word : words_of(line))
    if (word.starts_with(name + "=")) return word.substr(name.size() + 1);
  return "";
}
/// What scontrol says of a job: JobState, ExitCode, Reason, Restarts.
std::string told(const std::string& name, const std::string& job) {
  return value_of(name, run({"scontrol", "show", "job", "-o", job}).out);
}
/// Not so SIGNALING and others that come in between. Empty: Slurm has forgotten the job.
bool is_over(const std::string& job_state) {
  static const std::set<std::string> kEnds = {"",          "COMPLETED", "FAILED",        "TIMEOUT",  "CANCELLED",
                                              "PREEMPTED", "NODE_FAIL", "OUT_OF_MEMORY", "DEADLINE", "BOOT_FAIL"};
  return kEnds.contains(job_state);
}
std::string state_of_node(const std::string& host) {
  return value_of("State", run({"scontrol", "show", "node", "-o", host}).out);
}
void set_node(const std::string& host, const std::string& state) {
  EXPECT_EQ(run({"scontrol", "update", "nodename=" + host, "reason=test", "state=" + state}).exit_code, 0);
}

Json status_of(const fs::path& run) { return Json::parse(read_file(run / "status.json"), nullptr, false); }

/// The first lines of metrics.csv, up to and with those of `step`.
std::string metrics_until(const fs::path& run, long step) {
  std::string text;
  for (const std::string& line : lines_of(read_file(run / "metrics.csv"))) {
    const std::size_t second = line.find(',', line.find(',') + 1) + 1;  // after time_s and node
    if (std::atol(line.c_str() + second) <= step) text += line + "\n";
  }
  return text;
}

/// The model of the same training without Slurm and interruption.
std::vector<float> undisturbed(int nodes, const std::string& train) {
  const Scratch scratch;
  return model_of(tool("simulate --nodes " + std::to_string(nodes) + " " + train), (scratch / "a").string());
}

/// Jobs of a test, in a directory of their own. When it is over none is left, and all nodes take jobs again.
class SlurmTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!emulated()) FAIL() << "start it by tests/slurm/run: these tests drain nodes and cancel all jobs";
    fs::create_directory_symlink(fs::path(ECL_TOOL).parent_path(), scratch_ / "build");
  }
  void TearDown() override {
    if (!emulated()) return;  // a real cluster's jobs are not ours
    run({"scancel", "--user", "root"});
    EXPECT_TRUE(eventually([] { return run({"squeue", "-h"}).out.empty(); }));
  }

  static bool emulated() { return std::getenv("EMULATED_SLURM"); }

  /// The number of a new job: a script of scripts/cluster, options of sbatch and of ecl train.
  std::string submit(const std::string& script, const std::string& sbatch, const std::string& train,
                     const std::string& launch = kMpirun) const {
    Words words = {"env", "LAUNCH=" + launch, "sbatch", "--parsable", "--chdir=" + scratch_.path().string()};
    for (const Words& more : {words_of(sbatch), {ECL_SOURCE_DIR "/scripts/cluster/" + script}, words_of(train)})
      words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return words_of(outcome.out + "none")[0];
  }

  /// Waits for a state of a job; says what came instead.
  testing::AssertionResult comes_to(const std::string& job, const std::string& state) const {
    std::string now;
    eventually([&] { return now = told("JobState", job), now == state || is_over(now); });
    if (now == state) return testing::AssertionSuccess();
    return testing::AssertionFailure() << now << " came, not " << state << ": " << logs();
  }
  testing::AssertionResult has_checkpoint(const std::string& job) const {
    const fs::path latest = out_of(job) / "checkpoints/latest";
    eventually([&] { return fs::exists(latest) || is_over(told("JobState", job)); });
    if (fs::exists(latest)) return testing::AssertionSuccess();
    return testing::AssertionFailure() << logs();
  }

  fs::path out_of(const std::string& run) const { return scratch_ / ("runs/" + run); }
  std::string logs() const {
    std::string text;
    for (const auto& entry : fs::directory_iterator(scratch_.path()))
      if (entry.path().extension() == ".log") text += read_file(entry.path());
    return text;
  }

  const Scratch scratch_;
};

class Launch : public SlurmTest, public testing::WithParamInterface<std::string> {};

TEST_P(Launch, OneRun) {
  const std::string job = submit("one.sbatch", "--ntasks-per-node=2", kQuick, GetParam());
  ASSERT_TRUE(comes_to(job, "COMPLETED"));
  expect_complete(summary_of(out_of(job)));
  EXPECT_EQ(summary_of(out_of(job))["nodes"], 8);
  EXPECT_EQ(parameters_of(out_of(job)), undisturbed(8, kQuick));
}

INSTANTIATE_TEST_SUITE_P(SlurmTest, Launch, testing::Values(kMpirun, kSrun),
                         [](const auto& test) { return test.param.substr(0, test.param.find(' ')); });

TEST_F(SlurmTest, AMistakeIsTheJobsExitCode) {
  const std::string job = submit("requeue.sbatch", "--ntasks-per-node=1", "--solver ekl");
  ASSERT_TRUE(comes_to(job, "FAILED"));
  EXPECT_EQ(told("ExitCode", job), "2:0");
  EXPECT_EQ(count(logs(), "ecl: unknown solver 'ekl'"), 1u) << logs();
  EXPECT_FALSE(fs::exists(out_of(job)));
}

TEST_F(SlurmTest, WithoutOptionsItTrainsOnAsFewRanksAsThereAre) {
  const std::string run = submit("one.sbatch", "--nodes=2 --ntasks-per-node=1", "");
  const std::string sweep = submit("array.sbatch", "--nodes=2 --ntasks-per-node=1 --array=0", "");
  ASSERT_TRUE(comes_to(run, "COMPLETED"));
  ASSERT_TRUE(comes_to(sweep + "_0", "COMPLETED"));
  expect_complete(summary_of(out_of(run)));
  expect_complete(summary_of(out_of(sweep + "/lr-0.01")));
}

/// Open MPI's words, which scripts/cluster/README.md explains.
TEST_F(SlurmTest, SrunWithoutPmixStartsNothing) {
  const std::string job = submit("one.sbatch", "--ntasks-per-node=1", kQuick, "srun --mpi=pmi2");
  ASSERT_TRUE(comes_to(job, "FAILED"));
  EXPECT_NE(logs().find("OMPI was not built with SLURM's PMI support"), std::string::npos) << logs();
  EXPECT_FALSE(fs::exists(out_of(job)));
}

TEST_F(SlurmTest, AnArrayIsASweep) {
  const std::string job = submit("array.sbatch", "--ntasks-per-node=1 --array=0-3", kQuick);
  for (const char* task : {"_0", "_1", "_2", "_3"}) ASSERT_TRUE(comes_to(job + task, "COMPLETED"));
  for (const char* rate : {"0.01", "0.02", "0.05", "0.1"})
    EXPECT_EQ(parameters_of(out_of(job + "/lr-" + rate)), undisturbed(2, kQuick + " --lr " + rate)) << rate;
}

class Requeue : public Launch {};

TEST_P(Requeue, ASignalledRunGoesOnInTheSameJob) {
  const std::string job = submit("requeue.sbatch", "--ntasks-per-node=1", kSeconds, GetParam());
  ASSERT_TRUE(has_checkpoint(job));
  ASSERT_TRUE(eventually([&] { return lines_of(read_file(out_of(job) / "metrics.csv")).size() > 20; })) << logs();
  run({"scancel", "--batch", "--signal=USR1", job});  // as --signal=B:USR1 does
  ASSERT_TRUE(comes_to(job, "PENDING"));
  const Json status = status_of(out_of(job));
  ASSERT_EQ(status["state"], "preempted");
  const long trained = status["step"].get<long>() - 1;  // what was measured at the stop itself is measured again
  const std::string metrics = metrics_until(out_of(job), trained);
  EXPECT_GT(lines_of(metrics).size(), 20u);
  ASSERT_TRUE(comes_to(job, "COMPLETED"));
  EXPECT_EQ(told("Restarts", job), "1");
  EXPECT_EQ(metrics_until(out_of(job), trained), metrics) << "nothing is trained twice: the times are the same, too";
  EXPECT_EQ(parameters_of(out_of(job)), undisturbed(4, kSeconds));
}

INSTANTIATE_TEST_SUITE_P(SlurmTest, Requeue, testing::Values(kMpirun, kSrun),
                         [](const auto& test) { return test.param.substr(0, test.param.find(' ')); });

/// Ends that give mpirun no time: the latest checkpoint is whole, and the same job can go on from it.
void expect_usable(const fs::path& run_directory) {
  const Outcome outcome = run(tool("evaluate --checkpoint newest " + run_directory.string()));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(SlurmTest, ACancelledRunStaysCancelledAndItsCheckpointIsWhole) {
  const std::string job = submit("requeue.sbatch", "--ntasks-per-node=1", kEndless);
  ASSERT_TRUE(has_checkpoint(job));
  run({"scancel", job});
  ASSERT_TRUE(comes_to(job, "CANCELLED"));
  EXPECT_EQ(told("Restarts", job), "0");
  expect_usable(out_of(job));
}

class Again : public SlurmTest, public testing::WithParamInterface<std::string> {};

TEST_P(Again, AnotherJobGoesOnWithARunThatWasCancelled) {
  const std::string first = submit("requeue.sbatch", "--ntasks-per-node=1", kEndless);
  ASSERT_TRUE(has_checkpoint(first));
  run({"scancel", first});
  ASSERT_TRUE(comes_to(first, "CANCELLED"));
  const Json stopped = status_of(out_of(first));
  const std::string second = submit(GetParam(), "--ntasks-per-node=1", "--resume runs/" + first);
  ASSERT_TRUE(comes_to(second, "RUNNING"));
  EXPECT_TRUE(eventually([&] { return status_of(out_of(first))["step"] > stopped["step"]; })) << logs();
  EXPECT_GE(status_of(out_of(first))["checkpoint"], stopped["checkpoint"]);
  EXPECT_FALSE(fs::exists(out_of(second)));
}

INSTANTIATE_TEST_SUITE_P(SlurmTest, Again, testing::Values("one.sbatch", "requeue.sbatch"),
                         [](const auto& test) { return test.param.substr(0, test.param.find('.')); });

TEST_F(SlurmTest, ADrainedNodeEndsItsJobAndTakesNoOther) {
  const std::string first = submit("one.sbatch", "--ntasks-per-node=1", kSeconds);
  ASSERT_TRUE(comes_to(first, "RUNNING"));
  set_node("h3", "drain");
  EXPECT_TRUE(comes_to(first, "COMPLETED"));
  EXPECT_EQ(state_of_node("h3"), "IDLE+DRAIN");
  const std::string second = submit("one.sbatch", "--ntasks-per-node=1", kQuick);
  const std::string third = submit("one.sbatch", "--ntasks-per-node=1 --nodes=3", kQuick);
  EXPECT_TRUE(comes_to(third, "COMPLETED"));
  EXPECT_EQ(told("JobState", second), "PENDING");
  set_node("h3", "resume");
  EXPECT_TRUE(comes_to(second, "COMPLETED"));
}

class Long : public SlurmTest {};  // Slurm looks at jobs' times twice a minute, and they are a minute at least

TEST_F(Long, BeforeItsTimeIsOverARunQueuesItselfAnew) {
  const std::string job = submit("requeue.sbatch", "--ntasks-per-node=1 --time=1 --signal=B:USR1@10", kEndless);
  ASSERT_TRUE(has_checkpoint(job));
  ASSERT_TRUE(comes_to(job, "PENDING"));
  const Json status = status_of(out_of(job));
  EXPECT_EQ(status["state"], "preempted");
  ASSERT_TRUE(comes_to(job, "RUNNING"));
  EXPECT_TRUE(eventually([&] { return status_of(out_of(job))["step"] > status["step"]; })) << logs();
}

TEST_F(Long, ARunOutOfTimeGoesOnWhenItIsRequeuedByHand) {
  const std::string job = submit("requeue.sbatch", "--ntasks-per-node=1 --time=1 --signal=B:URG@1", kEndless);
  ASSERT_TRUE(comes_to(job, "TIMEOUT"));
  expect_usable(out_of(job));
  const Json status = status_of(out_of(job));
  EXPECT_EQ(run({"scontrol", "requeue", job}).exit_code, 0);
  EXPECT_TRUE(eventually([&] { return status_of(out_of(job))["step"] > status["step"]; })) << logs();
}

/// Slurm queues the job of a node that is gone anew; when it is back, the run goes on from its latest checkpoint.
TEST_F(Long, ANodeThatIsLostCostsNothingBeyondTheLatestCheckpoint) {
  const std::string job = submit("requeue.sbatch", "--ntasks-per-node=1", kMinute);
  ASSERT_TRUE(has_checkpoint(job));
  const fs::path daemon = fs::path(std::getenv("SLURM_CONF")).parent_path() / "slurmd.h3.pid";
  kill(std::stoi(read_file(daemon)), SIGKILL);
  EXPECT_TRUE(comes_to(job, "PENDING"));
  EXPECT_TRUE(state_of_node("h3").starts_with("DOWN")) << state_of_node("h3");
  const Json status = status_of(out_of(job));
  EXPECT_EQ(run({ECL_SOURCE_DIR "/tests/hosts/login", "h3", "slurmd"}).exit_code, 0);
  ASSERT_TRUE(comes_to(job, "RUNNING"));
  EXPECT_TRUE(eventually([&] { return status_of(out_of(job))["step"] != status["step"]; })) << logs();
  EXPECT_GE(status_of(out_of(job))["checkpoint"], status["checkpoint"]);
  EXPECT_TRUE(comes_to(job, "COMPLETED"));
  EXPECT_EQ(told("Restarts", job), "1");
  EXPECT_EQ(parameters_of(out_of(job)), undisturbed(4, kMinute));
}

}  // namespace
}  // namespace ecl::test
