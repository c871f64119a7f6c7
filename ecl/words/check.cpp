#include "ecl/words/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace ecl {

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "ecl: internal error: %s does not hold at %s:%d; please report this\n", expression, file, line);
  std::abort();
}

}  // namespace ecl
