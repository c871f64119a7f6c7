#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ecl/base/byte_stream.hpp"
#include "ecl/base/gzip.hpp"
#include "ecl/contracts/dataset.hpp"

/// The IDX format of the MNIST family: a 4-byte magic, one big-endian 32-bit size per dimension, then the bytes.
namespace ecl {

struct IdxImages {
  std::size_t count = 0;  ///< of the file
  int height = 0, width = 0;
  Bytes pixels;  ///< images * height * width, row-major
};

/// From an images file, which is read to its end, the images that `rows` names, ascending; all if it names none. Throws
/// as parse_idx_images() does, and if the file has not `expected` images (0: any number).
IdxImages read_idx_images(ByteStream& stream, const std::string& path, const std::vector<std::int32_t>& rows = {},
                          std::size_t expected = 0);

/// `content`: a whole images file (magic 0x00000803). `path` is for messages. Throws Error (io) if the magic is another
/// one, a size is zero or beyond reason, or the length is not exactly what the sizes say.
IdxImages parse_idx_images(const Bytes& content, const std::string& path);

/// `content`: a whole labels file (magic 0x00000801). Throws as above, and for a label outside 0 .. classes-1.
std::vector<std::int32_t> parse_idx_labels(const Bytes& content, int classes, const std::string& path);

/// What the loaders of a data set in this format say of it.
struct IdxDataset {
  float mean, deviation;  ///< a pixel's value becomes (byte / 255 - mean) / deviation
  int classes;
  std::string advice;  ///< ends the message for a file that is not there
};

/// Loads train-images-idx3-ubyte and train-labels-idx1-ubyte, each plain or with ".gz", from `directory`, and
/// t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte from `request.test`, or from the same; with the parameter `groups`
/// the groups of the training images. Throws Error.
TrainTest load_idx_directory(const std::string& directory, const DatasetRequest& request, Params& params,
                             const IdxDataset& set);

}  // namespace ecl
