// Every file of fuzz/corpus/ through its reader: a result or one clear error, no crash. What the fuzzer found stays
// found.
#include <filesystem>
#include <gtest/gtest.h>
#include <new>
#include <stdexcept>

#include "ecl/base/check.hpp"
#include "tests/fuzz/targets.hpp"
#include "tests/support/files.hpp"

namespace ecl {
namespace {

class Corpus : public testing::TestWithParam<fuzz::Target> {};

TEST_P(Corpus, GivesResultsOrErrors) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(ECL_SOURCE_DIR) /
                                                               "tests/fuzz/corpus" / GetParam().name)) {
    const std::string content = test::read_file(entry.path());
    EXPECT_NO_THROW(fuzz::run(GetParam(), {reinterpret_cast<const std::uint8_t*>(content.data()), content.size()}))
        << entry.path();
    ++files;
  }
  EXPECT_GT(files, 0);
}

INSTANTIATE_TEST_SUITE_P(Readers, Corpus, testing::ValuesIn(fuzz::targets()),
                         [](const auto& test) { return test.param.name; });

TEST(Fuzz, TakesAClearErrorAndNothingElse) {
  const fuzz::Target clear{"", [](std::span<const std::uint8_t>) { throw Error("'a\nb' is not a number"); }};
  const fuzz::Target silent{"", [](std::span<const std::uint8_t>) { throw Error(""); }};
  const fuzz::Target other{"", [](std::span<const std::uint8_t>) { throw std::bad_alloc(); }};
  EXPECT_NO_THROW(fuzz::run(clear, {}));
  EXPECT_THROW(fuzz::run(silent, {}), std::logic_error);
  EXPECT_THROW(fuzz::run(other, {}), std::bad_alloc);
}

}  // namespace
}  // namespace ecl
