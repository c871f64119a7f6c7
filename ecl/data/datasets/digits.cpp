// Handwritten digits, embedded so that a first run needs no files. Credit and licence: digits_data.hpp.
#include "ecl/base/check.hpp"
#include "ecl/base/gzip.hpp"
#include "ecl/base/text_lines.hpp"
#include "ecl/contracts/dataset.hpp"
#include "ecl/data/datasets/digits_data.hpp"
#include "ecl/data/datasets/table.hpp"

namespace ecl {

TrainTest make_digits(const DatasetRequest& request, Params&) {
  refuse_files(request, "digits");
  constexpr int kPixels = 64;
  // Of value / 16, over all samples. The byte constructor divides by 255, which the factor undoes.
  constexpr float kFullScale = 16.0f / 255.0f, kMean = 0.3053f, kDeviation = 0.3760f;

  const Bytes content = gunzip({kDigitsGzip, kDigitsGzipSize}, "embedded digits");
  TextLines lines("embedded digits", content);
  Bytes pixels;
  std::vector<std::int32_t> labels, train, test;
  while (lines.next()) {
    const auto cells = split_cells(lines, ',');
    ECL_CHECK(cells.size() == kPixels + 1);
    for (int f = 0; f < kPixels; ++f) pixels.push_back(static_cast<std::uint8_t>(lines.number(cells[f])));
    (labels.size() % 5 == 4 ? test : train).push_back(static_cast<std::int32_t>(labels.size()));
    labels.push_back(static_cast<std::int32_t>(lines.number(cells[kPixels])));
  }
  Dataset all(kPixels, 10, std::move(pixels), {{kMean * kFullScale, kDeviation * kFullScale}}, std::move(labels));
  all.image = {1, 8, 8};
  return {all.subset(train), all.subset(test)};
}

}  // namespace ecl
