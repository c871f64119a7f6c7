#include "ecl/base/check.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace ecl {
namespace {

std::string one_line(std::string text) {
  const auto is_control = [](unsigned char c) { return c < ' ' || c == 0x7f; };  // bytes of UTF-8 stay
  std::replace_if(text.begin(), text.end(), is_control, '?');
  return text;
}

}  // namespace

Error::Error(const std::string& message, Exit code) : std::runtime_error(one_line(message)), code_(code) {}

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "ecl: internal error: %s does not hold at %s:%d; please report this\n", expression, file, line);
  std::abort();
}

}  // namespace ecl
