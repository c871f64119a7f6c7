#include "ecl/base/memory.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sys/resource.h>
#include <unistd.h>

namespace ecl {
namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

/// The number after `key` in a file of lines `key number`; infinite if there is none.
double number_in(const char* path, const std::string& key) {
  std::ifstream file(path);
  double value = kUnlimited;
  for (std::string word; file >> word;)
    if (word == key && file >> value) return value;
  return kUnlimited;
}

double first_number(const char* path) {
  double value = 0;
  return std::ifstream(path) >> value ? value : kUnlimited;
}

/// Pages of /proc/self/statm: all that is mapped, or what is in memory.
double pages(bool resident) {
  double mapped = 0, in_memory = 0;
  std::ifstream("/proc/self/statm") >> mapped >> in_memory;
  return (resident ? in_memory : mapped) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

}  // namespace

double free_memory_bytes() {
  double bytes = 1024 * number_in("/proc/meminfo", "MemAvailable:");
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    bytes = std::min(bytes, static_cast<double>(limit.rlim_cur) - pages(false));
  const double used = first_number("/sys/fs/cgroup/memory.current");
  if (used != kUnlimited) bytes = std::min(bytes, first_number("/sys/fs/cgroup/memory.max") - used);
  return std::max(bytes, 0.0);
}

double resident_memory_bytes() { return pages(true); }

double peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return 1024.0 * static_cast<double>(usage.ru_maxrss);
}

std::string in_bytes(double bytes) {
  const bool large = bytes >= 1e9;
  char text[32];
  std::snprintf(text, sizeof text, "%.3g %s", bytes / (large ? 1e9 : 1e6), large ? "GB" : "MB");
  return text;
}

void require_memory(double bytes, const std::string& what, const std::string& advice) {
  const double free_bytes = free_memory_bytes();
  if (bytes > free_bytes)
    throw Error(what + " needs " + in_bytes(bytes) + " and " + in_bytes(free_bytes) + " of memory are free; " + advice,
                Exit::io);
}

void out_of_memory(const std::string& what) {
  throw Error(what + " does not fit into memory, of which " + in_bytes(free_memory_bytes()) +
                  " are free; use less data, a smaller model or batch, or fewer nodes on this machine",
              Exit::io);
}

}  // namespace ecl
