// What users do to a run over ranks, and what happens to machines: a rank is killed, or stopped. The tool under mpirun.
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/command.hpp"
#include "tests/support/jobs.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

constexpr int kRanks = 4;
constexpr double kLimit_s = 90;

bool is_open_mpi() { return count(run({ECL_MPIEXEC, "--version"}).out, "Open") > 0; }

/// A run over ranks that has begun to train, and the processes of its ranks.
class Job {
 public:
  Job(const std::vector<std::string>& launcher, const std::string& options)
      : out_((scratch_ / "a").string()), process_(contained(command(launcher, options), scratch_)) {
    began_ = process_.wait_until([&] { return fs::exists(out_ + "/metrics.csv"); }, kLimit_s);
    ranks_ = ranks_of(process_.id());
  }
  /// False where the launcher keeps its ranks elsewhere: nothing can be tested then.
  bool has_ranks() const { return began_ && ranks_.size() == kRanks; }
  void signal(int rank, int number) const { kill(ranks_[rank], number); }
  Process& process() { return process_; }
  const std::string& out() const { return out_; }

 private:
  std::vector<std::string> command(const std::vector<std::string>& launcher, const std::string& options) const {
    std::vector<std::string> words = launcher;
    for (const std::string& word : tool_on(kRanks, options + " --out " + out_))
      if (word != ECL_MPIEXEC) words.push_back(word);
    return words;
  }

  Scratch scratch_;
  std::string out_;
  Process process_;
  bool began_ = false;
  std::vector<pid_t> ranks_;
};

class Killed : public testing::TestWithParam<int> {};

/// All ranks are in their training loops: each has taken messages, and says so in its log (--record). Before that a
/// death ends the job.
bool all_train(const std::string& out) {
  for (int rank = 0; rank < kRanks; ++rank) {
    const std::string log = read_file(out + "/deliveries/node-" + std::to_string(rank));
    if (log.find('\n') + 1 >= log.size()) return false;
  }
  return true;
}

/// The victim is far too slow to finish: the run can only end without it.
TEST_P(Killed, TheOthersFinishAndSaySo) {
  if (!is_open_mpi()) GTEST_SKIP() << "this launcher ends the whole job when a rank dies";
  const int victim = GetParam();
  const std::string slow = std::to_string(victim) + ":1000";
  Job job({ECL_MPIEXEC, "--enable-recovery"},
          "train --steps 4000 --eval-every 0 --quiet --record --node-models --node-speed " + slow);
  if (!job.has_ranks()) GTEST_SKIP() << "the ranks' processes are not to be found";
  ASSERT_TRUE(job.process().wait_until([&] { return all_train(job.out()); }, kLimit_s)) << job.process().err();
  job.signal(victim, SIGKILL);
  const Outcome outcome = job.process().wait(kLimit_s);
  ASSERT_FALSE(outcome.timed_out) << outcome.err;
  const std::string died = "ecl: node " + std::to_string(victim) + " has died; the others go on";
  EXPECT_EQ(count(outcome.err, died), 1u) << outcome.err;
  EXPECT_EQ(count(outcome.out, "partial: ecl on ring, 4 nodes"), 1u) << outcome.out;

  const Json summary = summary_of(job.out());
  expect_complete(summary);
  EXPECT_EQ(summary["verdict"], "partial");
  EXPECT_EQ(summary["nodes_lost"], std::vector<int>{victim});
  EXPECT_EQ(count(summary["warnings"].dump(), "were stopped"), 0u);
  EXPECT_EQ(summary["steps"], (kRanks - 1) * 4000);
  EXPECT_GT(summary["settle_rounds"], 0);
  EXPECT_GT(summary["test_accuracy_min"].get<double>(), 80);
  const auto rows = lines_of(read_file(job.out() + "/metrics.csv"));
  EXPECT_EQ(rows.size(), 1u + kRanks - 1) << "the header, and a row of every survivor";
  EXPECT_EQ(count(read_file(job.out() + "/status.json"), "\"partial\""), 1u);
  EXPECT_EQ(count(read_file(job.out() + "/status.json"), "\"resume\": null"), 1u);
  EXPECT_EQ(lines_of(run(tool("top " + job.out())).out).back(), "there is no checkpoint to go on from");
  const Outcome again = run(tool_on(kRanks, "train --resume " + job.out()));
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_EQ(count(again.err, "has ended (partial) without a checkpoint"), 1u) << again.err;
  EXPECT_TRUE(fs::exists(job.out() + "/model/model.safetensors"));
  const std::string told = (victim == 0 ? ",1" : ",0") + std::string(",died,") + std::to_string(victim) + "\n";
  EXPECT_EQ(count(read_file(job.out() + "/events.csv"), told), 1u) << read_file(job.out() + "/events.csv");

  const std::string measures = job.out() + ".json", evaluate = "evaluate " + job.out() + " --out " + measures;
  EXPECT_EQ(run(tool(evaluate)).exit_code, 0);
  EXPECT_EQ(Json::parse(read_file(measures))["accuracy"], summary["test_accuracy_consensus"]);
  EXPECT_EQ(run(tool(evaluate + " --node 1")).exit_code, 0) << "a survivor";
  EXPECT_NEAR(Json::parse(read_file(measures))["accuracy"].get<double>(), summary["test_accuracy_mean"], 2);
  EXPECT_EQ(run(tool(evaluate + " --node " + std::to_string(victim))).exit_code, 2);
}

/// The run is the survivors': no other job may train there, and a stop signal to one of them ends it with their model.
TEST(RankFaults, SurvivorsThatAreStoppedKeepWhatTheyHave) {
  if (!is_open_mpi()) GTEST_SKIP() << "this launcher ends the whole job when a rank dies";
  Job job({ECL_MPIEXEC, "--enable-recovery"}, "train --steps 100000000 --eval-every 0 --quiet --record");
  if (!job.has_ranks()) GTEST_SKIP() << "the ranks' processes are not to be found";
  ASSERT_TRUE(job.process().wait_until([&] { return all_train(job.out()); }, kLimit_s)) << job.process().err();
  job.signal(0, SIGKILL);
  const auto told = [&] { return count(job.process().err(), "node 0 has died; the others go on") == 1; };
  ASSERT_TRUE(job.process().wait_until(told, kLimit_s)) << job.process().err();

  const Outcome another = run(tool_on(kRanks, "train --quiet --resume " + job.out()));
  EXPECT_EQ(another.exit_code, 2);
  EXPECT_EQ(count(another.err, "another process trains there"), 1u) << another.err;
  EXPECT_EQ(count(run(tool("top " + job.out())).out, "processes are at work there"), 1u);

  job.signal(2, SIGTERM);  // later than mpirun would send it; the others have not heard
  const Outcome outcome = job.process().wait(kLimit_s);
  ASSERT_FALSE(outcome.timed_out) << outcome.err;
  EXPECT_EQ(count(outcome.out, "partial: ecl on ring, 4 nodes"), 1u) << outcome.out << outcome.err;
  EXPECT_EQ(summary_of(job.out())["nodes_lost"], std::vector<int>{0});
  EXPECT_EQ(count(outcome.err, "ecl: warning: the nodes that live were stopped before"), 1u) << outcome.err;
  EXPECT_EQ(run(tool("evaluate " + job.out())).exit_code, 0);
}

INSTANTIATE_TEST_SUITE_P(RankFaults, Killed, testing::Values(0, 2), testing::PrintToStringParamName());

TEST(RankFaults, WhereTheJobEndsWithARankTheCheckpointIsNamed) {
  if (!is_open_mpi()) GTEST_SKIP() << "this launcher ends the whole job at once when a rank dies";
  // After a death mpirun leaves the others a second: too short for a busy machine.
  Job job({"env", "OMPI_MCA_odls_base_sigkill_timeout=5", ECL_MPIEXEC},
          "train --steps 100000000 --eval-every 0 --quiet --checkpoint-every 1");
  if (!job.has_ranks()) GTEST_SKIP() << "the ranks' processes are not to be found";
  const std::string latest = job.out() + "/checkpoints/latest";
  ASSERT_TRUE(job.process().wait_until([&] { return fs::exists(latest); }, kLimit_s)) << job.process().err();
  job.signal(1, SIGKILL);
  const Outcome outcome = job.process().wait(kLimit_s);
  ASSERT_FALSE(outcome.timed_out);
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_EQ(count(outcome.err, "ecl: node 1 has died, and the run ends with it"), 1u) << outcome.err;
  EXPECT_EQ(count(outcome.err, " ecl train --resume " + job.out()), 1u) << outcome.err;
  EXPECT_EQ(count(read_file(job.out() + "/events.csv"), ",died,1\n"), 1u) << "whoever of them saw it first";
}

/// Each round needs all of the neighbours' messages: there is no going on.
TEST(RankFaults, InLockStepTheJobEndsWithARank) {
  if (!is_open_mpi()) GTEST_SKIP() << "this launcher ends the whole job when a rank dies";
  Job job({ECL_MPIEXEC, "--enable-recovery"}, "train --mode lock-step --steps 100000000 --eval-every 0 --quiet");
  if (!job.has_ranks()) GTEST_SKIP() << "the ranks' processes are not to be found";
  const auto trains = [&] {
    const Json status = Json::parse(read_file(job.out() + "/status.json"), nullptr, false);
    return status.is_object() && status["step"] > 10;
  };
  ASSERT_TRUE(job.process().wait_until(trains, kLimit_s)) << job.process().err();
  job.signal(1, SIGKILL);
  const Outcome outcome = job.process().wait(kLimit_s);
  ASSERT_FALSE(outcome.timed_out) << outcome.err;
  EXPECT_EQ(count(outcome.err, "ecl: node 1 has died, and the run ends with it; there is no checkpoint"), 1u)
      << outcome.err;
}

TEST(RankFaults, ARankThatThrowsEndsTheJob) {
  const Outcome outcome = run({ECL_MPIEXEC, "-n", "4", ECL_THROWING_RANK});
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
}

/// What mpirun says of it differs from time to time; that it ends does not.
TEST(RankFaults, ARankThatIsKilledAsAllPartEndsTheJob) {
  if (!is_open_mpi()) GTEST_SKIP() << "this launcher ends the whole job when a rank dies";
  const Scratch scratch;
  const Outcome outcome =
      run(contained({ECL_MPIEXEC, "--enable-recovery", "-n", "4", ECL_THROWING_RANK, "parting"}, scratch), kLimit_s);
  EXPECT_FALSE(outcome.timed_out) << outcome.err;
}

TEST(RankFaults, ASilentNeighbourIsNamed) {
  Job job({ECL_MPIEXEC}, "train --steps 100000000 --eval-every 0 --quiet --stall-warn-s 2");
  if (!job.has_ranks()) GTEST_SKIP() << "the ranks' processes are not to be found";
  const auto says = [&](const std::string& text) {
    return job.process().wait_until([&] { return count(job.process().err(), text) > 0; }, kLimit_s);
  };
  job.signal(1, SIGSTOP);
  EXPECT_TRUE(says("ecl: node 0 has heard nothing from node 1 for ")) << job.process().err();
  EXPECT_TRUE(says("ecl: node 2 has heard nothing from node 1 for ")) << job.process().err();
  job.signal(1, SIGCONT);
  EXPECT_TRUE(says("ecl: node 0 hears from node 1 again")) << job.process().err();
  for (int rank = 0; rank < kRanks; ++rank) job.signal(rank, SIGTERM);
  const Outcome outcome = job.process().wait(kLimit_s);
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 75) << outcome.err;
  const std::string events = read_file(job.out() + "/events.csv");
  for (const char* event : {",0,silent,1\n", ",2,silent,1\n", ",0,back,1\n"})
    EXPECT_EQ(count(events, event), 1u) << events;
}

TEST(RankFaults, ATenTimesSlowerRankIsWaitedForAtTheEndOnly) {
  Job job({ECL_MPIEXEC}, "train --epochs 30 --eval-every 0 --quiet --node-speed 1:10");
  const Outcome outcome = job.process().wait(kLimit_s);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json summary = summary_of(job.out());
  EXPECT_EQ(summary["verdict"], "converged");
  EXPECT_GT(summary["test_accuracy_min"].get<double>(), 80);
}

}  // namespace
}  // namespace ecl::test
