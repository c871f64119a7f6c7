#include "ecl/base/build.hpp"

namespace ecl {

std::string version() { return ECL_VERSION; }

std::string simd() {
#if defined(__AVX512F__)
  return "AVX-512";
#elif defined(__AVX2__)
  return "AVX2";
#else
  return "baseline";
#endif
}

}  // namespace ecl
