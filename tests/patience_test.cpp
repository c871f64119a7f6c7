// How long an exchange within a round waits for the neighbours.
#include "ecl/node/patience.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <sstream>

#include "tests/support/command.hpp"

namespace ecl::test {
namespace {

/// Of a node with two neighbours, whose steps take a second each.
class PatienceOfTwo : public testing::Test {
 protected:
  PatienceOfTwo() { patience_.add_step(1); }

  bool over(double now, std::set<int> news) {
    return patience_.over(now, [&](int e) { return news.contains(e); });
  }

  Patience patience_{0.5, 4, 2};  // half of a round of four steps: two seconds
};

TEST_F(PatienceOfTwo, EndsWithTheLastNewsOrWithTheTime) {
  patience_.begin(10);
  EXPECT_EQ(patience_.until_s(), 12);
  EXPECT_FALSE(over(10.5, {}));
  EXPECT_FALSE(over(11, {0}));
  EXPECT_TRUE(over(11, {0, 1}));
  EXPECT_TRUE(over(12, {0}));
}

TEST_F(PatienceOfTwo, IsNotShownAgainToWhoDidNotAnswer) {
  patience_.begin(0);
  EXPECT_TRUE(over(2, {0}));
  patience_.begin(2);
  EXPECT_FALSE(over(2.1, {}));
  EXPECT_TRUE(over(2.2, {0})) << "neighbour 1 was silent";
  patience_.begin(3);
  EXPECT_FALSE(over(3.1, {1})) << "it has answered";
  patience_.begin(4);
  EXPECT_FALSE(over(4.1, {0})) << "so it is waited for again";
}

TEST(Patience, OfNoneNeverWaits) {
  Patience none(0, 4, 2);
  none.add_step(1);
  none.begin(5);
  EXPECT_TRUE(none.over(5, [](int) { return false; }));
}

/// A node's time, in its steps of a second each, when it has made half of 40 of them; node 0 as good as stands still.
std::map<int, double> times(const std::string& patience) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  const Outcome outcome =
      run(tool("simulate --quiet --local-steps 1 --steps 40 --eval-every 3.6 --exchanges 4 --node-speed 0:100000 "
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

}  // namespace
}  // namespace ecl::test
