#pragma once

#include <string>
#include <vector>

namespace ecl {

/// `ecl top RUN [--once]`: what status.json of a run says of its nodes. On a terminal it is shown anew every second,
/// until the run ends. Throws Error.
void top_command(const std::vector<std::string>& arguments);

}  // namespace ecl
