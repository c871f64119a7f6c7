// CIFAR-10: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; the binary version: six files of
// records of one byte for the label, then 1,024 for red, 1,024 for green, 1,024 for blue, row by row.
#include <filesystem>

#include "ecl/base/check.hpp"
#include "ecl/base/gzip.hpp"
#include "ecl/contracts/dataset.hpp"

namespace ecl {
namespace {

namespace fs = std::filesystem;

constexpr ImageShape kImage = {3, 32, 32};
constexpr int kClasses = 10;
constexpr std::size_t kPixels = std::size_t{3} * 32 * 32, kRecord = 1 + kPixels;

constexpr const char* kAdvice =
    "get it with scripts/fetch-data cifar10, and name the directory of data_batch_1.bin ... with --data";

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error("'" + path + "' is damaged or not a CIFAR-10 file: " + what, Exit::io);
}

/// Where the files are: the directory, or the one in it that the original archive makes.
fs::path find_files(const std::string& directory) {
  if (directory.empty()) throw Error(std::string("dataset cifar10: no directory is given; ") + kAdvice);
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) throw Error("there is no directory '" + directory + "'; " + kAdvice);
  const fs::path unpacked = fs::path(directory) / "cifar-10-batches-bin";
  return fs::is_directory(unpacked, ignored) ? unpacked : fs::path(directory);
}

/// Adds the records of the file `path` to `pixels` and `labels`.
void add_records(const Bytes& content, const std::string& path, Bytes& pixels, std::vector<std::int32_t>& labels) {
  if (content.empty() || content.size() % kRecord != 0)
    fail(path, "its " + std::to_string(content.size()) + " bytes are not one or more records of " +
                   std::to_string(kRecord) + " bytes");
  for (std::size_t at = 0; at < content.size(); at += kRecord) {
    if (content[at] >= kClasses)
      fail(path, "label " + std::to_string(content[at]) + " of record " + std::to_string(at / kRecord) + " (byte " +
                     std::to_string(at) + ") is outside 0 .. " + std::to_string(kClasses - 1));
    labels.push_back(content[at]);
    pixels.insert(pixels.end(), content.data() + at + 1, content.data() + at + kRecord);
  }
}

Dataset load_files(const fs::path& directory, const std::vector<std::string>& names) {
  Bytes pixels;
  std::vector<std::int32_t> labels;
  for (const std::string& name : names) {
    const std::string path = (directory / name).string();
    const Bytes content = read_file(path, kAdvice);
    if (pixels.empty()) pixels.reserve(names.size() * content.size());  // they are equally long
    add_records(content, path, pixels, labels);
  }
  // Of value / 255 over all pixels of the 50,000 training pictures, by channel.
  const std::vector<Normalisation> channels = {{0.4914f, 0.2470f}, {0.4822f, 0.2435f}, {0.4465f, 0.2616f}};
  Dataset data(kPixels, kClasses, std::move(pixels), channels, std::move(labels));
  data.image = kImage;
  return data;
}

}  // namespace

TrainTest make_cifar10(const DatasetRequest& request, Params&) {
  const fs::path directory = find_files(request.data);
  const fs::path tested = request.test.empty() ? directory : find_files(request.test);
  return {load_files(directory, {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                                 "data_batch_5.bin"}),
          load_files(tested, {"test_batch.bin"}), request.data};
}

}  // namespace ecl
