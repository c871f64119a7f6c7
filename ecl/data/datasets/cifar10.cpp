// CIFAR-10: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; the binary version: six files of
// records of one byte for the label, then 1,024 for red, 1,024 for green, 1,024 for blue, row by row.
#include <algorithm>
#include <filesystem>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/gzip.hpp"
#include "ecl/contracts/dataset.hpp"
#include "ecl/data/datasets/table.hpp"

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

/// Calls use(label, pixels) for each record of the files, one file after the other.
template <class Use>
void each_record(const DatasetRequest& request, const fs::path& directory, const std::vector<std::string>& names,
                 Use use) {
  Bytes block(kRecord * 64);
  for (const std::string& name : names) {
    const std::string path = (directory / name).string();
    const auto stream = request.open(path, kAdvice);
    std::size_t held = 0, seen = 0;
    while (const std::size_t got = stream->read(std::span(block).subspan(held))) {
      held += got, seen += got;
      std::size_t at = 0;
      for (; at + kRecord <= held; at += kRecord) {
        const std::size_t place = seen - held + at;
        if (block[at] >= kClasses)
          fail(path, "label " + std::to_string(block[at]) + " of record " + std::to_string(place / kRecord) +
                         " (byte " + std::to_string(place) + ") is outside 0 .. " + std::to_string(kClasses - 1));
        use(block[at], std::span(block).subspan(at + 1, kPixels));
      }
      std::copy(block.begin() + static_cast<std::ptrdiff_t>(at), block.begin() + static_cast<std::ptrdiff_t>(held),
                block.begin());
      held -= at;
    }
    if (seen == 0 || held != 0)
      fail(path, "its " + std::to_string(seen) + " bytes are not one or more records of " + std::to_string(kRecord) +
                     " bytes");
  }
}

Dataset to_pictures(Bytes pixels, std::vector<std::int32_t> labels) {
  // Of value / 255 over all pixels of the 50,000 training pictures, by channel.
  const std::vector<Normalisation> channels = {{0.4914f, 0.2470f}, {0.4822f, 0.2435f}, {0.4465f, 0.2616f}};
  Dataset data(kPixels, kClasses, std::move(pixels), channels, std::move(labels));
  data.image = kImage;
  return data;
}

/// The pictures of the files that `rows` names, ascending, of all `labels`.
Dataset load_rows(const DatasetRequest& request, const fs::path& directory, const std::vector<std::string>& names,
                  const std::vector<std::int32_t>& labels, const std::vector<std::int32_t>& rows) {
  Bytes pixels;
  pixels.reserve(rows.size() * kPixels);
  std::vector<std::int32_t> kept;
  std::int32_t row = 0;
  each_record(request, directory, names, [&](std::uint8_t, std::span<const std::uint8_t> picture) {
    if (kept.size() == rows.size() || rows[kept.size()] != row++) return;
    pixels.insert(pixels.end(), picture.begin(), picture.end());
    kept.push_back(labels[row - 1]);
  });
  return to_pictures(std::move(pixels), std::move(kept));
}

std::vector<std::int32_t> load_labels(const DatasetRequest& request, const fs::path& directory,
                                      const std::vector<std::string>& names) {
  std::vector<std::int32_t> labels;
  each_record(request, directory, names,
              [&](std::uint8_t label, std::span<const std::uint8_t>) { labels.push_back(label); });
  return labels;
}

}  // namespace

TrainTest make_cifar10(const DatasetRequest& request, Params& params) {
  const std::string groups = read_groups_path(params);
  const fs::path directory = find_files(request.data);
  const fs::path tested = request.test.empty() ? directory : find_files(request.test);
  const std::vector<std::string> batches = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                            "data_batch_4.bin", "data_batch_5.bin"};
  const std::vector<std::string> test_batch = {"test_batch.bin"};
  const std::vector<std::int32_t> labels = load_labels(request, directory, batches),
                                  test_labels = load_labels(request, tested, test_batch);
  Dataset all(0, kClasses, std::vector<float>(), labels);
  name_groups(groups, directory.string(), request, all);
  std::vector<std::int32_t> rows = request.deal ? request.deal(all) : all_rows(labels.size());
  TrainTest data{load_rows(request, directory, batches, labels, rows),
                 load_rows(request, tested, test_batch, test_labels, all_rows(test_labels.size())), request.data};
  data.train.columns = all.subset(rows).columns;
  data.train_samples = labels.size();
  data.dealt = static_cast<bool>(request.deal);
  if (data.dealt) data.train.number_samples(std::move(rows));
  return data;
}

}  // namespace ecl
