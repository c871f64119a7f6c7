#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ecl/base/gzip.hpp"
#include "ecl/contracts/dataset.hpp"

/// The IDX format of the MNIST family: a 4-byte magic, one big-endian 32-bit size per dimension, then the bytes.
namespace ecl {

struct IdxImages {
  std::size_t count = 0;
  int height = 0, width = 0;
  Bytes pixels;  ///< count * height * width, row-major
};

/// `content`: a whole images file (magic 0x00000803). `path` is for messages. Throws Error (io) if the magic is another
/// one, a size is zero or beyond reason, or the length is not exactly what the sizes say.
IdxImages parse_idx_images(Bytes content, const std::string& path);

/// `content`: a whole labels file (magic 0x00000801). Throws as above, and for a label outside 0 .. classes-1.
std::vector<std::int32_t> parse_idx_labels(const Bytes& content, int classes, const std::string& path);

/// Loads the four files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
/// t10k-labels-idx1-ubyte, each plain or with ".gz", from `directory`. A pixel's value becomes
/// (byte / 255 - mean) / deviation. `advice` ends the message for a file that is not there. Throws Error.
TrainTest load_idx_directory(const std::string& directory, float mean, float deviation, int classes,
                             const std::string& advice = "name its directory with --data");

}  // namespace ecl
