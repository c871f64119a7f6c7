#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "ecl/run/spec.hpp"

namespace ecl {

/// What `ecl train` or `ecl simulate` was asked for.
struct Request {
  Spec spec;
  bool help = false, print_config = false;
};

/// Reads the options of `command` ("train" or "simulate"); --config FILE fills in what the command line leaves open.
/// Throws Error for an unknown option, with a suggestion.
Request read_options(const std::string& command, const std::vector<std::string>& arguments);

void print_options(std::ostream& out, const std::string& command);

}  // namespace ecl
