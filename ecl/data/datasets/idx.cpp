#include "ecl/data/datasets/idx.hpp"

#include <cstdio>
#include <filesystem>
#include <limits>
#include <utility>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

constexpr std::uint32_t kImagesMagic = 0x00000803;
constexpr std::uint32_t kLabelsMagic = 0x00000801;
constexpr std::uint64_t kMostPixels = 1'000'000;  // of one image
constexpr std::uint64_t kMostSamples = std::numeric_limits<std::int32_t>::max();

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error("'" + path + "' is damaged or not an IDX file: " + what, Exit::io);
}

std::uint32_t word(const Bytes& content, std::size_t index) {
  const std::uint8_t* at = content.data() + 4 * index;
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 | std::uint32_t{at[3]};
}

std::string hex(std::uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08X", value);
  return text;
}

void check_length(const Bytes& content, std::uint64_t expected, const std::string& path) {
  if (content.size() != expected)
    fail(path, "it should hold " + std::to_string(expected) + " bytes and holds " + std::to_string(content.size()));
}

/// The number of samples, after magic and header are checked.
std::uint64_t check_header(const Bytes& content, std::uint32_t magic, std::size_t words, const std::string& path) {
  if (content.size() < 4 * words)
    fail(path, "its header should hold " + std::to_string(4 * words) + " bytes and the file holds " +
                   std::to_string(content.size()));
  if (word(content, 0) != magic)
    fail(path, "it should start with the magic number " + hex(magic) + " and starts with " + hex(word(content, 0)));
  const std::uint64_t count = word(content, 1);
  if (count == 0 || count > kMostSamples)
    fail(path, "its header claims " + std::to_string(count) + " samples, outside 1 .. " + std::to_string(kMostSamples));
  return count;
}

std::string find_idx(const std::string& directory, const std::string& name, const std::string& advice) {
  const std::string plain = (std::filesystem::path(directory) / name).string();
  for (const std::string& path : {plain, plain + ".gz"})
    if (std::error_code ignored; std::filesystem::exists(path, ignored)) return path;
  throw Error("there is no file '" + plain + "' (nor with .gz); " + advice);
}

Dataset load_half(const std::string& directory, const std::string& half, const IdxDataset& set) {
  const std::string& advice = set.advice;
  const int classes = set.classes;
  if (std::error_code ignored; !std::filesystem::is_directory(directory, ignored))
    throw Error("there is no directory '" + directory + "'; " + advice);
  const std::string images_path = find_idx(directory, half + "-images-idx3-ubyte", advice);
  const std::string labels_path = find_idx(directory, half + "-labels-idx1-ubyte", advice);
  IdxImages images = parse_idx_images(read_file(images_path, advice), images_path);
  std::vector<std::int32_t> labels = parse_idx_labels(read_file(labels_path, advice), classes, labels_path);
  if (images.count != labels.size())
    fail(labels_path,
         "it has " + std::to_string(labels.size()) + " labels for " + std::to_string(images.count) + " images");
  Dataset data(images.height * images.width, classes, std::move(images.pixels), {{set.mean, set.deviation}},
               std::move(labels));
  data.image = {1, images.height, images.width};
  return data;
}

}  // namespace

IdxImages parse_idx_images(Bytes content, const std::string& path) {
  constexpr std::size_t kHeader = 16;
  const std::uint64_t count = check_header(content, kImagesMagic, kHeader / 4, path);
  const std::uint64_t height = word(content, 2), width = word(content, 3);
  // Two 32-bit factors cannot overflow 64 bits; the third comes in only after the first two are known to be small.
  if (height * width == 0 || height * width > kMostPixels)
    fail(path, "its header claims images of " + std::to_string(height) + " x " + std::to_string(width) + " pixels");
  check_length(content, kHeader + count * height * width, path);
  content.erase(content.begin(), content.begin() + kHeader);
  return {static_cast<std::size_t>(count), static_cast<int>(height), static_cast<int>(width), std::move(content)};
}

std::vector<std::int32_t> parse_idx_labels(const Bytes& content, int classes, const std::string& path) {
  constexpr std::size_t kHeader = 8;
  const std::uint64_t count = check_header(content, kLabelsMagic, kHeader / 4, path);
  check_length(content, kHeader + count, path);
  std::vector<std::int32_t> labels(content.begin() + kHeader, content.end());
  for (std::size_t n = 0; n < labels.size(); ++n)
    if (labels[n] >= classes)
      fail(path, "label " + std::to_string(labels[n]) + " of sample " + std::to_string(n) + " (byte " +
                     std::to_string(kHeader + n) + ") is outside 0 .. " + std::to_string(classes - 1));
  return labels;
}

TrainTest load_idx_directory(const std::string& directory, const DatasetRequest& request, const IdxDataset& set) {
  const std::string& tested = request.test.empty() ? directory : request.test;
  TrainTest loaded{load_half(directory, "train", set), load_half(tested, "t10k", set)};
  if (loaded.train.features() != loaded.test.features())
    fail(tested, "its training images have " + std::to_string(loaded.train.features()) +
                     " pixels and its test images " + std::to_string(loaded.test.features()));
  loaded.source = directory;
  return loaded;
}

}  // namespace ecl
