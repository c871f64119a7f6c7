#pragma once

#include <string>
#include <vector>

namespace ecl {

/// `ecl report`: the Python package of this installation does it; returns its exit code. Throws Error where it cannot
/// be started.
int report_command(const std::vector<std::string>& arguments);

}  // namespace ecl
