#pragma once

#include <chrono>
#include <cstdio>

#include "ecl/c/ecl.h"

/// What the programs of bench/own_loops share.
namespace own_loops {

constexpr std::size_t kParameters = 1'000'000;

inline void must(int code) {
  if (code == ECL_OK) return;
  std::fprintf(stderr, "%s\n", ecl_error());
  ecl_abort(code);
}

inline double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace own_loops
