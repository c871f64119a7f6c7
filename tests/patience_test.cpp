// How long an exchange within a round waits for the neighbours, and how many of them --exchanges auto makes.
#include "ecl/node/patience.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>

#include "ecl/base/params.hpp"
#include "ecl/node/exchange_budget.hpp"
#include "tests/support/command.hpp"

namespace ecl::test {
namespace {

/// Of two neighbours: whose message has come, from whom one is due, and who has died.
struct News {
  std::set<int> come, expected = {0, 1}, gone = {};
  bool receives(int e) const { return !gone.contains(e); }
  Stamp arrived(int e) const { return receives(e) && come.contains(e) ? 1 : 0; }
  Stamp due(int e) const { return receives(e) && expected.contains(e) ? 1 : 0; }
};

/// Of a node with two neighbours, whose steps take a second each.
class PatienceOfTwo : public testing::Test {
 protected:
  PatienceOfTwo() { patience_.add_step(1); }

  bool over(double now, std::set<int> come) { return patience_.over(now, News{std::move(come)}); }

  Patience patience_{0.5, 4, 2};  // half of a round of four steps: two seconds
};

TEST_F(PatienceOfTwo, EndsWithTheLastAnswerOrWithTheTime) {
  patience_.begin(10, News{});
  EXPECT_EQ(patience_.until_s(), 12);
  EXPECT_FALSE(over(10.5, {}));
  EXPECT_FALSE(over(11, {0}));
  EXPECT_TRUE(over(11, {0, 1}));
  EXPECT_EQ(patience_.took_s(), 1);
  EXPECT_TRUE(over(12, {0}));
  EXPECT_EQ(patience_.took_s(), 2);
}

TEST_F(PatienceOfTwo, IsNotShownAgainToWhoDidNotAnswer) {
  patience_.begin(0, News{});
  EXPECT_TRUE(over(2, {0}));
  patience_.begin(2, News{});
  EXPECT_FALSE(over(2.1, {}));
  EXPECT_TRUE(over(2.25, {0})) << "neighbour 1 was silent";
  EXPECT_EQ(patience_.took_s(), 0.25);
  patience_.begin(3, News{{1}});
  EXPECT_FALSE(over(3.1, {0})) << "it has answered, so it is waited for again";
}

TEST_F(PatienceOfTwo, IsForThoseOnlyWhoHaveSomethingToSay) {
  patience_.begin(0, News{{}, {0}});
  EXPECT_FALSE(over(1, {}));
  EXPECT_TRUE(over(1, {0}));
  patience_.begin(2, News{{}, {}});
  EXPECT_TRUE(over(2, {}));
  EXPECT_EQ(patience_.took_s(), std::nullopt);
}

TEST_F(PatienceOfTwo, WithNobodyWouldBeTheShortest) {
  patience_.begin(0, News{});
  EXPECT_TRUE(over(2, {}));
  patience_.begin(2, News{});
  EXPECT_TRUE(over(2, {})) << "both are silent";
  EXPECT_EQ(patience_.took_s(), 2) << "a dead link must not pass for the fastest";
}

TEST_F(PatienceOfTwo, EndsWithTheDeathOfTheLastThatIsWaitedFor) {
  patience_.begin(0, News{});
  EXPECT_FALSE(over(1, {0}));
  EXPECT_TRUE(patience_.over(1, News{{0}, {0, 1}, {1}}));
  EXPECT_EQ(patience_.took_s(), 1);
}

TEST_F(PatienceOfTwo, IsNotBookedForWhoHasDiedInSilence) {
  patience_.begin(0, News{});
  EXPECT_TRUE(over(2, {0})) << "neighbour 1 was silent";
  const News alone{{0}, {}, {1}};
  patience_.begin(2, alone);
  EXPECT_TRUE(patience_.over(2.25, alone));
  EXPECT_EQ(patience_.took_s(), std::nullopt) << "neighbour 0 has no more to say: nobody was waited for";
}

TEST(Patience, OfNoneNeverWaits) {
  Patience none(0, 4, 2);
  none.add_step(1);
  none.begin(5, News{});
  EXPECT_TRUE(none.over(5, News{}));
}

/// Rounds of four steps of a second each, a quarter of them for exchanges, patience of a round; four exchanges at
/// first.
class BudgetOfTwo : public testing::Test {
 protected:
  BudgetOfTwo() { budget_.add_step(1); }

  /// `times` exchanges that both neighbours answer after `seconds`.
  void exchange(double seconds, int times = 200) {
    for (; times > 0; --times) {
      budget_.begin(0, News{});
      ASSERT_TRUE(budget_.over(seconds, News{{0, 1}}));
    }
  }

  ExchangeBudget budget_{Patience(1, 4, 2), 0.25, 4};
};

TEST_F(BudgetOfTwo, BeginsAsItIsTold) { EXPECT_EQ(budget_.exchanges(), 4); }

TEST_F(BudgetOfTwo, GivesWhatTheLinksCarryInItsShare) {
  const std::pair<double, int> expected[] = {{0, 16}, {0.001, 16}, {0.099, 11}, {0.24, 5}, {0.4, 3}, {0.9, 2}, {4, 2}};
  for (const auto& [seconds, exchanges] : expected) {
    exchange(seconds);
    EXPECT_EQ(budget_.exchanges(), exchanges) << "a second takes " << seconds << " exchanges";
  }
  for (int k = 0; k < 200; ++k) budget_.add_step(10);
  EXPECT_EQ(budget_.exchanges(), 3) << "with longer rounds there is time for more";
}

TEST_F(BudgetOfTwo, MovesByATenthWithEachExchange) {
  exchange(0.24, 1);
  EXPECT_EQ(budget_.exchanges(), 5);
  exchange(2.4, 1);  // a mean of 0.456
  EXPECT_EQ(budget_.exchanges(), 3);
}

TEST_F(BudgetOfTwo, CountsAnExchangeOnce) {
  budget_.begin(0, News{});
  for (const double now : {0.0, 0.1, 0.2}) EXPECT_FALSE(budget_.over(now, News{{0}}));
  EXPECT_EQ(budget_.exchanges(), 4) << "none was over";
  EXPECT_TRUE(budget_.over(0.24, News{{0, 1}}));
  EXPECT_EQ(budget_.exchanges(), 5);
}

TEST_F(BudgetOfTwo, TakesNoAnswerForAllItsPatience) {
  exchange(0.01);
  for (int k = 0; k < 200; ++k) {
    budget_.begin(0, News{});
    EXPECT_TRUE(budget_.over(k == 0 ? 4 : 0, News{})) << "both neighbours are silent, and not waited for again";
  }
  EXPECT_EQ(budget_.exchanges(), 2);
}

TEST_F(BudgetOfTwo, GoesByThoseWhoAnswerWhereOneIsSilent) {
  budget_.begin(0, News{});
  EXPECT_TRUE(budget_.over(4, News{{0}}));
  for (int k = 0; k < 200; ++k) {
    budget_.begin(0, News{});
    EXPECT_TRUE(budget_.over(0.01, News{{0}}));
  }
  EXPECT_EQ(budget_.exchanges(), 16);
}

TEST_F(BudgetOfTwo, StaysWhereItIsWhenAllHaveDied) {
  exchange(0.01);
  budget_.begin(0, News{});
  EXPECT_TRUE(budget_.over(4, News{})) << "both are silent";
  EXPECT_EQ(budget_.exchanges(), 3) << "all the patience has been spent on them, once";
  const News alone{{}, {}, {0, 1}};
  for (int k = 0; k < 200; ++k) {
    budget_.begin(4, alone);
    EXPECT_TRUE(budget_.over(4, alone));
  }
  EXPECT_EQ(budget_.exchanges(), 3);
}

TEST(Budget, WithoutAShareIsTheNumberThatWasGiven) {
  ExchangeBudget budget(Patience(1, 4, 2), 0, 1);
  budget.add_step(1);
  budget.begin(0, News{});
  EXPECT_TRUE(budget.over(0, News{{0, 1}}));
  EXPECT_EQ(budget.exchanges(), 1);
}

/// A node's time, in its steps of a second each, when it has made half of 40 of them; node 0 as good as stands still,
/// and dpsgd answers nobody meanwhile.
std::map<int, double> times(const std::string& patience) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  const Outcome outcome = run(tool(
      "simulate --solver dpsgd --quiet --local-steps 1 --steps 40 --eval-every 3.6 --exchanges 4 --node-speed 0:100000 "
      "--step-time-s 1 --jitter 0 --latency-s 0 --bandwidth-bytes-s 0 --patience " +
      patience + " --out " + out));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  std::map<int, double> found;
  std::istringstream rows(read_file(out + "/metrics.csv"));
  std::string row;
  for (std::getline(rows, row); std::getline(rows, row);) {
    double time = 0;
    int node = 0, step = 0;
    char comma = 0;
    std::istringstream(row) >> time >> comma >> node >> comma >> step;
    if (step == 20) found[node] = time;
  }
  EXPECT_EQ(found.size(), 8u);
  return found;
}

/// Messages of the nodes of a ring of four in 400 rounds of 4 exchanges, with a step each.
std::vector<int> messages(const std::string& options) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  const Outcome outcome =
      run(tool("simulate --nodes 4 --quiet --local-steps 1 --steps 400 --eval-every 0 --settle 0 "
               "--exchanges 4 --out " +
               out + " " + options));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  std::vector<int> sent;
  const auto lines = lines_of(read_file(out + "/metrics.csv"));
  for (std::size_t l = 1; l < lines.size(); ++l) sent.push_back(std::stoi(split(lines[l], ',').at(8)));
  EXPECT_EQ(sent.size(), 4u);
  return sent;
}

/// A node that computes four times as long makes a hundred rounds while the others make their 400, and answers each
/// exchange of those; where two are slow they answer the others and not each other, again and again.
TEST(Patience, ASlowNodeAnswersItsFasterNeighbours) {
  const std::string jitter = "--jitter 0.3 --latency-s 0.0001 ";
  for (const int sent : messages(jitter)) EXPECT_NEAR(sent, 2 * 4 * 400, 100) << "equal nodes have no need to";
  EXPECT_NEAR(messages("--node-speed 1:4")[1], 2 * 4 * (400 + 300), 800);
  const auto two = messages(jitter + "--node-speed 1:4,2:4");
  for (const int slow : {1, 2}) EXPECT_NEAR(two[slow], 2 * 4 * (400 + 300), 800);
  EXPECT_EQ(messages("--node-speed 1:4 --solver dpsgd")[1], 2 * 4 * 400) << "it averages between gradients only";
}

TEST(Patience, NobodyWaitsLongerForANodeThatStands) {
  for (const double patience : {0.5, 5.0}) {
    const auto found = times(std::to_string(patience));
    double longest = 0;
    for (int node = 1; node < 8; ++node) longest = std::max(longest, found.at(node));
    EXPECT_GE(longest, 20 + patience) << "its neighbours did not wait at all: is it node 0 that stands?";
    EXPECT_LE(longest, 20 + 2 * patience) << "patience " << patience;
  }
  EXPECT_EQ(times("0").at(1), 20);
}

/// summary.json of a simulated run with rounds of 8 steps of a second, whose messages take `message_s`.
nlohmann::json simulated(double message_s, const std::string& options) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  std::ostringstream command;
  command << "simulate --quiet --partition classes:2 --epochs 100 --local-steps 8 --step-time-s 1 --latency-s 0 "
             "--bandwidth-bytes-s "
          << 650 * sizeof(float) / message_s << " " << options << " --out " << out;
  const Outcome outcome = run(tool(command.str()));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return nlohmann::json::parse(read_file(out + "/summary.json"));
}

/// Seconds of a round and all of its exchanges; nodes are no faster than their steps.
double round_s(const nlohmann::json& summary) {
  return summary["seconds"].get<double>() / summary["rounds"].get<double>();
}

TEST(Patience, IsNotSpentOnFastLinks) {
  for (const char* exchanges : {"--exchanges 4", "--exchanges 16", "--exchanges auto"})
    EXPECT_LT(round_s(simulated(0.01, std::string(exchanges) + " --jitter 0.1")), 9) << exchanges;
}

TEST(ExchangesAuto, GrowWithTheBandwidthAndKeepToTheirShare) {
  for (const char* jitter : {"0", "0.1"}) {
    double last = 2;
    for (const double message_s : {8.0, 1.0, 0.4, 0.01}) {
      const auto summary = simulated(message_s, std::string("--exchanges auto --jitter ") + jitter);
      const double mean = summary["exchanges_mean"];
      EXPECT_GE(mean, last) << message_s;
      last = mean;
      if (message_s == 8) {
        EXPECT_LT(mean, 2.1) << "a message takes as long as a round";
      } else {
        EXPECT_LT(round_s(summary), 8 * 1.3) << message_s;
      }
    }
    EXPECT_GT(last, 15);
  }
}

TEST(Patience, ALinkThatCannotCarryTheExchangesIsTold) {
  const auto warnings = [](double message_s, const std::string& options) {
    return simulated(message_s, options)["warnings"].dump();
  };
  const std::string too_slow = warnings(8, "--exchanges 4");
  EXPECT_NE(too_slow.find("a round's messages keep each busy for 33 s, the round's steps take 8 s"), std::string::npos)
      << too_slow;
  EXPECT_EQ(warnings(4, "--exchanges 4").find("too slow"), std::string::npos) << "patience is enough";
  EXPECT_EQ(warnings(4, "--exchanges 4 --drop 0.4").find("too slow"), std::string::npos) << "lost, not replaced";
  EXPECT_EQ(warnings(1, "--exchanges 4").find("too slow"), std::string::npos);
  EXPECT_EQ(warnings(8, "--exchanges 4 --mode lock-step").find("too slow"), std::string::npos) << "waits for all";
}

TEST(ExchangesAuto, AreTheSameAgain) {
  const std::string options = "--exchanges auto --node-speed 0:2";
  for (const char* key : {"exchanges_mean", "bytes_sent", "seconds", "test_loss_consensus"})
    EXPECT_EQ(simulated(0.3, options)[key], simulated(0.3, options)[key]) << key;
}

}  // namespace
}  // namespace ecl::test
