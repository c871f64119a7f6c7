#pragma once

#include <string>

/// How the library was compiled; a program that links it may be compiled otherwise.
namespace ecl {

/// "MAJOR.MINOR.PATCH".
std::string version();

/// The widest vector instructions that the library uses: "AVX-512", "AVX2" or "baseline".
std::string simd();

}  // namespace ecl
