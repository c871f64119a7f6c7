#pragma once

#include <string>

namespace ecl {

/// The name of the machine that this process runs on.
std::string host_name();

}  // namespace ecl
