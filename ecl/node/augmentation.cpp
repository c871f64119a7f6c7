#include "ecl/node/augmentation.hpp"

#include <algorithm>
#include <cstdlib>

#include "ecl/base/check.hpp"
#include "ecl/base/random.hpp"

namespace ecl {
namespace {

/// Moves the rows of a plane up by `down` and left by `right`; what comes in from outside is `black`.
void shift(float* plane, int height, int width, int down, int right, float black) {
  if (down == 0 && right == 0) return;
  const int kept = std::max(0, width - std::abs(right));
  for (int n = 0; n < height; ++n) {
    const int y = down >= 0 ? n : height - 1 - n;  // a row is read before it is written over
    float* to = plane + y * width;
    if (y + down < 0 || y + down >= height) {
      std::fill_n(to, width, black);
      continue;
    }
    const float* from = to + down * width;
    if (right >= 0) {
      std::copy_n(from + width - kept, kept, to);
      std::fill(to + kept, to + width, black);
    } else {
      std::copy_backward(from, from + kept, to + width);
      std::fill(to, to + width - kept, black);
    }
  }
}

}  // namespace

Augmentation augmentation_named(const std::string& name) {
  if (name == "none") return Augmentation::none;
  if (name == "crop-flip") return Augmentation::crop_flip;
  throw Error("--augment " + name + ": none or crop-flip is expected");
}

CropFlip CropFlip::draw(std::uint64_t seed, std::int32_t sample, std::uint64_t epoch) {
  Random random(seed, Purpose::augmentation, sample, epoch);
  const auto place = [&] { return static_cast<int>(random.below(2 * kMargin + 1)) - kMargin; };
  CropFlip drawn;
  drawn.down = place();
  drawn.right = place();
  drawn.flip = random.below(2) == 1;
  return drawn;
}

void CropFlip::apply(const Dataset& data, float* picture) const {
  const auto [channels, height, width] = data.image;
  const int plane = height * width;
  for (int c = 0; c < channels; ++c, picture += plane) {
    shift(picture, height, width, down, right, data.black(c * plane));
    if (!flip) continue;
    for (int y = 0; y < height; ++y) std::reverse(picture + y * width, picture + (y + 1) * width);
  }
}

}  // namespace ecl
