#pragma once

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "tests/support/command.hpp"

/// What the tool's tests ask of a command line.
namespace ecl::test {

inline Outcome ecl(const std::string& options) { return run(tool(options)); }

/// One line that says all the `parts`, and nothing else anywhere.
inline void expect_refusal(const Outcome& outcome, int exit_code, const std::vector<std::string>& parts) {
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, exit_code);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err.rfind("ecl: ", 0), 0u) << outcome.err;
  EXPECT_EQ(count(outcome.err, "\n"), 1u) << outcome.err;
  EXPECT_TRUE(!outcome.err.empty() && outcome.err.back() == '\n');
  for (const std::string& part : parts)
    EXPECT_NE(outcome.err.find(part), std::string::npos) << part << "\n in: " << outcome.err;
}

inline void expect_ok(const Outcome& outcome) {
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

inline void expect_has(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << "\n in: " << text;
}

}  // namespace ecl::test
