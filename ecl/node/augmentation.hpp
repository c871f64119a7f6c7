#pragma once

#include <cstdint>
#include <string>

#include "ecl/contracts/dataset.hpp"

namespace ecl {

/// Random changes to training pictures that leave their class alone. Evaluations see the pictures as they are.
enum class Augmentation { none, crop_flip };

/// Of its name for users: none, crop-flip. Throws Error for another.
Augmentation augmentation_named(const std::string& name);

/// The usual augmentation of CIFAR (He, Zhang, Ren and Sun, CVPR 2016, section 4.2): the picture gets a margin of black
/// pixels and is cut out again at a random place, then mirrored or not.
struct CropFlip {
  static constexpr int kMargin = 4;  ///< pixels on each side

  int down = 0, right = 0;  ///< where the cut begins, in the picture without margin: -kMargin .. kMargin each
  bool flip = false;        ///< left and right change places

  /// A function of the seed, the sample's Dataset::number() and the epoch alone: all places are equally likely, and so
  /// are mirrored and not.
  static CropFlip draw(std::uint64_t seed, std::int32_t sample, std::uint64_t epoch);

  /// Changes one picture of `data`, data.features() gathered floats, in place.
  void apply(const Dataset& data, float* picture) const;
};

}  // namespace ecl
