#pragma once

#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "ecl/base/check.hpp"

/// How much memory there is, and errors that say so.
namespace ecl {

/// What this process may still take: the smallest of what the machine has free, its limit of address space (ulimit -v)
/// and its control group's limit leave.
double free_memory_bytes();
/// What this process has in memory now, and the most that it ever had.
double resident_memory_bytes();
double peak_memory_bytes();

/// "12.3 GB", for messages.
std::string in_bytes(double bytes);

/// Throws Error (io), "WHAT needs 12.3 GB and 4 GB of memory are free; ADVICE", where that is so.
void require_memory(double bytes, const std::string& what, const std::string& advice);

[[noreturn]] void out_of_memory(const std::string& what);

/// make(), whose failure to allocate becomes an Error (io) about `what` ("dataset csv").
template <class Make>
auto within_memory(const std::string& what, Make make) {
  try {
    return make();
  } catch (const std::bad_alloc&) {
    out_of_memory(what);
  } catch (const std::length_error&) {  // beyond what any memory holds
    out_of_memory(what);
  }
}

}  // namespace ecl
