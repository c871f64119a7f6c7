#include "ecl/data/datasets/idx.hpp"

#include <cstdio>
#include <filesystem>
#include <functional>
#include <limits>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/data/datasets/table.hpp"

namespace ecl {
namespace {

constexpr std::uint32_t kImagesMagic = 0x00000803;
constexpr std::uint32_t kLabelsMagic = 0x00000801;
constexpr std::uint64_t kMostPixels = 1'000'000;  // of one image
constexpr std::uint64_t kPiece = 1 << 18;         // bytes to read at a time
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

void check_length(std::uint64_t found, std::uint64_t expected, const std::string& path) {
  if (found != expected)
    fail(path, "it should hold " + std::to_string(expected) + " bytes and holds " + std::to_string(found));
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

/// Fills `out` as far as the stream goes; returns how far.
std::size_t fill(ByteStream& stream, std::span<std::uint8_t> out) {
  std::size_t filled = 0;
  for (std::size_t got = 1; filled < out.size() && got > 0; filled += got) got = stream.read(out.subspan(filled));
  return filled;
}

constexpr std::uint64_t kRest = std::numeric_limits<std::uint64_t>::max();  // of a stream

struct Half {
  Dataset data;
  std::size_t samples;  ///< of the files
};

/// `train`: only the rows that request.deal keeps. `groups`: the file that names theirs, if any.
Half load_half(const std::string& directory, const std::string& half, const IdxDataset& set,
               const DatasetRequest& request, bool train, const std::string& groups) {
  if (std::error_code ignored; !std::filesystem::is_directory(directory, ignored))
    throw Error("there is no directory '" + directory + "'; " + set.advice);
  const std::string images_path = find_idx(directory, half + "-images-idx3-ubyte", set.advice);
  const std::string labels_path = find_idx(directory, half + "-labels-idx1-ubyte", set.advice);
  Dataset labels(0, set.classes, std::vector<float>(),
                 parse_idx_labels(read_file(labels_path, set.advice), set.classes, labels_path));
  const std::size_t samples = labels.size();
  name_groups(groups, labels_path, request, labels);
  std::vector<std::int32_t> kept;
  const bool dealt = train && request.deal;
  if (dealt) kept = request.deal(labels), labels = labels.subset(kept);
  IdxImages images = read_idx_images(*request.open(images_path, set.advice), images_path, kept, samples);
  if (images.count != samples)
    fail(labels_path, "it has " + std::to_string(samples) + " labels for " + std::to_string(images.count) + " images");
  Dataset data(images.height * images.width, set.classes, std::move(images.pixels), {{set.mean, set.deviation}},
               labels.labels());
  data.columns = labels.columns;
  data.image = {1, images.height, images.width};
  if (dealt) data.number_samples(std::move(kept));
  return {std::move(data), samples};
}

}  // namespace

IdxImages read_idx_images(ByteStream& stream, const std::string& path, const std::vector<std::int32_t>& rows,
                          std::size_t expected) {
  constexpr std::size_t kHeader = 16;
  Bytes header(kHeader);
  header.resize(fill(stream, header));
  const std::uint64_t count = check_header(header, kImagesMagic, kHeader / 4, path);
  const std::uint64_t height = word(header, 2), width = word(header, 3), pixels = height * width;
  // Two 32-bit factors cannot overflow 64 bits; the third comes in only after the first two are known to be small.
  if (pixels == 0 || pixels > kMostPixels)
    fail(path, "its header claims images of " + std::to_string(height) + " x " + std::to_string(width) + " pixels");
  IdxImages images{static_cast<std::size_t>(count), static_cast<int>(height), static_cast<int>(width), {}};
  if (expected != 0 && count != expected) {
    check_length(kHeader + stream.skip(kRest), kHeader + count * pixels, path);
    return images;  // the caller says so
  }

  const bool all = rows.empty();
  std::uint64_t found = kHeader, at = 0;
  const std::size_t wanted = all ? static_cast<std::size_t>(count) : rows.size();
  const auto row = [&](std::size_t n) { return all ? n : static_cast<std::uint64_t>(rows[n]); };
  for (std::size_t n = 0; n < wanted;) {  // as many neighbours at a time as make a good piece
    std::size_t run = 1;
    while (n + run < wanted && row(n + run) == row(n) + run && (run + 1) * pixels <= kPiece) ++run;
    found += stream.skip((row(n) - at) * pixels);
    const std::size_t held = images.pixels.size();
    images.pixels.resize(held + run * pixels);
    const std::size_t got = fill(stream, std::span(images.pixels).subspan(held));
    found += got;
    if (got < run * pixels) break;
    // A header can claim any size: until there is a piece of it, and the number of images is known, memory grows only
    // with what is there.
    if (n == 0 && expected != 0) images.pixels.reserve(wanted * pixels);
    at = row(n) + run, n += run;
  }
  found += stream.skip(kRest);
  check_length(found, kHeader + count * pixels, path);
  return images;
}

IdxImages parse_idx_images(const Bytes& content, const std::string& path) {
  return read_idx_images(*memory_stream(content), path);
}

std::vector<std::int32_t> parse_idx_labels(const Bytes& content, int classes, const std::string& path) {
  constexpr std::size_t kHeader = 8;
  const std::uint64_t count = check_header(content, kLabelsMagic, kHeader / 4, path);
  check_length(content.size(), kHeader + count, path);
  std::vector<std::int32_t> labels(content.begin() + kHeader, content.end());
  for (std::size_t n = 0; n < labels.size(); ++n)
    if (labels[n] >= classes)
      fail(path, "label " + std::to_string(labels[n]) + " of sample " + std::to_string(n) + " (byte " +
                     std::to_string(kHeader + n) + ") is outside 0 .. " + std::to_string(classes - 1));
  return labels;
}

TrainTest load_idx_directory(const std::string& directory, const DatasetRequest& request, Params& params,
                             const IdxDataset& set) {
  const std::string groups = read_groups_path(params);
  const std::string& tested = request.test.empty() ? directory : request.test;
  Half train = load_half(directory, "train", set, request, true, groups);
  TrainTest loaded{std::move(train.data), load_half(tested, "t10k", set, request, false, "").data};
  const ImageShape &ours = loaded.train.image, &theirs = loaded.test.image;
  if (ours.height != theirs.height || ours.width != theirs.width)
    fail(tested, "its training images have " + std::to_string(ours.height) + " x " + std::to_string(ours.width) +
                     " pixels and its test images " + std::to_string(theirs.height) + " x " +
                     std::to_string(theirs.width));
  loaded.source = directory;
  loaded.train_samples = train.samples;
  loaded.dealt = static_cast<bool>(request.deal);
  return loaded;
}

}  // namespace ecl
