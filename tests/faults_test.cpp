// What each delivery class promises under faults, asked of every solver through the registry.
#include "support/faults.hpp"

#include <gtest/gtest.h>

namespace ecl {
namespace {

using test::asynchronous_scenarios;
using test::Ending;
using test::Fault;
using test::in_lock_step;
using test::with_one_fault;

constexpr double kFloat = 1e-5;  // relative error that float storage leaves on these problems (condition 10)

std::vector<std::string> solvers_with(bool lock_step) {
  std::vector<std::string> names;
  for (const auto& entry : solvers().entries())
    if ((test::probe(entry.name)->delivery() == Delivery::lock_step) == lock_step) names.push_back(entry.name);
  return names;
}

std::string test_name(const testing::TestParamInfo<std::string>& info) { return info.param; }

/// Solvers whose class promises that lost, late and repeated messages cost time only: newest_wins and cumulative.
class AnyDelivery : public testing::TestWithParam<std::string> {};

TEST_P(AnyDelivery, OneFaultLeavesNoTrace) {
  const auto probe = test::probe(GetParam());
  const Ending unharmed = with_one_fault(GetParam(), std::nullopt);
  for (const auto& [fault, name] : test::kFaults) {
    // A port rejects torn messages; a class that adds to what it has seen need not survive one.
    const bool promised =
        probe->delivery() == Delivery::newest_wins || fault == Fault::lost || fault == Fault::duplicated;
    if (!promised) continue;
    const Ending harmed = with_one_fault(GetParam(), fault);
    EXPECT_EQ(harmed.struck, probe->message_size() != 0) << name << ": the fault was not injected";
    EXPECT_LT(harmed.distance(unharmed), kFloat) << "one message " << name;
  }
}

TEST_P(AnyDelivery, LossInLockStepLeavesNoTrace) {
  const Ending unharmed = with_one_fault(GetParam(), std::nullopt);
  const double tolerance = test::restless(GetParam()) ? 0.5 : kFloat;
  EXPECT_LT(in_lock_step(GetParam(), {"", {.drop = 0.1}}).distance(unharmed), tolerance);
}

/// How far from the optimum faults may leave a solver that is `error` away without: a biased one may rest elsewhere
/// with other timing, but no farther; one that never rests is wherever chance has it, but not as far off as a node that
/// hears of nobody.
double bound_under_faults(const std::string& solver, double error) {
  if (test::restless(solver)) return 0.6 * test::asynchronously("local", {"", {}}).error;
  return error < kFloat ? kFloat : 1.5 * error;
}

TEST_P(AnyDelivery, AsynchronousFaultsMoveNobodysRest) {
  const double error = test::asynchronously(GetParam(), {"", {}}).error;
  const double bound = bound_under_faults(GetParam(), error);
  for (const auto& scenario : asynchronous_scenarios()) {
    if (scenario.death) continue;
    EXPECT_LT(test::asynchronously(GetParam(), scenario).error, bound) << scenario.name;
  }
}

TEST_P(AnyDelivery, NeitherWithSeveralExchangesARound) {
  if (!test::probe(GetParam())->exchanges_again()) return;
  const double error = test::asynchronously(GetParam(), {"", {}}).error;
  const double bound = bound_under_faults(GetParam(), error);
  const LinkModel links = {.latency_s = 0.3, .jitter = 1, .drop = 0.2, .duplicate = 0.2, .tear = 0.2};
  for (const int exchanges : {2, 4})
    EXPECT_LT(test::asynchronously(GetParam(), {"", links}, 20'000, exchanges).error, bound) << exchanges;
}

TEST_P(AnyDelivery, SurvivorsOfADeathReachTheirOwnOptimumIfTheSolverIsExact) {
  const double error = test::asynchronously(GetParam(), {"", {}}).error;
  const double survivors = test::asynchronously(GetParam(), {"", {}, true}).error;
  if (error < kFloat)
    EXPECT_LT(survivors, kFloat);
  else
    EXPECT_LT(survivors, 1e3) << "diverges";
}

INSTANTIATE_TEST_SUITE_P(All, AnyDelivery, testing::ValuesIn(solvers_with(false)), test_name);

/// Solvers that must have every message exactly once.
class EveryMessageOnce : public testing::TestWithParam<std::string> {};

TEST_P(EveryMessageOnce, IsRefusedInAsynchronousModeByNameAndWithTheReason) {
  try {
    test::asynchronously(GetParam(), {"", {}}, 10);
    FAIL() << "was not refused";
  } catch (const Error& error) {
    const std::string what = error.what();
    for (const std::string& part : {"solver " + GetParam(), std::string("exactly once"), std::string("mode lock-step")})
      EXPECT_NE(what.find(part), std::string::npos) << what;
  }
}

TEST_P(EveryMessageOnce, LossBreaksIt) {
  // So that the refusal is justified. Asked of the exact ones: a biased one has nothing to lose that could be measured
  // here. Not asked of servers, which need lock step because a round is a question and its answer.
  const bool server = test::probe(GetParam())->replies();
  const bool exact = with_one_fault(GetParam(), std::nullopt).error < kFloat;
  const bool broken = !(in_lock_step(GetParam(), {"", {.drop = 0.1}}).error < 1e-3);
  EXPECT_TRUE(server || !exact || broken) << "survives losses: its delivery class should say so";
}

INSTANTIATE_TEST_SUITE_P(All, EveryMessageOnce, testing::ValuesIn(solvers_with(true)), test_name);

}  // namespace
}  // namespace ecl
