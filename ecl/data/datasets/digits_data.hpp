#pragma once

#include <cstddef>

namespace ecl {

/// A gzip file: 1,797 lines of 64 pixels 0 .. 16 (8 x 8, row-major) and the digit, comma separated.
///
/// The test half of "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, UCI Machine Learning
/// Repository 1998, https://doi.org/10.24432/C50P49, licensed CC BY 4.0. The content is unchanged.
extern const unsigned char kDigitsGzip[];
extern const std::size_t kDigitsGzipSize;

}  // namespace ecl
