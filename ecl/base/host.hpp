#pragma once

#include <cstdint>
#include <string>

namespace ecl {

/// The name of the machine that this process runs on.
std::string host_name();

/// When a process of this machine was started, in the system's ticks; 0 if it is not there, or has ended and waits to
/// be collected.
std::uint64_t process_started(std::int64_t pid);

}  // namespace ecl
