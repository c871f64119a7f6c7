// libFuzzer's entry: one program for all targets; ECL_FUZZ_TARGET names the one that is meant. scripts/fuzz runs it.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/targets.hpp"

namespace {

const ecl::fuzz::Target& chosen() {
  const char* name = std::getenv("ECL_FUZZ_TARGET");
  const auto& all = ecl::fuzz::targets();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& target) { return name && target.name == name; });
  if (found != all.end()) return *found;
  std::fprintf(stderr, "ECL_FUZZ_TARGET names one of:");
  for (const auto& target : all) std::fprintf(stderr, " %s", target.name.c_str());
  std::fprintf(stderr, "\n");
  std::exit(2);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ecl::fuzz::Target& target = chosen();
  ecl::fuzz::run(target, {data, size});
  return 0;
}
