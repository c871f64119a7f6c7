// ecl doctor as a user starts it: a line a check, and a way out where training could not work. What it measures is the
// machine's and is not judged here.
#include <gtest/gtest.h>

#include "tests/support/command.hpp"
#include "tests/support/tiny_disk.hpp"

namespace ecl::test {
namespace {

/// Of each line, the check; a line that is not of the form "check ok what" or "check ACT what" is kept whole.
std::vector<std::string> checks_of(const std::string& out) {
  std::vector<std::string> checks;
  for (const std::string& line : lines_of(out)) {
    const auto words = words_of(line);
    const bool good = words.size() > 2 && (words[1] == "ok" || words[1] == "ACT");
    checks.push_back(good ? words[0] : line);
  }
  return checks;
}

class Ranks : public testing::TestWithParam<int> {};

TEST_P(Ranks, SaysALineACheck) {
  const int ranks = GetParam();
  const Outcome outcome = run(tool_on(ranks, "doctor"));
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  std::vector<std::string> expected = {"MPI", "ranks", "binding", "yielding", "memory"};
  if (ranks > 1) expected.insert(expected.end(), {"puts", "exchange"});
  EXPECT_EQ(checks_of(outcome.out), expected) << outcome.out;
  EXPECT_EQ(count(outcome.out, ": 0 of "), ranks > 1 ? 1u : 0u) << outcome.out;  // messages torn
}

INSTANTIATE_TEST_SUITE_P(Doctor, Ranks, testing::Values(1, 2, 8), testing::PrintToStringParamName());

TEST(Doctor, NeedsNoMpirun) {
  const Outcome outcome = run(tool("doctor"));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(checks_of(outcome.out), (std::vector<std::string>{"MPI", "ranks", "binding", "yielding", "memory"}));
}

TEST(Doctor, SaysWhatToDoWhereSharedMemoryIsTooSmallToTrain) {
  if (run(tool("--version")).out.find("Open MPI") == std::string::npos)
    GTEST_SKIP() << "this MPI itself does not start with so little";
  const TinyDisk memory("/dev/shm", 100);
  if (!memory.mounted()) GTEST_SKIP() << "no right to mount a small /dev/shm here; run as root to test one";
  const Outcome outcome = run(tool_on(4, "doctor"));
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 5) << outcome.err;
  EXPECT_EQ(count(outcome.out, "memory     ACT   /dev/shm has room"), 1u) << outcome.out;
  EXPECT_EQ(count(outcome.out, "exchange   ACT   the ranks of this host need"), 1u) << outcome.out;
}

TEST(Doctor, TakesNoOptions) {
  const Outcome outcome = run(tool("doctor --solver ecl"));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(count(outcome.err, "ecl doctor takes no options"), 1u) << outcome.err;
}

}  // namespace
}  // namespace ecl::test
