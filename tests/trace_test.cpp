// --trace: what the time line says of runs, simulated and over ranks; and what is left out of it, said aloud.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "ecl/base/params.hpp"
#include "ecl/contracts/graph.hpp"
#include "ecl/trace/event_ring.hpp"
#include "ecl/trace/trace_file.hpp"
#include "tests/support/command.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/jobs.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;
using Kind = TraceEvent::Kind;

constexpr double kNano_us = 1e-3, kRounding_us = 1.5e-3;  // times are printed to a nanosecond

/// A trace file, checked against the format.
class Trace {
 public:
  explicit Trace(const fs::path& path) {
    json_ = Json::parse(read_file(path), nullptr, false);
    if (!json_.is_object()) {
      ADD_FAILURE() << path << " is no JSON";
      json_ = {{"traceEvents", Json::array()}, {"otherData", Json::object()}};
    }
    for (const Json& event : json_["traceEvents"]) check(event);
  }

  const Json& other() const { return json_["otherData"]; }
  const std::set<int>& nodes() const { return nodes_; }
  const std::map<int, std::string>& titles() const { return titles_; }
  /// Slices of that name, of a node or, -1, of all.
  std::vector<Json> slices(const std::string& name, int node = -1) const {
    std::vector<Json> found;
    for (const Json& slice : slices_)
      if (slice["name"] == name && (node < 0 || slice["pid"] == node)) found.push_back(slice);
    return found;
  }
  std::size_t instants() const { return instants_; }
  std::size_t arrows() const { return starts_.size(); }

  /// Every arrow has two ends, leaves a post and comes to the take of the same message, not before it left. Returns how
  /// long the quickest was under way, in microseconds. `error_us`: of the clocks.
  double expect_arrows(double error_us) const {
    EXPECT_EQ(starts_.size(), finishes_.size());
    EXPECT_FALSE(starts_.empty());
    double least_us = 1e300;
    for (const auto& [id, finish] : finishes_) {
      const auto start = starts_.find(id);
      if (start == starts_.end()) {
        ADD_FAILURE() << "an arrow from nowhere: " << finish.dump();
        continue;
      }
      const Json &post = slice_at(start->second, "post"), &take = slice_at(finish, "take");
      EXPECT_EQ(post["args"], take["args"]);
      EXPECT_EQ(post["args"]["edge"],
                std::to_string(post["pid"].get<int>()) + " -> " + std::to_string(take["pid"].get<int>()));
      const double under_way_us = finish["ts"].get<double>() - start->second["ts"].get<double>();
      EXPECT_GE(under_way_us, -error_us - kRounding_us) << post.dump() << take.dump();
      least_us = std::min(least_us, under_way_us);
    }
    return least_us;
  }

  /// What a thread does lies within what it does around it, or beside it.
  void expect_nested() const {
    std::map<std::pair<int, int>, std::vector<double>> open;
    std::vector<Json> sorted = slices_;
    std::ranges::stable_sort(sorted, {}, [](const Json& slice) {
      return std::pair(slice["ts"].get<double>(), -slice["dur"].get<double>());
    });
    for (const Json& slice : sorted) {
      auto& ends = open[{slice["pid"].get<int>(), slice["tid"].get<int>()}];
      const double start = slice["ts"], end = start + slice["dur"].get<double>();
      while (!ends.empty() && ends.back() <= start + kRounding_us) ends.pop_back();
      EXPECT_TRUE(ends.empty() || end <= ends.back() + kRounding_us) << slice.dump();
      ends.push_back(end);
    }
  }

 private:
  void check(const Json& event) {
    ASSERT_TRUE(event.is_object() && event["ph"].is_string() && event["name"].is_string()) << event.dump();
    ASSERT_TRUE(event["pid"].is_number_unsigned() && event["tid"].is_number_unsigned()) << event.dump();
    nodes_.insert(event["pid"].get<int>());
    const std::string phase = event["ph"];
    if (phase == "M") {
      if (event["name"] == "process_name") titles_[event["pid"].get<int>()] = event["args"]["name"];
      return;
    }
    ASSERT_TRUE(event["ts"].is_number()) << event.dump();
    EXPECT_GE(event["ts"].get<double>(), 0) << event.dump();
    if (phase == "X") {
      ASSERT_TRUE(event["dur"].is_number()) << event.dump();
      EXPECT_GE(event["dur"].get<double>(), 0) << event.dump();
      const bool message = event["name"] == "post" || event["name"] == "take";
      EXPECT_EQ(event["tid"], message ? 1 : 0) << event.dump();
      slices_.push_back(event);
    } else if (phase == "s" || phase == "f") {
      auto& ends = phase == "s" ? starts_ : finishes_;
      EXPECT_TRUE(ends.emplace(event["id"].get<std::uint64_t>(), event).second) << "two of " << event.dump();
      EXPECT_EQ(event["tid"], 1);
      end_of_[phase == "s" ? 0 : 1][event["id"].get<std::uint64_t>()] = slices_.size() - 1;
    } else {
      EXPECT_EQ(phase, "i") << event.dump();
      ++instants_;
    }
  }

  /// What an arrow's end stands on: the slice before it in the file, which its time lies in.
  const Json& slice_at(const Json& end, const std::string& name) const {
    const Json& slice = slices_[end_of_[name == "post" ? 0 : 1].at(end["id"].get<std::uint64_t>())];
    EXPECT_EQ(slice["name"], name);
    EXPECT_EQ(slice["pid"], end["pid"]);
    EXPECT_GE(end["ts"].get<double>(), slice["ts"].get<double>() - kRounding_us);
    EXPECT_LE(end["ts"].get<double>(), slice["ts"].get<double>() + slice["dur"].get<double>() + kRounding_us);
    return slice;
  }

  Json json_;
  std::set<int> nodes_;
  std::map<int, std::string> titles_;
  std::vector<Json> slices_;
  std::map<std::uint64_t, Json> starts_, finishes_;
  std::map<std::uint64_t, std::size_t> end_of_[2];  ///< of starts, of finishes: the slice that they stand on
  std::size_t instants_ = 0;
};

// --- the parts ---

TEST(EventRing, KeepsTheNewest) {
  EventRing ring(3);
  EXPECT_TRUE(ring.kept().empty());
  for (std::uint64_t number = 1; number <= 5; ++number) {
    ring.add({.number = number});
    const auto kept = ring.kept();
    ASSERT_EQ(kept.size(), std::min<std::size_t>(number, 3));
    for (std::size_t k = 0; k < kept.size(); ++k) EXPECT_EQ(kept[k].number, number - kept.size() + 1 + k);
    EXPECT_EQ(ring.dropped(), number - kept.size());
  }
}

TEST(EventRing, OfManyNodesAMillionInAll) {
  EXPECT_EQ(EventRing::usual_capacity(1), 100'000u);
  EXPECT_EQ(EventRing::usual_capacity(8), 100'000u);
  EXPECT_EQ(EventRing::usual_capacity(100), 10'001u);
  EXPECT_EQ(EventRing::usual_capacity(10'000'000), 1u);
}

/// Node 0 posts 3, 4, 5 (1, 2 were dropped); node 1 takes 2, 4 and, maybe torn off its post, 6; node 2 has died.
TEST(TraceFile, SaysWhatItWasGiven) {
  const Graph graph = make_graph(Choice::parse("chain"), 3, 1);
  const auto message = [](Kind kind, double start_s, std::uint64_t number) {
    return TraceEvent{.start_s = start_s, .end_s = start_s + 2e-6, .number = number, .edge = 0, .kind = kind};
  };
  std::vector<NodeTrace> nodes(3);
  nodes[0].events = {message(Kind::post, 0.5, 3), message(Kind::post, 0.75, 4), message(Kind::post, 1, 5)};
  nodes[0].dropped = 7, nodes[0].host = "alpha \"1\"";
  nodes[1].events = {message(Kind::take, 0.25, 2), message(Kind::take, 0.875, 4), message(Kind::take, 1.5, 6)};
  nodes[1].events.push_back({.start_s = 0, .end_s = 0.125, .number = 1, .kind = Kind::gradient});
  nodes[1].clock_error_s = 2e-6;
  nodes[2].died = true;
  const Scratch scratch;
  write_trace((scratch / "t.json").string(), nodes, graph, "ecl train --out \"x\"");
  EXPECT_EQ(contents(scratch.path()), std::set<std::string>{"t.json"}) << "no temporary file is left";

  const Trace trace(scratch / "t.json");
  EXPECT_EQ(trace.nodes(), (std::set<int>{0, 1, 2}));
  EXPECT_EQ(trace.titles().at(0), "node 0 on alpha \"1\"");
  EXPECT_EQ(trace.titles().at(2), "node 2: died, and its events with it");
  EXPECT_EQ(trace.arrows(), 1u) << "of message 4 alone both ends are there";
  EXPECT_NEAR(trace.expect_arrows(0), 125'000 + 2, 2 * kNano_us);
  EXPECT_EQ(trace.instants(), 1u);
  const auto gradients = trace.slices("gradient");
  ASSERT_EQ(gradients.size(), 1u);
  EXPECT_EQ(gradients[0]["args"]["step"], 1);
  EXPECT_EQ(gradients[0]["dur"], 125'000);
  EXPECT_EQ(trace.slices("post").size(), 3u);
  EXPECT_EQ(trace.slices("take")[0]["args"]["edge"], "0 -> 1");
  const Json& other = trace.other();
  EXPECT_EQ(other["command"], "ecl train --out \"x\"");
  EXPECT_EQ(other["nodes_died"], std::vector<int>{2});
  EXPECT_EQ(other["nodes"][0]["kept_from_s"], 0.5 + 2e-6) << "an event counts from its end";
  EXPECT_EQ(other["nodes"][0]["dropped"], 7);
  EXPECT_EQ(other["nodes"][1]["clock_error_s"], 2e-6);
  EXPECT_EQ(other["warning"],
            "7 earlier events were dropped to keep it small: it shows all nodes from 0.500 s to 1.500 s; node 2 died, "
            "and its events with it");
}

// --- runs ---

/// A gradient for each step, evaluations, and as many posts and takes as were counted.
void expect_whole(const Trace& trace, const Json& summary, std::uint64_t steps, std::size_t evaluations) {
  const int nodes = summary["nodes"];
  EXPECT_EQ(trace.nodes().size(), static_cast<std::size_t>(nodes));
  for (int node = 0; node < nodes; ++node) {
    const auto gradients = trace.slices("gradient", node);
    ASSERT_EQ(gradients.size(), steps) << "of node " << node;
    for (std::uint64_t k = 0; k < steps; ++k) EXPECT_EQ(gradients[k]["args"]["step"], k + 1);
    EXPECT_EQ(trace.slices("evaluation", node).size(), evaluations);
  }
  // A node's counts are those of its last evaluation: asynchronously it may exchange after that.
  const std::size_t posts = trace.slices("post").size(), takes = trace.slices("take").size();
  EXPECT_GE(posts, summary["messages_sent"].get<std::size_t>());
  EXPECT_LE(posts, summary["messages_sent"].get<std::size_t>() + 4 * nodes);
  EXPECT_GE(takes, summary["messages_taken"].get<std::size_t>());
  EXPECT_LE(takes, summary["messages_taken"].get<std::size_t>() + 4 * nodes);
  EXPECT_EQ(trace.arrows(), takes);
  EXPECT_TRUE(trace.other()["warning"].is_null());
  EXPECT_EQ(trace.instants(), 0u);
  trace.expect_nested();
}

class TraceOf : public testing::TestWithParam<const char*> {};

/// Without jitter all is exact: steps of a millisecond, three on node 2, messages that take 0.25 ms.
TEST_P(TraceOf, ASimulatedRunIsExact) {
  const Scratch scratch;
  const std::string path = (scratch / "a" / "t.json").string();
  const std::string options =
      " --nodes 4 --steps 40 --eval-every 10 --step-time-s 0.001 --latency-s 0.00025 --bandwidth-bytes-s 0 --jitter 0 "
      "--node-speed 2:3 --checkpoint-every 1 --quiet --mode ";
  const Outcome outcome =
      run(tool("simulate" + options + GetParam() + " --trace " + path + " --out " + (scratch / "a").string()));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(count(outcome.out, "time line: " + path), 1u) << outcome.out;
  const Trace trace(path);
  const Json summary = summary_of(scratch / "a");
  expect_whole(trace, summary, 40, lines_of(read_file(scratch / "a" / "metrics.csv")).size() / 4);
  EXPECT_NEAR(trace.expect_arrows(0), 250, kRounding_us);
  EXPECT_EQ(trace.slices("gradient", 0)[0]["ts"], 0);
  for (const Json& gradient : trace.slices("gradient"))
    EXPECT_NEAR(gradient["dur"].get<double>(), gradient["pid"] == 2 ? 3000 : 1000, kRounding_us);
  EXPECT_FALSE(trace.slices("checkpoint", 3).empty());
  EXPECT_FALSE(trace.slices("wait", 0).empty());
  EXPECT_NEAR(trace.other()["seconds"].get<double>(), summary["seconds"].get<double>(), 1e-3);

  const Outcome without = run(tool("simulate" + options + GetParam() + " --out " + (scratch / "b").string()));
  EXPECT_EQ(without.exit_code, 0);
  EXPECT_EQ(read_file(scratch / "b" / "metrics.csv"), read_file(scratch / "a" / "metrics.csv"));
}

TEST_P(TraceOf, ARunOverRanks) {
  const Scratch scratch;
  const std::string path = (scratch / "t.json").string();
  const Outcome outcome = run(tool_on(
      4, std::string("train --steps 200 --eval-every 50 --checkpoint-every 5 --quiet ") + "--node-speed 1:2 --mode " +
             GetParam() + " --trace " + path + " --out " + (scratch / "a").string()));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Trace trace(path);
  expect_whole(trace, summary_of(scratch / "a"), 200,
               (lines_of(read_file(scratch / "a" / "metrics.csv")).size() - 1) / 4);
  double error_s = 0;
  for (const Json& node : trace.other()["nodes"]) error_s = std::max(error_s, node["clock_error_s"].get<double>());
  EXPECT_EQ(trace.other()["nodes"][0]["clock_error_s"], 0);
  EXPECT_GT(error_s, 0);
  EXPECT_LT(error_s, 1) << "ranks of one host";
  trace.expect_arrows(2e6 * error_s);
  for (int node = 0; node < 4; ++node) {
    EXPECT_FALSE(trace.slices("wait", node).empty());
    EXPECT_FALSE(trace.slices("average", node).empty());
    EXPECT_FALSE(trace.slices("checkpoint", node).empty());
    EXPECT_EQ(trace.slices("slowed", node).size(), node == 1 ? 200u : 0u);
    EXPECT_EQ(trace.titles().at(node).rfind("node " + std::to_string(node) + " on ", 0), 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Trace, TraceOf, testing::Values("async", "lock-step"),
                         [](const auto& test) { return std::string(test.param) == "async" ? "async" : "lock_step"; });

/// Only the head is read: the rest is large.
TEST(TraceOfALongRun, KeepsTheEndAndSaysSo) {
  const Scratch scratch;
  const std::string path = (scratch / "t.json").string();
  const Outcome outcome = run(
      tool("simulate --nodes 2 --topology chain --dataset quadratic --model quadratic --steps 40000 --local-steps 1 "
           "--exchanges 1 --jitter 0 --quiet --eval-every 0 --trace " +
           path));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string text = read_file(path), head = text.substr(0, text.find(",\n\"traceEvents\""));
  const Json other = Json::parse(head + "}")["otherData"];
  double from_s = 0;
  std::uint64_t dropped = 0;
  for (const Json& node : other["nodes"]) {
    EXPECT_EQ(node["events"], 100'000);
    EXPECT_GT(node["dropped"].get<int>(), 0);
    dropped += node["dropped"].get<std::uint64_t>();
    from_s = std::max(from_s, node["kept_from_s"].get<double>());
  }
  EXPECT_GT(from_s, 1);
  EXPECT_LT(from_s, 39);
  char since[32];
  std::snprintf(since, sizeof since, "%.3f s", from_s);
  const std::string warning = std::to_string(dropped) +
                              " earlier events were dropped to keep it small: it shows all "
                              "nodes from " +
                              since + " to ";
  EXPECT_EQ(other["warning"].get<std::string>().rfind(warning, 0), 0u) << other["warning"];
  EXPECT_EQ(count(outcome.err, "ecl: warning: --trace " + path + ": " + warning), 1u) << outcome.err;
  EXPECT_EQ(count(text, R"("ph":"X")"), 200'000u);
  EXPECT_EQ(count(text, R"("ph":"i")"), 2u);
  EXPECT_EQ(count(text, R"("ph":"s")"), count(text, R"("ph":"f")"));
  EXPECT_TRUE(Json::accept(text));
}

TEST(TraceOfAStoppedRun, IsThere) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  {
    const Scratch leftovers;
    Process process(contained(tool_on(4, "train --model mlp --steps 100000000 --eval-every 20 --quiet --out " + out +
                                             " --trace " + out + "/t.json"),
                              leftovers));
    ASSERT_TRUE(process.wait_until([&] { return lines_of(read_file(out + "/metrics.csv")).size() > 1; }, 90));
    process.signal(SIGUSR1);
    const Outcome outcome = process.wait(90);
    ASSERT_FALSE(outcome.timed_out);
    ASSERT_TRUE(fs::exists(out + "/t.json")) << outcome.err << outcome.out;
  }
  const Trace trace(out + "/t.json");
  EXPECT_EQ(summary_of(out)["verdict"], "preempted");
  std::size_t gradients = 0;
  for (int node = 0; node < 4; ++node) {
    gradients += trace.slices("gradient", node).size();
    EXPECT_EQ(trace.slices("checkpoint", node).size(), 1u) << "that of the signal";
  }
  std::size_t dropped = 0;
  for (const Json& node : trace.other()["nodes"]) dropped += node["dropped"].get<std::size_t>();
  if (dropped == 0) {
    EXPECT_EQ(gradients, summary_of(out)["steps"].get<std::size_t>());
  }
}

/// The victim is far too slow to finish: the run can only end without it.
TEST(TraceOfARunThatLostARank, SaysWhoIsMissing) {
  if (count(run({ECL_MPIEXEC, "--version"}).out, "Open") == 0)
    GTEST_SKIP() << "this launcher ends the whole job when a rank dies";
  const Scratch scratch;
  const std::string out = (scratch / "a").string(), path = (scratch / "t.json").string();
  std::vector<std::string> words = {ECL_MPIEXEC, "--enable-recovery"};
  for (const std::string& word : tool_on(4, "train --steps 4000 --eval-every 0 --quiet --record --node-speed 2:1000 " +
                                                std::string("--trace ") + path + " --out " + out))
    if (word != ECL_MPIEXEC) words.push_back(word);
  const Scratch leftovers;
  Process process(contained(words, leftovers));
  const auto all_train = [&] {
    for (int rank = 0; rank < 4; ++rank) {
      const std::string log = read_file(out + "/deliveries/node-" + std::to_string(rank));
      if (log.find('\n') + 1 >= log.size()) return false;
    }
    return true;
  };
  ASSERT_TRUE(process.wait_until(all_train, 90)) << process.err();
  const auto ranks = ranks_of(process.id());
  if (ranks.size() != 4) GTEST_SKIP() << "the ranks' processes are not to be found";
  kill(ranks[2], SIGKILL);
  const Outcome outcome = process.wait(90);
  ASSERT_FALSE(outcome.timed_out) << outcome.err;
  EXPECT_EQ(count(outcome.err, "ecl: warning: --trace " + path + ": node 2 died, and its events with it"), 1u)
      << outcome.err;
  const Trace trace(path);
  EXPECT_EQ(trace.other()["nodes_died"], std::vector<int>{2});
  EXPECT_EQ(trace.nodes(), (std::set<int>{0, 1, 2, 3}));
  for (const int node : {0, 1, 3}) EXPECT_EQ(trace.slices("gradient", node).size(), 4000u);
  for (const char* name : {"gradient", "post", "take", "wait"}) EXPECT_TRUE(trace.slices(name, 2).empty()) << name;
}

TEST(TraceIsRefused, InOneLineBeforeAnythingIsDone) {
  const Scratch scratch;
  const std::string folder = scratch.path().string();
  expect_error("simulate --trace " + folder + " --out " + folder + "/a", "--trace " + folder + ": that is a directory");
  expect_error("train --trace " + folder + "/none/t.json --out " + folder + "/a",
               "--trace " + folder + "/none/t.json: there is no directory " + folder + "/none; make it");
  EXPECT_TRUE(contents(scratch.path()).empty());
}

}  // namespace
}  // namespace ecl::test
