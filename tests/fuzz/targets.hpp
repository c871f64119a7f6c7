#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

/// Everything in ecl that reads bytes from outside, each as a function of those bytes. The fuzzer feeds it what it
/// invents, fuzz_corpus_test the files of corpus/.
namespace ecl::fuzz {

struct Target {
  std::string name;                             ///< of its directory in corpus/, too
  void (*read)(std::span<const std::uint8_t>);  ///< may throw anything; only ecl::Error is in order
};
const std::vector<Target>& targets();

/// Reads `input`; an ecl::Error with a message of one line is as good as a result. Throws everything else on, and
/// std::logic_error for a message of no line or several.
void run(const Target& target, std::span<const std::uint8_t> input);

}  // namespace ecl::fuzz
