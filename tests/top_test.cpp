// A run seen while it goes: status.json, ecl top, the progress line of a terminal.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <regex>
#include <set>
#include <unistd.h>

#include "ecl/base/host.hpp"
#include "ecl/metrics/progress.hpp"
#include "ecl/metrics/standings.hpp"
#include "tests/support/command.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/jobs.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

constexpr double kLimit_s = 90;

Json status_of(const std::string& run) {
  const Json status = Json::parse(read_file(run + "/status.json"), nullptr, false);
  return status.is_object() ? status : Json::object();
}

/// Every node of status.json is as `holds` says. Before the first one there is none.
bool every_node(const Json& status, const std::function<bool(const Json&)>& holds) {
  return status.contains("by_node") && std::ranges::all_of(status["by_node"], holds);
}

bool has_told(const Json& node) { return !node["step"].is_null() && !node["message_age_s"].is_null(); }

/// The command with a terminal for standard output and error, as a user has it; what it said comes on standard output.
std::vector<std::string> on_terminal(const std::vector<std::string>& command) {
  std::string line;
  for (const std::string& word : command) line += (line.empty() ? "" : " ") + word;
  return {"script", "-qec", line, "/dev/null"};
}

/// What the table says of a node.
struct Row {
  std::uint64_t step = 0;
  int done = -1;
  std::string rest;
};
std::map<int, Row> rows_of(const std::string& text) {
  std::map<int, Row> rows;
  for (const std::string& line : lines_of(text)) {
    int node = 0, done = 0, end = 0;
    unsigned long long step = 0;
    if (std::sscanf(line.c_str(), "%d %llu %d %%%n", &node, &step, &done, &end) == 3)
      rows[node] = {step, done, line.substr(end)};
  }
  return rows;
}

class Job {
 public:
  explicit Job(const std::string& options)
      : out_((scratch_ / "a").string()),
        process_(contained(tool_on(4, "train --quiet --out " + out_ + " " + options), scratch_)) {}
  Process& process() { return process_; }
  const std::string& out() const { return out_; }
  Outcome top() const { return run(tool("top " + out_)); }
  void stop() {
    for (const pid_t rank : ranks_of(process_.id())) kill(rank, SIGTERM);
    process_.wait(kLimit_s);
  }

 private:
  Scratch scratch_;
  std::string out_;
  Process process_;
};

/// The number of one that is gone.
pid_t ended_process() {
  Process process({"true"});
  process.wait(kLimit_s);
  return process.id();
}

/// A run's status.json, written by hand: what is said of it is then exact.
class Told {
 public:
  Told() {
    write_file(scratch_ / "config.ini", "# ecl train --out a\n# on 4 nodes\n");
    status_ = {{"state", "running"}, {"step", 500},
               {"steps", 1000},      {"epoch", 2.5},
               {"seconds", 83.4},    {"host", host_name()},
               {"pid", getpid()},    {"exchange", "windows"},
               {"accuracy", 91.254}, {"consensus_error", 0.125},
               {"resume", "again"},  {"accuracy_consensus", nullptr},
               {"checkpoint", 3},    {"by_node", Json::array()}};
    add({{"step", 500}, {"message_age_s", 13.14}, {"message_from", 3}, {"neighbour_silent", true}});
    add({{"step", 1000}, {"steps_per_s", 512.5}, {"message_age_s", 0.05}, {"message_from", 0}, {"accuracy", 95.816}});
    add({{"step", 100}, {"told_s_ago", 14.2}, {"message_age_s", 0.1}, {"message_from", 1}});
    add({{"step", nullptr}, {"told_s_ago", nullptr}, {"steps_per_s", nullptr}});
    add({{"step", 999}, {"died", true}, {"told_s_ago", 100}});
  }
  std::string run_name() const { return scratch_.path().string(); }
  Json& status() { return status_; }

  /// What `ecl top` says of a status.json that is so old. It never grows younger, so that a slow test says the same.
  Lines top(std::chrono::minutes age) const {
    write_file(scratch_ / "status.json", status_.dump());
    fs::last_write_time(scratch_ / "status.json", fs::file_time_type::clock::now() - age);
    const Outcome top = run(tool("top " + run_name()));
    EXPECT_EQ(top.exit_code, 0);
    EXPECT_EQ(top.err, "");
    return lines_of(top.out);
  }

 private:
  void add(const Json& node) {
    Json row = {{"steps_per_s", 10.25},
                {"told_s_ago", 0.25},
                {"message_age_s", nullptr},
                {"accuracy", nullptr},
                {"message_from", nullptr},
                {"neighbour_silent", false},
                {"died", false},
                {"node", status_["by_node"].size()}};
    row.update(node);
    status_["by_node"].push_back(row);
  }

  Scratch scratch_;
  Json status_;
};

constexpr const char* kHead = ", 40 % of 1000 steps, epoch 2.5, 1 min 23 s of training";
constexpr std::chrono::minutes kFresh{-60}, kOld{90};  // from the future: young however slow the test is

TEST(Top, SaysWhatTheNodesHaveTold) {
  const Told told;
  EXPECT_EQ(told.top(kFresh),
            (Lines{told.run_name() + ": running" + kHead,
                   "accuracy so far: nodes' mean 91.25 %, average model -; consensus error 1.25e-01",
                   "exchange: windows", " node       step   done   steps/s  accuracy  oldest news of a neighbour",
                   "    0        500   50 %      10.2         -  13.1 s, from 3: silent",
                   "    1       1000  100 %     512.5     95.82  0.1 s, from 0",
                   "    2        100   10 %      10.2         -  has said nothing for 14 s: is it stopped?",
                   "    3          -      -         -         -", "    4        999   99 %      10.2         -  died"}))
      << "100 % is all of them";
}

TEST(Top, SaysWhetherTheRunGoesOn) {
  Told told;
  const std::string where = "process " + std::to_string(getpid()) + " on " + host_name();
  EXPECT_EQ(told.top(kOld)[0],
            told.run_name() + ": running" + kHead + "; no news for 1 h 30 min: is " + where + " stopped?");
  told.status()["pid"] = ended_process();
  EXPECT_EQ(told.top(kFresh)[0], told.run_name() + ": killed" + kHead);
  EXPECT_EQ(told.top(kFresh).back(), "to go on: again");
  EXPECT_EQ(told.top(kFresh)[4], "    0        500   50 %      10.2         -") << "what is over is not silent";
  told.status()["host"] = "elsewhere";  // its processes are not to be seen from here
  EXPECT_EQ(told.top(kFresh)[0], told.run_name() + ": running" + kHead);
  told.status()["state"] = "preempted";
  EXPECT_EQ(told.top(kOld)[0], told.run_name() + ": preempted" + kHead);
}

/// Without a checkpoint a run begins anew: nobody should take that for going on.
TEST(Top, SaysHowToGoOn) {
  Told told;
  told.status()["pid"] = ended_process();
  told.status()["checkpoint"] = nullptr;
  EXPECT_EQ(told.top(kFresh).back(), "there is no checkpoint to go on from; to begin anew: again");
  told.status()["state"] = "partial";
  EXPECT_EQ(told.top(kFresh).back(), "there is no checkpoint to go on from");
  told.status()["resume"] = nullptr;
  EXPECT_EQ(told.top(kFresh).back(), "there is no checkpoint to go on from");
  told.status()["checkpoint"] = 3, told.status()["resume"] = "again";
  EXPECT_EQ(told.top(kFresh).back(), "to go on: again");
}

TEST(Top, AProcessOfTheSameNumberIsNotTheRun) {
  Told told;
  told.status()["pid_started"] = process_started(getpid());
  EXPECT_EQ(told.top(kFresh)[0], told.run_name() + ": running" + kHead);
  told.status()["pid_started"] = process_started(getpid()) - 1;
  EXPECT_EQ(told.top(kFresh)[0], told.run_name() + ": killed" + kHead);
}

TEST(Top, ShowsARunThatGoesOnAndOneThatHasEnded) {
  Job job("--steps 100000000 --eval-every 20 --node-speed 2:20");
  const auto all_told = [&] {
    const Json status = status_of(job.out());
    return every_node(status, has_told) && !status["accuracy"].is_null() &&
           status["by_node"][2]["step"] < status["by_node"][0]["step"].get<double>() / 2;  // 20 times slower
  };
  ASSERT_TRUE(job.process().wait_until(all_told, kLimit_s)) << job.process().err();
  const Json before = status_of(job.out());
  const Outcome top = job.top();
  const Json after = status_of(job.out());
  ASSERT_EQ(top.exit_code, 0) << top.err;
  EXPECT_EQ(top.err, "");
  EXPECT_EQ(top.out.find_first_of("\r\033"), std::string::npos);
  EXPECT_EQ(top.out.rfind(job.out() + ": running, ", 0), 0u) << top.out;
  EXPECT_EQ(count(top.out, " % of 100000000 steps"), 1u);
  EXPECT_EQ(count(top.out, "exchange: shared memory\n"), 1u);
  const auto rows = rows_of(top.out);
  ASSERT_EQ(rows.size(), 4u) << top.out;
  for (const auto& [node, row] : rows) {
    EXPECT_GE(row.step, before["by_node"][node]["step"]);
    EXPECT_LE(row.step, after["by_node"][node]["step"]);
  }
  EXPECT_EQ(before["by_node"][2]["message_from"].get<int>() % 2, 1) << "the ring's neighbours of 2 are 1 and 3";
  char accuracy[64];
  std::snprintf(accuracy, sizeof accuracy, "accuracy so far: nodes' mean %.2f %%", before["accuracy"].get<double>());
  if (before["accuracy"] == after["accuracy"]) {
    EXPECT_EQ(count(top.out, accuracy), 1u) << top.out;
  }

  job.stop();
  const Outcome end = job.top();
  EXPECT_EQ(end.exit_code, 0);
  EXPECT_EQ(end.out.rfind(job.out() + ": preempted, ", 0), 0u) << end.out;
  EXPECT_EQ(count(end.out, "to go on: mpirun -n 4 ecl train --resume " + job.out() + "\n"), 1u) << end.out;
}

/// Of a rank that is stopped nothing is heard any more, by rank 0, which keeps status.json, and by the neighbours.
TEST(Top, ANodeThatIsStoppedIsTold) {
  Job job("--steps 100000000 --eval-every 0 --stall-warn-s 1");
  ASSERT_TRUE(job.process().wait_until([&] { return every_node(status_of(job.out()), has_told); }, kLimit_s));
  const auto ranks = ranks_of(job.process().id());
  if (ranks.size() != 4) GTEST_SKIP() << "the ranks' processes are not to be found";
  kill(ranks[1], SIGSTOP);
  const double stopped = status_of(job.out())["by_node"][1]["step"];
  const auto noticed = [&] {
    const Json node = status_of(job.out())["by_node"];
    return node[0]["neighbour_silent"] == true && node[0]["message_from"] == 1 && node[1]["told_s_ago"] > 2;
  };
  EXPECT_TRUE(job.process().wait_until(noticed, kLimit_s)) << read_file(job.out() + "/status.json");
  kill(ranks[1], SIGCONT);
  const auto back = [&] { return status_of(job.out())["by_node"][1]["step"] > stopped; };
  EXPECT_TRUE(job.process().wait_until(back, kLimit_s)) << read_file(job.out() + "/status.json");
  job.stop();
}

/// It goes on with the options of the call that config.ini has not.
TEST(Top, SaysWhenARunWasKilled) {
  Job job("--steps 100000000 --eval-every 0 --checkpoint-every 1 --exchange shared --stall-warn-s 30");
  ASSERT_TRUE(job.process().wait_until([&] { return fs::exists(job.out() + "/checkpoints/latest"); }, kLimit_s));
  kill_job(job.process());
  job.process().wait(kLimit_s);
  const Outcome top = job.top();
  EXPECT_EQ(top.out.rfind(job.out() + ": killed, ", 0), 0u) << top.out;
  const std::string resume = "mpirun -n 4 ecl train --resume " + job.out() + " --exchange shared --stall-warn-s 30";
  EXPECT_EQ(count(top.out, "to go on: " + resume + "\n"), 1u) << top.out;
}

TEST(Top, ShowsTheEndOfASimulatedRun) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  ASSERT_EQ(run(tool("simulate --nodes 3 --epochs 3 --quiet --out " + out)).exit_code, 0);
  const Json summary = summary_of(out);
  const Outcome top = run(tool("top --once " + out));
  const auto rows = rows_of(top.out);
  ASSERT_EQ(rows.size(), 3u) << top.out;
  for (const auto& [node, row] : rows) {
    EXPECT_EQ(row.step, summary["steps"].get<std::uint64_t>() / 3);
    EXPECT_EQ(row.done, 100);
  }
  EXPECT_EQ(top.out.rfind(out + ": converged, 100 % of ", 0), 0u) << top.out;
  char accuracy[64];
  std::snprintf(accuracy, sizeof accuracy, "average model %.2f %%", summary["test_accuracy_consensus"].get<double>());
  EXPECT_EQ(count(top.out, accuracy), 1u) << top.out;
  EXPECT_EQ(count(top.out, "exchange:"), 0u);
}

/// Until the run ends, the lines in place of those before.
TEST(Top, IsShownAnewOnATerminal) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  Process simulation(tool("simulate --nodes 3 --steps 100000000 --eval-every 0 --quiet --out " + out));
  ASSERT_TRUE(simulation.wait_until([&] { return fs::exists(out + "/status.json"); }, kLimit_s));
  EXPECT_EQ(status_of(out)["pid_started"], process_started(simulation.id()));
  Process top(on_terminal(tool("top " + out)));
  EXPECT_TRUE(top.wait_until([&] { return count(top.out(), "\033[6A") >= 2; }, kLimit_s)) << top.out();
  simulation.signal(SIGTERM);
  EXPECT_EQ(simulation.wait(kLimit_s).exit_code, 75);
  const Outcome outcome = top.wait(kLimit_s);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(count(outcome.out, out + ": preempted, "), 1u) << outcome.out;
  EXPECT_GE(count(outcome.out, out + ": running, "), 2u);
}

/// It died while it read its data: status.json will never come.
TEST(Top, DoesNotWaitForARunThatNobodyWorksOn) {
  const Scratch scratch;
  write_file(scratch / "config.ini", "# ecl train --out a\n# on 2 nodes\n");
  const Outcome outcome = Process(on_terminal(tool("top " + scratch.path().string()))).wait(kLimit_s);
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_GE(count(outcome.out, "has not begun to train, or it ended before"), 2u) << outcome.out;
}

TEST(Top, RefusesWhatIsNoRun) {
  const Scratch scratch;
  const std::string folder = scratch.path().string();
  expect_error("top", "ecl top needs the directory of a run");
  expect_error("top " + folder + "/none", folder + "/none: there is no such directory");
  expect_error("top " + folder, folder + ": no run was begun there");
  write_file(scratch / "config.ini", "# ecl train --out a\n# on 2 nodes\n");
  const Outcome early = run(tool("top " + folder));
  EXPECT_EQ(early.exit_code, 0);
  EXPECT_EQ(count(early.out, "has not begun to train"), 1u) << early.out;
  write_file(scratch / "status.json", "{\"state\": ");
  expect_error("top " + folder, "'" + folder + "/status.json' is damaged", 5);
  write_file(scratch / "status.json", "{\"state\": \"running\"}");
  expect_error("top " + folder, "'" + folder + "/status.json' has not what ecl writes there", 5);
}

// --- the progress line ---

TEST(ProgressLine, LeavesOutTheDead) {
  const std::vector<Standing> nodes = {{.step = 300}, {.step = 1000}, {.step = 500}};
  EXPECT_DOUBLE_EQ(share_done(nodes, {}, 1000), 0.6);
  EXPECT_DOUBLE_EQ(share_done(nodes, {1}, 1000), 0.4);
}

/// What the lines say of a run, in which node 0 has made 500 of 1000 steps, and node 1 100.
Progress::State half_way(double now_s) {
  return {.now_s = now_s,
          .step = 500,
          .epoch = 2.5,
          .loss = 0.125,
          .samples_per_step = 64,
          .share_done = 0.3,
          .slowest = 1,
          .slowest_step = 100};
}

TEST(ProgressLine, IsABarOnATerminal) {
  Progress progress(false, true, 1000);
  EXPECT_FALSE(progress.due(0.1));
  EXPECT_TRUE(progress.due(0.3));
  testing::internal::CaptureStderr();
  progress.show(half_way(10));
  progress.evaluated(0.25, 91.26);
  Progress::State late = half_way(100);
  late.share_done = 0.97, late.slowest_step = 960;
  progress.show(late);
  progress.finish();
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "\r[###.........]  30 %  loss 0.125  1 min 30 s left  slowest: node 1, 10 %\033[K"
            "\r[###########.]  97 %  accuracy 91.3 %  4 s left\033[K\n")
      << "the time left is the slowest node's; it is named where it is behind";
}

TEST(ProgressLine, IsPlainElsewhere) {
  Progress progress(false, false, 1000);
  EXPECT_FALSE(progress.due(4.9));
  EXPECT_TRUE(progress.due(5.1));
  testing::internal::CaptureStderr();
  progress.show(half_way(10));
  progress.finish();
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "step 500/1000  epoch 2.5  loss 0.1250  1.92e+03 samples/s  1 min 30 s left\n");
  EXPECT_FALSE(progress.due(14.9));
  EXPECT_FALSE(Progress(true, true, 1000).due(100)) << "quiet";
}

/// What a line that comes now says of the time left.
std::string time_left(Progress& progress, double now_s, std::uint64_t step, std::uint64_t slowest_step) {
  Progress::State state = half_way(now_s);
  state.step = step, state.slowest_step = slowest_step;
  testing::internal::CaptureStderr();
  progress.show(state);
  const std::string said = testing::internal::GetCapturedStderr();
  const std::size_t end = said.find(" left"), begin = said.find("samples/s  ") + 11;
  return begin < end && end != std::string::npos ? said.substr(begin, end - begin) : said;
}

TEST(ProgressLine, TellsTheTimeLeftByTheRateOfTheLastMinutes) {
  Progress stopped(false, false, 1000);
  stopped.begin(0, 0);
  EXPECT_EQ(time_left(stopped, 10, 100, 100), "1 min 30 s");
  EXPECT_EQ(time_left(stopped, 700, 110, 110), "1 h 34 min") << "the run was stopped for ten minutes";
  EXPECT_EQ(time_left(stopped, 760, 710, 710), "5 min 10 s");
  EXPECT_EQ(time_left(stopped, 770, 810, 810), "19 s") << "the pause is forgotten";

  Progress resumed(false, false, 1000);
  resumed.begin(3600, 400);  // 400 steps in an hour, on a slower machine
  EXPECT_FALSE(resumed.due(3604));
  EXPECT_EQ(time_left(resumed, 3610, 500, 0), "50 s") << "nothing heard of the others";
  EXPECT_EQ(time_left(resumed, 3620, 600, 300), "2 min 20 s") << "half as fast so far: 5 steps a second";
  EXPECT_EQ(time_left(resumed, 3670, 1000, 550), "1 min 35 s");
  EXPECT_EQ(time_left(resumed, 3730, 1000, 850), "38 s") << "node 0 is done";
  EXPECT_EQ(time_left(resumed, 3750, 1000, 950), "10 s") << "400 steps in the 80 s since 3670";
  EXPECT_EQ(time_left(resumed, 3760, 1000, 1000), "0 s");

  Progress unknown(false, false, 1000);
  unknown.begin(100, 300);
  EXPECT_EQ(time_left(unknown, 105, 300, 300), "?");
}

/// The lines of a run on a terminal: redrawn in place, they never reach a terminal's edge. The nodes that they name as
/// the slowest come back.
std::set<int> expect_bars(const std::string& said) {
  const std::regex line(R"(\r\[(#*)(\.*)\] +(\d+) %  (accuracy \d+\.\d %|loss \S+)  ([a-z0-9 ]+) left)"
                        R"((  slowest: node (\d), (\d+) %)?\x1b\[K)");
  int before = 0;
  std::size_t lines = 0;
  std::set<int> slow;
  for (std::sregex_iterator at(said.begin(), said.end(), line), end; at != end; ++at, ++lines) {
    EXPECT_LT(at->length() - 4, 80) << at->str();
    const int percent = std::stoi((*at)[3]);
    EXPECT_EQ((*at)[1].length() + (*at)[2].length(), 12);
    EXPECT_EQ((*at)[1].length(), 12 * percent / 100) << at->str();
    EXPECT_GE(percent, before);
    before = percent;
    if (!(*at)[6].matched) continue;
    slow.insert(std::stoi((*at)[7]));
    EXPECT_LT(std::stoi((*at)[8]), percent);
  }
  EXPECT_EQ(count(said, "\r["), lines) << said;
  return slow;
}

TEST(ProgressLine, IsRedrawnUntilARunOnATerminalEnds) {
  const Outcome outcome = run(on_terminal(tool_on(2, "train --steps 2000 --eval-every 200")));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.out;
  expect_bars(outcome.out);
  const std::size_t last = outcome.out.rfind("\r[");
  ASSERT_NE(last, std::string::npos);
  EXPECT_EQ(outcome.out.find("\r[############] 100 %  accuracy ", last), last) << outcome.out;
}

/// Node 1 is far too slow to finish: sooner or later it is named, until a signal ends the run.
TEST(ProgressLine, NamesASlowNode) {
  const Scratch leftovers;
  Process process(contained(on_terminal(tool_on(2, "train --steps 4000 --node-speed 1:1000")), leftovers));
  const auto named = [&] { return count(process.out(), "  slowest: node 1, ") > 1; };
  EXPECT_TRUE(process.wait_until(named, kLimit_s)) << process.out();
  for (const pid_t rank : ranks_of(process.id())) kill(rank, SIGTERM);
  const Outcome outcome = process.wait(kLimit_s);
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_TRUE(expect_bars(outcome.out).contains(1)) << outcome.out;
}

TEST(ProgressLine, IsAbsentWhereItIsNotWanted) {
  const Outcome quiet = run(on_terminal(tool("simulate --epochs 3 --quiet")));
  EXPECT_EQ(quiet.exit_code, 0);
  EXPECT_EQ(count(quiet.out, "\033"), 0u);
  const Outcome shown = run(on_terminal(tool("simulate --epochs 3")));
  EXPECT_GE(count(shown.out, "\r[############] 100 %  accuracy "), 1u) << shown.out;
  const Outcome plain = run(tool("simulate --epochs 3"));
  EXPECT_EQ(plain.err.find_first_of("\r\033"), std::string::npos) << plain.err;
}

}  // namespace
}  // namespace ecl::test
