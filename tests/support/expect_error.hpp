#pragma once

#include <gtest/gtest.h>
#include <string>

#include "tests/support/command.hpp"

namespace ecl::test {

/// `ecl COMMAND` says one line on standard error, with `part` in it, nothing else, and ends with that code.
inline void expect_error(const std::string& command, const std::string& part, int code = 2) {
  const Outcome outcome = run(tool(command));
  EXPECT_EQ(outcome.exit_code, code) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(count(outcome.err, "\n"), 1u) << outcome.err;
  EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
}

}  // namespace ecl::test
