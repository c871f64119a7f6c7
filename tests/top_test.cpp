// A run seen while it goes: status.json, ecl top, the progress line of a terminal.
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <regex>

#include "tests/support/command.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/jobs.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

constexpr double kLimit_s = 90;

Json status_of(const std::string& run) {
  const Json status = Json::parse(read_file(run + "/status.json"), nullptr, false);
  return status.is_object() ? status : Json::object();
}

/// All nodes have told where they stand, and have been evaluated.
bool all_told(const std::string& run) {
  const Json status = status_of(run);
  if (!status.contains("accuracy") || status["accuracy"].is_null()) return false;
  for (const Json& node : status["by_node"])
    if (node["step"].is_null() || node["message_age_s"].is_null()) return false;
  return true;
}

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

TEST(Top, ShowsARunThatGoesOnAndOneThatHasEnded) {
  Job job("--steps 100000000 --eval-every 20 --node-speed 2:20");
  ASSERT_TRUE(job.process().wait_until([&] { return all_told(job.out()); }, kLimit_s)) << job.process().err();
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
    EXPECT_EQ(count(row.rest, " s, from "), 1u) << row.rest;
  }
  EXPECT_LT(rows.at(2).step, rows.at(0).step / 2) << "20 times slower";
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
  EXPECT_EQ(count(end.out, "to go on: mpirun -n 4 ecl train --resume " + job.out()), 1u) << end.out;
}

TEST(Top, NamesANodeThatIsStopped) {
  Job job("--steps 100000000 --eval-every 0 --stall-warn-s 1");
  const auto told = [&] {
    const Json status = status_of(job.out());
    if (!status.contains("by_node")) return false;
    for (const Json& node : status["by_node"])
      if (node["message_age_s"].is_null()) return false;
    return true;
  };
  ASSERT_TRUE(job.process().wait_until(told, kLimit_s));
  const auto ranks = ranks_of(job.process().id());
  if (ranks.size() != 4) GTEST_SKIP() << "the ranks' processes are not to be found";
  kill(ranks[1], SIGSTOP);
  const auto noticed = [&] {
    const Json node = status_of(job.out())["by_node"];
    return node[0]["neighbour_silent"] == true && node[1]["told_s_ago"].get<double>() > 10;
  };
  EXPECT_TRUE(job.process().wait_until(noticed, kLimit_s)) << read_file(job.out() + "/status.json");
  const auto rows = rows_of(job.top().out);
  EXPECT_EQ(count(rows.at(0).rest, " s, from 1: silent"), 1u) << rows.at(0).rest;
  EXPECT_EQ(count(rows.at(1).rest, "has said nothing for 1"), 1u) << rows.at(1).rest;
  kill(ranks[1], SIGCONT);
  job.stop();
}

TEST(Top, SaysWhenARunWasKilled) {
  Job job("--steps 100000000 --eval-every 0 --checkpoint-every 100");
  ASSERT_TRUE(job.process().wait_until([&] { return fs::exists(job.out() + "/checkpoints/latest"); }, kLimit_s));
  kill_job(job.process());
  job.process().wait(kLimit_s);
  const Outcome top = job.top();
  EXPECT_EQ(top.out.rfind(job.out() + ": killed, ", 0), 0u) << top.out;
  EXPECT_EQ(count(top.out, "to go on: mpirun -n 4 ecl train --resume "), 1u) << top.out;
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

/// On a terminal: one line, redrawn, that never reaches a terminal's edge.
TEST(ProgressLine, IsABarOnATerminal) {
  const std::string options = "train --steps 60000 --eval-every 200 --node-speed 1:3";
  const Outcome outcome = run(on_terminal(tool_on(2, options)));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.out;
  const std::regex line(R"(\r\[(#*)(\.*)\] +(\d+) %  (accuracy \d+\.\d %|loss \S+)  ([a-z0-9 ]+) left)"
                        R"((  slowest: node (\d), (\d+) %)?\x1b\[K)");
  int before = 0, lines = 0, slow = 0, last = 0;
  for (std::sregex_iterator at(outcome.out.begin(), outcome.out.end(), line), end; at != end; ++at, ++lines) {
    EXPECT_LT(at->length() - 4, 80) << at->str();
    const int percent = std::stoi((*at)[3]);
    EXPECT_EQ((*at)[1].length() + (*at)[2].length(), 12);
    EXPECT_EQ((*at)[1].length(), 12 * percent / 100) << at->str();
    EXPECT_GE(percent, before);
    before = last = percent;
    if (!(*at)[6].matched) continue;
    ++slow;
    EXPECT_EQ((*at)[7], "1");
    EXPECT_LT(std::stoi((*at)[8]), percent);
  }
  EXPECT_GT(lines, 1) << outcome.out;
  EXPECT_EQ(last, 100);
  EXPECT_GT(slow, 0) << outcome.out;
  EXPECT_EQ(count(outcome.out, "\r["), static_cast<std::size_t>(lines)) << outcome.out;
}

TEST(ProgressLine, IsPlainElsewhereAndAbsentWhereItIsNotWanted) {
  const Outcome quiet = run(on_terminal(tool("simulate --epochs 3 --quiet")));
  EXPECT_EQ(quiet.exit_code, 0);
  EXPECT_EQ(count(quiet.out, "\033"), 0u);
  const Outcome shown = run(on_terminal(tool("simulate --epochs 3")));
  EXPECT_EQ(count(shown.out, "\r[############] 100 %  accuracy "), 1u) << shown.out;
  const Outcome plain = run(tool("simulate --epochs 3"));
  EXPECT_EQ(plain.err, "") << "a line every five seconds";
}

}  // namespace
}  // namespace ecl::test
