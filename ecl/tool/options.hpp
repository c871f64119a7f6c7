#pragma once

#include <iosfwd>
#include <optional>
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

/// The options of the run that was begun in `directory`, as its config.ini has them. Throws Error.
Spec read_begun(const std::string& directory);

/// What `ecl replay` was asked for.
struct ReplayRequest {
  Spec spec;              ///< of the recorded run, but for where to write
  std::string directory;  ///< the recorded run's
};

/// Reads the options of `ecl replay DIR` and the config.ini in DIR; nothing if it was --help, which is then printed.
/// Throws Error.
std::optional<ReplayRequest> read_replay(const std::vector<std::string>& arguments, std::ostream& out);

void print_options(std::ostream& out, const std::string& command);

}  // namespace ecl
