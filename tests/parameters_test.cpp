// The words that plug-ins are made with: parameters, registries, random streams.
#include <algorithm>
#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <numeric>
#include <random>
#include <set>

#include "ecl/base/check.hpp"
#include "ecl/base/params.hpp"
#include "ecl/base/random.hpp"
#include "ecl/base/registry.hpp"
#include "ecl/base/text_lines.hpp"
#include "ecl/tool/ini_value.hpp"
#include "tests/support/command.hpp"

namespace ecl {
namespace {

std::string error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::usage);
    return error.what();
  }
  return "";
}

#define EXPECT_HAS(text, part) EXPECT_NE(std::string(text).find(part), std::string::npos) << (text)

TEST(Choice, CutsAtTheFirstColon) {
  EXPECT_EQ(Choice::parse("ring").name, "ring");
  EXPECT_EQ(Choice::parse("ring").text(), "ring");
  EXPECT_EQ(Choice::parse("file:a:b").name, "file");
  EXPECT_EQ(Choice::parse("file:a:b").arguments, "a:b");
  EXPECT_EQ(Choice::parse("file:a:b").text(), "file:a:b");
}

TEST(Split, KeepsEmptyParts) {
  EXPECT_TRUE(split("", ',').empty());
  EXPECT_EQ(split("a", ','), (std::vector<std::string>{"a"}));
  EXPECT_EQ(split(",a,,b,", ','), (std::vector<std::string>{"", "a", "", "b", ""}));
}

TEST(ShellQuoted, IsOneWordOnOneLineForAShell) {
  EXPECT_EQ(shell_quoted("runs/a-1.5_b"), "runs/a-1.5_b");
  EXPECT_EQ(shell_quoted("my run"), "'my run'");
  for (const char* text :
       {"", "a b", "it's", "two\nlines and 'more' \\", "tab\t", "site{node}.csv", "label=a|b", "$HOME*"}) {
    const std::string word = shell_quoted(text);
    EXPECT_EQ(word.find('\n'), word.npos);
    const test::Outcome outcome = test::run({"bash", "-c", "printf %s " + word});
    EXPECT_EQ(outcome.out, text) << word;
  }
}

TEST(Numbers, AreWholeTextsOrErrors) {
  EXPECT_EQ(to_number("1e-3", "x"), 1e-3);
  EXPECT_EQ(to_integer("-7", "x"), -7);
  for (const char* text : {"", "x", "1x", "1 ", "nan", "inf", "1e999", "0x10"})
    EXPECT_NE(error_of([&] { to_number(text, "x"); }), "") << text;
  for (const char* text : {"", "1.5", "1e3", "99999999999999999999"})
    EXPECT_NE(error_of([&] { to_integer(text, "x"); }), "") << text;
}

TEST(Params, GivesDefaultsKeysAndPositions) {
  const auto read = [](std::string_view arguments) {
    Params params("topology small_world", arguments);
    const std::int64_t neighbours = params.integer("neighbours", 4, 2, 100, "of each node");
    const double rewire = params.number("rewire", 0.1, 0, 1, "probability");
    params.finish();
    return std::pair(neighbours, rewire);
  };
  EXPECT_EQ(read(""), (std::pair<std::int64_t, double>(4, 0.1)));
  EXPECT_EQ(read("6,0.5"), (std::pair<std::int64_t, double>(6, 0.5)));
  EXPECT_EQ(read("rewire=0.5,neighbours=6"), (std::pair<std::int64_t, double>(6, 0.5)));
  EXPECT_EQ(read("6,rewire=0.5"), (std::pair<std::int64_t, double>(6, 0.5)));
  EXPECT_HAS(error_of([&] { read("neighbours=6,0.5"); }), "topology small_world: '0.5' follows neighbours=6 without a");
  EXPECT_HAS(error_of([&] { read("6,0.5,7"); }), "topology small_world: value '7' is one too many");
  EXPECT_HAS(error_of([&] { read("1"); }), "neighbours = 1 is outside 2 .. 100");
  EXPECT_HAS(error_of([&] { read("6,2"); }), "rewire = 2 is outside 0 .. 1");
  EXPECT_HAS(error_of([&] { read("6.5"); }), "'6.5' is not a whole number");
  EXPECT_HAS(error_of([&] { read("rewrie=0.5"); }), "unknown parameter 'rewrie', did you mean 'rewire'?");
  EXPECT_HAS(error_of([&] { read("rewire=0.5,rewire=0.5"); }), "given twice");
}

TEST(Params, RequiredOnesSayHowToGiveThem) {
  Params params("partition classes");
  const std::string text = error_of([&] { params.integer("K", std::nullopt, 1, 10, "classes per node"); });
  EXPECT_HAS(text, "partition classes needs K (classes per node)");
}

TEST(Params, TextTakesCommas) {
  Params params("model mlp", "128,64");
  EXPECT_EQ(params.text("hidden", "32", "widths"), "128,64");
  EXPECT_NO_THROW(params.finish());
  Params path("partition file", "/a:b,c");
  EXPECT_EQ(path.text("path", std::nullopt, "file"), "/a:b,c");
}

TEST(Params, SettingsAreKeyed) {
  const std::vector<std::string> settings = {"theta=0.5", "name=a=b"};
  Params params("solver ecl", "", settings);
  EXPECT_EQ(params.number("theta", 1.0, 0, 1, "damping"), 0.5);
  EXPECT_EQ(params.text("name", "", "any"), "a=b");
  params.finish();
  for (const char* bad : {"theta", "=1"}) {
    const std::vector<std::string> one = {bad};
    EXPECT_HAS(error_of([&] { Params("solver ecl", "", one); }), "not of the form key=value");
  }
  EXPECT_HAS(error_of([&] { Params("solver ecl", "theta=1", settings); }), "given twice");
}

TEST(Params, QuotesHoldSeparators) {
  Params params("dataset csv", R"("plain ""word""",last,label="a,b=c:d",group=""" """)");
  EXPECT_EQ(params.text("label", std::nullopt, ""), "a,b=c:d");
  EXPECT_EQ(params.text("group", std::nullopt, ""), "\" \"");
  EXPECT_EQ(params.text("rest", std::nullopt, ""), "plain \"word\",last");
  params.finish();
  EXPECT_HAS(error_of([] { Params("dataset csv", "label=\"a,group=b"); }), "dataset csv: a quote is not closed");
}

TEST(Numbers, NameTheDecimalPointThatIsMeant) {
  EXPECT_EQ(decimal_comma("1,5"), "; a decimal point is meant: 1.5");
  EXPECT_EQ(decimal_comma("-1.234.000,25e3"), "; a decimal point is meant: -1234000.25e3");
  EXPECT_EQ(decimal_comma("1,234"), "; a decimal point is meant: 1.234, or, between thousands, nothing: 1234");
  EXPECT_EQ(decimal_comma("0,234"), "; a decimal point is meant: 0.234");
  for (const char* other : {"1.5", "1,2,3", "a,b", ",", "1e,5"}) EXPECT_EQ(decimal_comma(other), "") << other;
}

TEST(IniValue, HoldsWhatever) {
  for (const std::string value : {"", "plain", "a = b; c", "runs/a#1", " blank ", "\"quoted\"", "\"", "one\"",
                                  "back\\slash", "\\\" #\\x23 ", "line\nbreak\r\ttab", "\x7f", "\xc3\xa9", "#", "\\"}) {
    const std::string written = to_ini_value(value);
    EXPECT_EQ(written.find_first_of("#\n\r"), std::string::npos) << written;
    EXPECT_EQ(from_ini_value(written, ""), value) << written;
  }
  for (const std::string plain : {"runs/a b", "say \"x\" twice", "C:\\data"}) EXPECT_EQ(to_ini_value(plain), plain);
  for (const char* bad : {"\"a", "\"a\" b", "\"\\n\"", "\"\\x2\"", "\"\\"})
    EXPECT_HAS(error_of([&] { from_ini_value(bad, "config.ini: data = "); }), "config.ini: data = ");
}

TEST(Params, RemembersWhatWasDeclared) {
  Params params("solver ecl");
  params.number("theta", 0.5, 0, 1, "damping");
  params.integer("seed", 7, 0, 100, "seed");
  ASSERT_EQ(params.declared().size(), 2u);
  EXPECT_EQ(params.declared()[0].key, "theta");
  EXPECT_EQ(params.declared()[0].fallback, "0.5");
  EXPECT_EQ(params.declared()[1].fallback, "7");
}

TEST(Suggestion, NamesTheNearestOrNothing) {
  const std::vector<std::string> known = {"ring", "star", "torus"};
  EXPECT_EQ(suggestion("rign", known), ", did you mean 'ring'?");
  EXPECT_EQ(suggestion("tors", known), ", did you mean 'torus'?");
  EXPECT_EQ(suggestion("hypercube", known), "");
}

int make_one() { return 1; }

TEST(Registry, FindsWithEitherDashAndSuggests) {
  const Registry<int()> table("topology", '_', {{"double_ring", "two rings", make_one}, {"star", "a star", make_one}});
  EXPECT_EQ(table.find("double-ring").name, "double_ring");
  EXPECT_EQ(table.find("double_ring").make(), 1);
  const std::string text = error_of([&] { table.find("duble-ring"); });
  EXPECT_HAS(text, "unknown topology 'duble-ring', did you mean 'double_ring'? (known: double_ring, star)");
  Params params = table.params(Choice::parse("star:x=1"));
  EXPECT_HAS(error_of([&] { params.finish(); }), "topology star: unknown parameter 'x' (it has none)");
}

TEST(RandomStreams, AreAFunctionOfTheirKey) {
  const auto draw = [](Random random) { return std::vector<std::uint64_t>{random(), random(), random()}; };
  const auto base = draw(Random(1, Purpose::test, 2, 3));
  EXPECT_EQ(base, draw(Random(1, Purpose::test, 2, 3)));
  EXPECT_NE(base, draw(Random(2, Purpose::test, 2, 3)));
  EXPECT_NE(base, draw(Random(1, Purpose::batches, 2, 3)));
  EXPECT_NE(base, draw(Random(1, Purpose::test, 3, 2)));
  EXPECT_NE(base, draw(Random(1, Purpose::test, 2, 4)));
}

TEST(RandomStreams, NeighbouringKeysShareNoNumbers) {
  std::set<std::uint64_t> seen;
  for (int node = 0; node < 100; ++node)
    for (int step = 0; step < 10; ++step) {
      Random random(1, Purpose::test, node, step);
      for (int n = 0; n < 10; ++n) seen.insert(random());
    }
  EXPECT_EQ(seen.size(), 10'000u);
}

TEST(RandomStreams, AreUniform) {
  Random random(5, Purpose::test);
  double sum = 0, squares = 0;
  std::vector<int> count(7, 0);
  for (int n = 0; n < 70'000; ++n) {
    const double value = random.uniform();
    ASSERT_TRUE(value >= 0 && value < 1);
    sum += value, squares += value * value;
    ++count.at(random.below(7));
  }
  EXPECT_NEAR(sum / 70'000, 0.5, 0.005);
  EXPECT_NEAR(squares / 70'000, 1 / 3.0, 0.005);
  for (const int times : count) EXPECT_NEAR(times, 10'000, 500);  // 5 standard deviations
  EXPECT_EQ(random.below(1), 0u);
  static_assert(std::uniform_random_bit_generator<Random>);
}

TEST(Shuffle, IsAPermutationThatFavoursNoPlace) {
  std::vector<int> first(5, 0);
  for (int n = 0; n < 10'000; ++n) {
    std::vector<int> values(5);
    std::iota(values.begin(), values.end(), 0);
    Random random(1, Purpose::test, n);
    shuffle(values, random);
    ++first[values[0]];
    std::sort(values.begin(), values.end());
    ASSERT_EQ(values, (std::vector<int>{0, 1, 2, 3, 4}));
  }
  for (const int times : first) EXPECT_NEAR(times, 2000, 200);  // 5 standard deviations
}

TEST(CheckDeathTest, AbortsWithThePlace) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(ECL_CHECK(1 == 2), "1 == 2 does not hold at .*parameters_test.cpp");
}

}  // namespace
}  // namespace ecl
