// Loaders: good files, each way in which a file can be bad, and random damage; synthetic sets by their statistics.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <numeric>
#include <set>
#include <unistd.h>
#include <zlib.h>

#include "ecl/base/check.hpp"
#include "ecl/base/gzip.hpp"
#include "ecl/base/random.hpp"
#include "ecl/contracts/dataset.hpp"
#include "ecl/data/datasets/idx.hpp"

namespace ecl {
namespace {

namespace fs = std::filesystem;

/// A directory of its own that is removed at the end.
class Files : public testing::Test {
 protected:
  Files() {
    std::string pattern = (fs::temp_directory_path() / "ecl_datasets_XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary directory");
    directory_ = pattern;
  }
  ~Files() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  std::string write(const std::string& name, const std::string& content) const {
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }
  TrainTest load(const std::string& choice, const std::string& where, std::uint64_t seed = 1) const {
    return load_dataset(Choice::parse(choice), {where, 4, seed});
  }
  /// The error of loading, as "code: message"; "" if it loads.
  std::string error(const std::string& choice, const std::string& where) const {
    return error_of([&] { load(choice, where); });
  }
  static std::string error_of(const std::function<void()>& act) {
    try {
      act();
    } catch (const Error& error) {
      return std::to_string(static_cast<int>(error.code())) + ": " + error.what();
    }
    return "";
  }

  fs::path directory_;
};

#define EXPECT_HAS(text, part) EXPECT_NE(std::string(text).find(part), std::string::npos) << (text)

std::string gzip(const std::string& content) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, content.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string big_endian(std::uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 255);
  return text;
}

std::string idx_images(std::uint32_t count, std::uint32_t height, std::uint32_t width) {
  std::string file = big_endian(0x803) + big_endian(count) + big_endian(height) + big_endian(width);
  for (std::uint32_t n = 0; n < count * height * width; ++n) file += static_cast<char>(n % 251);
  return file;
}

std::string idx_labels(std::uint32_t count) {
  std::string file = big_endian(0x801) + big_endian(count);
  for (std::uint32_t n = 0; n < count; ++n) file += static_cast<char>(n % 10);
  return file;
}

Bytes bytes(const std::string& text) { return Bytes(text.begin(), text.end()); }

std::vector<float> row(const Dataset& data, std::size_t n) {
  std::vector<float> values(data.features());
  data.gather(n, 1, values.data());
  return values;
}

std::vector<float> all_values(const Dataset& data) {
  std::vector<float> values(data.size() * data.features());
  data.gather(0, data.size(), values.data());
  return values;
}

/// A copy of `text` with a few random changes: bytes set, cut out, doubled, or the end lost.
std::string damaged(std::string text, Random& random) {
  static const std::string nasty = "0123456789,:;.-+eE \n\r\t\"#nai?\xff";
  for (std::uint64_t change = random.below(4) + 1; change > 0 && !text.empty(); --change) {
    const std::size_t at = random.below(text.size());
    switch (random.below(5)) {
      case 0:
        text[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        text[at] = nasty[random.below(nasty.size())];
        break;
      case 2:
        text.erase(at, random.below(8));
        break;
      case 3:
        text.insert(at, text.substr(random.below(text.size()), random.below(8)));
        break;
      default:
        if (random.below(4) == 0) text.resize(at);
    }
  }
  return text;
}

std::string random_text(Random& random, std::size_t longest) {
  std::string text(random.below(longest), '\0');
  for (char& letter : text) letter = static_cast<char>(random.below(256));
  return text;
}

// ---- gzip

TEST_F(Files, ReadsPlainAndGzip) {
  const std::string content(300'000, 'x');
  EXPECT_EQ(read_file(write("plain", content)), bytes(content));
  EXPECT_EQ(read_file(write("packed", gzip(content))), bytes(content));
  EXPECT_EQ(read_file(write("two", gzip("ab") + gzip("cd"))), bytes("abcd"));
  EXPECT_EQ(read_file(write("padded", gzip("ab") + std::string(100, '\0'))), bytes("ab"));
  EXPECT_TRUE(read_file(write("empty", "")).empty());
}

TEST_F(Files, GzipTruncatedAtEveryByteIsAnIoError) {
  std::string content;
  for (int n = 0; n < 200; ++n) content += std::to_string(n * n);
  const std::string packed = gzip(content);
  for (std::size_t size = 2; size < packed.size(); ++size) {
    const std::string what = error_of([&] { gunzip(bytes(packed.substr(0, size)), "cut"); });
    EXPECT_HAS(what, "5: 'cut' is truncated");
  }
}

TEST_F(Files, GzipDamageIsAnIoError) {
  std::string packed = gzip("some content that is long enough to be worth packing, packing, packing");
  packed[packed.size() - 6] ^= 1;  // the checksum
  EXPECT_HAS(error_of([&] { read_file(write("checksum.gz", packed)); }), "5: '" + path("checksum.gz") + "' is damaged");
  EXPECT_HAS(error_of([&] { read_file(write("tail.gz", gzip("ab") + "tail")); }), "4 bytes follow");
}

TEST_F(Files, MissingFileIsAUsageErrorWithAdvice) {
  EXPECT_EQ(error_of([&] { read_file(path("none"), "do this"); }),
            "2: there is no file '" + path("none") + "'; do this");
  EXPECT_HAS(error_of([&] { read_file(directory_.string()); }), "is a directory");
}

TEST_F(Files, GzipRandomDamageNeverCrashes) {
  Random random(1, Purpose::test);
  const std::string packed = gzip(idx_labels(500));
  int loaded = 0, refused = 0;
  for (int n = 0; n < 500; ++n) {
    const std::string file = n % 4 ? damaged(packed, random) : "\x1f\x8b" + random_text(random, 300);
    error_of([&] { gunzip(bytes(file), "x"); }).empty() ? ++loaded : ++refused;
  }
  EXPECT_GT(refused, 400);
}

// ---- IDX

class Idx : public Files {
 protected:
  Idx() {
    write("train-images-idx3-ubyte", idx_images(20, 4, 3));
    write("train-labels-idx1-ubyte", idx_labels(20));
    write("t10k-images-idx3-ubyte", idx_images(10, 4, 3));
    write("t10k-labels-idx1-ubyte", idx_labels(10));
  }
  std::string mnist_error() const { return error("mnist", directory_.string()); }
};

TEST_F(Idx, LoadsPlainAndGzip) {
  for (const bool packed : {false, true}) {
    if (packed) {
      fs::remove(path("train-images-idx3-ubyte"));
      write("train-images-idx3-ubyte.gz", gzip(idx_images(20, 4, 3)));
    }
    const TrainTest set = load("mnist", directory_.string());
    EXPECT_EQ(set.train.size(), 20u);
    EXPECT_EQ(set.test.size(), 10u);
    EXPECT_EQ(set.train.features(), 12);
    EXPECT_EQ(set.train.classes(), 10);
    EXPECT_EQ(set.train.labels()[13], 3);
    EXPECT_NEAR(row(set.train, 1)[0], (12 / 255.0 - 0.1307) / 0.3081, 1e-5);
  }
}

TEST_F(Idx, MissingThingsAreUsageErrors) {
  EXPECT_HAS(error("mnist", ""), "2: dataset mnist");
  EXPECT_HAS(error("mnist", path("nowhere")), "2: there is no directory");
  EXPECT_HAS(error("fashion-mnist", path("nowhere")), "dataset-fashion-mnist");
  EXPECT_HAS(error("fashion-mnist", path("nowhere")), "--data");
  fs::remove(path("t10k-labels-idx1-ubyte"));
  EXPECT_HAS(mnist_error(), "2: there is no file '" + path("t10k-labels-idx1-ubyte"));
}

TEST_F(Idx, WrongLengthNamesBothNumbers) {
  const std::string good = idx_images(20, 4, 3);
  write("train-images-idx3-ubyte", good.substr(0, 200));
  EXPECT_HAS(mnist_error(), "should hold 256 bytes and holds 200");
  write("train-images-idx3-ubyte", good + "x");
  EXPECT_HAS(mnist_error(), "5: '" + path("train-images-idx3-ubyte"));
  EXPECT_HAS(mnist_error(), "should hold 256 bytes and holds 257");
  write("train-images-idx3-ubyte", good.substr(0, 9));
  EXPECT_HAS(mnist_error(), "header should hold 16 bytes and the file holds 9");
  write("train-images-idx3-ubyte", "");
  EXPECT_HAS(mnist_error(), "the file holds 0");
}

TEST_F(Idx, WrongMagicSizesAndLabelsAreIoErrors) {
  write("train-images-idx3-ubyte", idx_labels(20) + std::string(20, '\0'));
  EXPECT_HAS(mnist_error(), "0x00000803 and starts with 0x00000801");
  write("train-images-idx3-ubyte", idx_images(0, 4, 3));
  EXPECT_HAS(mnist_error(), "claims 0 samples");
  write("train-images-idx3-ubyte", idx_images(20, 0, 3));
  EXPECT_HAS(mnist_error(), "0 x 3 pixels");
  const std::string most = big_endian(0xffffffff);
  write("train-images-idx3-ubyte", big_endian(0x803) + big_endian(20) + most + most);
  EXPECT_HAS(mnist_error(), "4294967295 x 4294967295");
  write("train-images-idx3-ubyte", big_endian(0x803) + big_endian(0x7fffffff) + big_endian(1000) + big_endian(1000));
  EXPECT_HAS(mnist_error(), "should hold 2147483647000016 bytes");
  write("train-images-idx3-ubyte", idx_images(19, 4, 3));
  EXPECT_HAS(mnist_error(), "20 labels for 19 images");
  write("train-images-idx3-ubyte", idx_images(20, 3, 4));
  EXPECT_HAS(mnist_error(), "its training images have 3 x 4 pixels and its test images 4 x 3");
  std::string labels = idx_labels(20);
  labels[8 + 7] = 10;
  write("train-labels-idx1-ubyte", labels);
  EXPECT_HAS(mnist_error(), "label 10 of sample 7 (byte 15) is outside 0 .. 9");
}

TEST_F(Idx, RandomDamageNeverCrashes) {
  Random random(2, Purpose::test);
  int refused = 0;
  for (int n = 0; n < 600; ++n) {
    const std::string images = n % 3 ? damaged(idx_images(5, 4, 3), random) : random_text(random, 200);
    const std::string labels = n % 3 ? damaged(idx_labels(30), random) : big_endian(0x801) + random_text(random, 60);
    refused += !error_of([&] { parse_idx_images(bytes(images), "images"); }).empty();
    refused += !error_of([&] {
                  for (const std::int32_t label : parse_idx_labels(bytes(labels), 10, "labels"))
                    EXPECT_TRUE(label >= 0 && label < 10);
                }).empty();
  }
  EXPECT_GT(refused, 600);
  EXPECT_LT(refused, 1200);  // some damage hits only pixels
}

TEST(FashionMnist, LoadsTheDebianPackageIfInstalled) {
  if (!fs::exists("/usr/share/datasets/fashion-mnist")) GTEST_SKIP() << "package dataset-fashion-mnist not installed";
  const TrainTest set = load_dataset(Choice::parse("fashion-mnist"), {"", 4, 1});
  EXPECT_EQ(set.train.size(), 60'000u);
  EXPECT_EQ(set.test.size(), 10'000u);
  EXPECT_EQ(set.train.features(), 784);
  std::vector<float> values(784 * 10'000);
  set.train.gather(0, 10'000, values.data());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  EXPECT_NEAR(mean, 0, 0.02);
}

// ---- CIFAR-10

constexpr std::size_t kCifarRecord = 3073;

/// Records whose red is 10, green 20 and blue 30, but for the first pixel of each plane; labels count up from `label`.
std::string cifar_records(int count, int label) {
  std::string file;
  for (int n = 0; n < count; ++n) {
    file += static_cast<char>((label + n) % 10);
    for (const int channel : {1, 2, 3}) file += static_cast<char>(channel) + std::string(1023, char(10 * channel));
  }
  return file;
}

class Cifar : public Files {
 protected:
  Cifar() {
    for (int n = 1; n <= 5; ++n) write("data_batch_" + std::to_string(n) + ".bin", cifar_records(2, n));
    write("test_batch.bin", cifar_records(3, 7));
  }
  std::string cifar_error() const { return error("cifar10", directory_.string()); }
};

TEST_F(Cifar, LoadsPicturesChannelByChannel) {
  const TrainTest set = load("cifar10", directory_.string());
  EXPECT_EQ(set.train.labels(), (std::vector<std::int32_t>{1, 2, 2, 3, 3, 4, 4, 5, 5, 6}));
  EXPECT_EQ(set.test.labels(), (std::vector<std::int32_t>{7, 8, 9}));
  EXPECT_EQ(set.train.classes(), 10);
  EXPECT_EQ(set.train.image.channels, 3);
  EXPECT_EQ(set.train.image.height, 32);
  EXPECT_EQ(set.train.image.width, 32);
  EXPECT_EQ(set.test.image.channels, 3);
  const double means[] = {0.4914, 0.4822, 0.4465}, deviations[] = {0.2470, 0.2435, 0.2616};
  const std::vector<std::int32_t> last_two = {8, 9};
  for (const Dataset& data : {set.train, set.test, set.train.subset(last_two)})
    for (std::size_t n = 0; n < data.size(); ++n)
      for (int c = 0; c < 3; ++c) {
        const std::vector<float> values = row(data, n);
        const auto value = [&](double byte) { return (byte / 255 - means[c]) / deviations[c]; };
        EXPECT_NEAR(values[1024 * c], value(c + 1), 1e-5);
        EXPECT_NEAR(values[1024 * c + 1], value(10 * (c + 1)), 1e-5);
        EXPECT_NEAR(values[1024 * c + 1023], value(10 * (c + 1)), 1e-5);
        EXPECT_NEAR(data.black(1024 * c), value(0), 1e-5);
        EXPECT_NEAR(data.black(1024 * c + 1023), value(0), 1e-5);
      }
}

TEST_F(Cifar, IsFoundWhereTheArchivePutsIt) {
  const TrainTest set = load("cifar10", directory_.string());
  fs::create_directory(path("cifar-10-batches-bin"));
  for (const auto& entry : std::vector<fs::directory_entry>{fs::directory_iterator(directory_), {}})
    if (entry.is_regular_file())
      fs::rename(entry.path(), directory_ / "cifar-10-batches-bin" / entry.path().filename());
  EXPECT_EQ(load("cifar10", directory_.string()).train.checksum(), set.train.checksum());
}

TEST(CifarItself, IsNormalisedChannelByChannelIfFetched) {
  const fs::path fetched = fs::path(ECL_SOURCE_DIR) / "data/cifar10";  // by scripts/fetch-data cifar10
  if (!fs::exists(fetched)) GTEST_SKIP() << fetched << " is not there";
  const TrainTest set = load_dataset(Choice::parse("cifar10"), {fetched, 4, 1});
  EXPECT_EQ(set.train.size(), 50'000u);
  EXPECT_EQ(set.test.size(), 10'000u);
  for (int c = 0; c < 3; ++c) {
    double sum = 0, squares = 0;
    for (std::size_t n = 0; n < set.train.size(); ++n) {
      const std::vector<float> values = row(set.train, n);
      for (int f = 1024 * c; f < 1024 * (c + 1); ++f) sum += values[f], squares += values[f] * values[f];
    }
    const double count = 50'000.0 * 1024;
    EXPECT_NEAR(sum / count, 0, 3e-4);  // the digits that the means and deviations are given in
    EXPECT_NEAR(squares / count, 1, 1e-3);
  }
}

TEST_F(Cifar, MissingThingsAreUsageErrorsThatSayWhatToDo) {
  EXPECT_HAS(error("cifar10", ""), "2: dataset cifar10: no directory is given; get it with scripts/fetch-data cifar10");
  EXPECT_HAS(error("cifar10", path("nowhere")), "2: there is no directory");
  fs::remove(path("data_batch_4.bin"));
  EXPECT_HAS(cifar_error(), "2: there is no file '" + path("data_batch_4.bin") + "'; get it with scripts/fetch-data");
  EXPECT_HAS(cifar_error(), "--data");
}

TEST_F(Cifar, DamageNamesFileAndPlace) {
  const std::string file = path("data_batch_2.bin"), good = cifar_records(2, 1);
  for (const std::string& bad : {good + "x", good.substr(0, good.size() - 1), std::string()}) {
    write("data_batch_2.bin", bad);
    EXPECT_HAS(cifar_error(), "5: '" + file + "' is damaged or not a CIFAR-10 file: its " + std::to_string(bad.size()) +
                                  " bytes are not one or more records of 3073 bytes");
  }
  std::string bad = good;
  bad[kCifarRecord] = 10;
  write("data_batch_2.bin", bad);
  EXPECT_HAS(cifar_error(), "5: '" + file + "' is damaged");
  EXPECT_HAS(cifar_error(), "label 10 of record 1 (byte 3073) is outside 0 .. 9");
}

// ---- digits

TEST(Digits, IsTheWholeEmbeddedSet) {
  const TrainTest set = load_dataset(Choice::parse("digits"), {"", 4, 1});
  EXPECT_EQ(set.train.size(), 1438u);
  EXPECT_EQ(set.test.size(), 359u);
  EXPECT_EQ(set.train.features(), 64);
  EXPECT_EQ(set.train.classes(), 10);
  EXPECT_EQ(std::set<int>(set.test.labels().begin(), set.test.labels().end()).size(), 10u);
  EXPECT_NEAR(row(set.train, 0)[2], (5 / 16.0 - 0.3053) / 0.3760, 1e-5);  // the file's first line is 0,0,5,13,...
  double sum = 0, squares = 0;
  for (const float value : all_values(set.train)) sum += value, squares += value * value;
  const double count = 1438.0 * 64;
  EXPECT_NEAR(sum / count, 0, 0.01);
  EXPECT_NEAR(squares / count, 1, 0.01);
}

TEST(Dataset, ASampleKeepsItsNumberInSubsets) {
  const Dataset all(1, 2, std::vector<float>{0, 1, 2, 3, 4}, {0, 1, 0, 1, 0});
  EXPECT_EQ(all.number(3), 3);
  const std::vector<std::int32_t> some = {4, 1, 3}, last = {2, 0};
  const Dataset part = all.subset(some).subset(last);
  EXPECT_EQ(part.number(0), 3);
  EXPECT_EQ(part.number(1), 4);
  EXPECT_EQ(part.black(0), 0);
}

// ---- csv

std::string small_csv() {
  std::string text = "height,width,school,kind\n";
  for (int n = 0; n < 20; ++n)
    text += std::to_string(n * 0.5) + "," + std::to_string(100 - n * n) + ",s" + std::to_string(n % 4) + "," +
            (n % 2 ? "yes" : "no") + "\n";
  return text;
}

TEST_F(Files, CsvReadsHeaderLabelsAndGroups) {
  write("table.csv", small_csv());
  const TrainTest set = load("csv:group=school,test-by=row", directory_.string());
  EXPECT_EQ(set.train.size(), 16u);
  EXPECT_EQ(set.test.size(), 4u);
  EXPECT_EQ(set.train.features(), 2);
  EXPECT_EQ(set.train.classes(), 2);
  ASSERT_EQ(set.train.columns.count("school"), 1u);
  for (std::size_t n = 0; n < 16; ++n)  // "no" is class 0 and even rows; odd rows are in schools 1 and 3
    EXPECT_EQ(set.train.labels()[n], set.train.columns.at("school")[n] % 2);
  for (int f = 0; f < 2; ++f) {
    double sum = 0, squares = 0;
    for (std::size_t n = 0; n < 16; ++n) sum += row(set.train, n)[f], squares += std::pow(row(set.train, n)[f], 2);
    EXPECT_NEAR(sum, 0, 1e-4);
    EXPECT_NEAR(squares / 16, 1, 1e-4);
  }
}

TEST_F(Files, CsvGroupsGoWholeToTheTest) {
  const std::string file = write("table.csv", small_csv());
  std::set<std::string> tested;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const TrainTest set = load("csv:kind,group=school,test=0.3", file, seed);
    EXPECT_EQ(set.groups_to_test, 1u);  // of 4
    EXPECT_EQ(set.test.size(), 5u);
    const auto &train = set.train.columns.at("school"), &test = set.test.columns.at("school");
    for (const std::int32_t school : test) {
      EXPECT_EQ(school, test[0]);
      EXPECT_EQ(std::count(train.begin(), train.end(), school), 0);
    }
    tested.insert(std::to_string(test[0]));
  }
  EXPECT_EQ(tested.size(), 4u) << "the draw does not follow the seed";
  EXPECT_HAS(error("csv:kind,test-by=group", file), "needs a group column");
  EXPECT_HAS(error("csv:kind,group=school,test-by=school", file), "it is group or row");
  const std::string one = write("one.csv", "a,site,kind\n1,s,yes\n2,s,no\n3,s,no\n");
  EXPECT_HAS(error("csv:kind,group=site", one), "one group");
  EXPECT_HAS(error("csv:kind,group=site", one), "test-by=row");
}

TEST_F(Files, CsvSplitDependsOnTheSeedAlone) {
  const std::string file = write("table.csv.gz", gzip(small_csv()));
  const auto values = [&](std::uint64_t seed) {
    return all_values(load("csv:kind,group=school,test-by=row,standardise=0", file, seed).test);
  };
  EXPECT_EQ(values(1), values(1));
  EXPECT_NE(values(1), values(2));
  EXPECT_EQ(load("csv:group=school,test-by=row,test=0.5", directory_.string()).test.size(), 10u);
}

TEST_F(Files, CsvVariants) {
  const auto train = [&](const std::string& text, const std::string& choice = "csv:standardise=0,test=0.001") {
    return load(choice, write("v.csv", text)).train;
  };
  EXPECT_EQ(train("1,2,a\n3,4,b\n5,6,a\n").size(), 2u) << "no header, text labels";
  EXPECT_EQ(train("0,1,label\n1,2,7\n3,4,8\n5,6,7\n").size(), 2u) << "a header of numbers and one name";
  EXPECT_EQ(train("\xEF\xBB\xBFx;y\r\n1;2\r\n\r\n3;4\r\n5;2\r\n").features(), 1)
      << "mark, semicolons, CRLF, blank line";
  EXPECT_EQ(train("\"a, b\",c,\"k\"\n1,2,\"x, y\"\n3,4,\"z\"\n5,6,z").features(), 2) << "quotes, no end of last line";
  EXPECT_EQ(train("7,1,2\n8,3,4\n7,+5,6\n", "csv:label=1,standardise=0").classes(), 2);
  const Dataset constant = train("1,5,a\n1,6,b\n1,7,a\n1,8,b\n", "csv:test=0.25");
  for (std::size_t n = 0; n < constant.size(); ++n) EXPECT_EQ(row(constant, n)[0], 0) << "a constant feature";
  const Dataset numeric = train("1,10\n1,9\n1,10\n1,9\n1,10\n1,9\n");
  for (std::size_t n = 0; n < numeric.size(); ++n) EXPECT_TRUE(numeric.labels()[n] == 0 || numeric.labels()[n] == 1);
  EXPECT_THROW(train("a,b\n1,10\n1,9\n", "csv:unknown=1"), Error);
}

TEST_F(Files, CsvErrorsNameThePlace) {
  const auto says = [&](const std::string& text, const std::string& choice = "csv") {
    return error(choice, write("bad.csv", text));
  };
  const std::string place = "5: " + path("bad.csv");
  EXPECT_HAS(says(""), "5: '" + path("bad.csv") + "' is empty");
  EXPECT_HAS(says("\n\n"), "is empty");
  EXPECT_HAS(says("a,b\n"), "has a header and no samples");
  EXPECT_HAS(says("a,b\n1,0\n1\n"), place + ":3:1: this line has 1 columns and the first line has 2");
  EXPECT_HAS(says("a,b\n1,0\n1,2,3\n"), "has 3 columns");
  EXPECT_HAS(says("1,2,0\n1,x,1\n"), place + ":2:3: 'x' is not a number");
  EXPECT_HAS(says("1,2,0\n1,nan,1\n"), ":2:3: a value is missing");
  EXPECT_HAS(says("1,2,0\n1,-inf,1\n"), "'-inf' is not a finite number");
  EXPECT_HAS(says("1,2,0\n1,1e39,1\n"), "'1e39' is not a finite number");
  EXPECT_HAS(says("1,2,0\n1,,1\n"), ":2:3: a value is missing");
  EXPECT_HAS(says("NA,2,0\n1,3,1\n"), ":1:1: a value is missing");
  EXPECT_HAS(says("1,2,0\n1,2,\n"), ":2:5: a label or group is missing");
  EXPECT_HAS(says("1,2,0\n1,2,nan\n"), ":2:5: a label or group is missing");
  EXPECT_HAS(says("1,2,0\n1,2,0\n"), "every sample has the same label, '0', and there is nothing to tell apart");
  EXPECT_HAS(says("1\n2\n"), "has one column");
  EXPECT_HAS(says("1,2,\"0\n"), ":1:5: a quote is not closed");
  EXPECT_HAS(says("aa,bb,cc\n1,2,3\n", "csv:label=bbb"), "2: dataset csv");
  EXPECT_HAS(says("aa,bb,cc\n1,2,3\n", "csv:label=bbb"), "did you mean 'bb'?");
  EXPECT_HAS(says("1,2,3\n", "csv:label=4"), "no column '4'");
  EXPECT_HAS(says("aa,bb,cc\n1,2,3\n", "csv:bb,group=bb"), "the same column");
  EXPECT_HAS(says("1,2\n", "csv:test=2"), "outside");
}

TEST_F(Files, TablesAreFoundInADirectoryIfThereIsOne) {
  EXPECT_HAS(error("csv", ""), "--data");
  EXPECT_HAS(error("csv", path("none.csv")), "2: there is no file");
  EXPECT_HAS(error("csv", directory_.string()), "holds no");
  write("a.csv", "1,0\n2,1\n");
  EXPECT_EQ(error("csv", directory_.string()), "");
  write("b.csv.gz", gzip("1,0\n2,1\n"));
  EXPECT_HAS(error("csv", directory_.string()), "holds 2 files");
}

TEST_F(Files, CsvRandomDamageNeverCrashes) {
  Random random(3, Purpose::test);
  int refused = 0;
  for (int n = 0; n < 400; ++n)
    refused +=
        !error("csv:group=3", write("f.csv", n % 4 ? damaged(small_csv(), random) : random_text(random, 300))).empty();
  EXPECT_GT(refused, 150);
  EXPECT_LT(refused, 400);  // a changed digit is no damage
}

// ---- libsvm

const char* const kLibsvm = "+1 1:0.5 3:2 # a comment\n-1 2:1e-1\n# nothing\n+1 1:1 2:2 4:-3\n-1\n";

TEST_F(Files, LibsvmReadsSparseRows) {
  const TrainTest set = load("libsvm:standardise=0,test=0.25", write("a.libsvm", kLibsvm));
  EXPECT_EQ(set.train.size() + set.test.size(), 4u);
  EXPECT_EQ(set.train.features(), 4);
  EXPECT_EQ(set.train.classes(), 2);
  write("a.libsvm.t", "-1 5:7\n+1 1:3\n");
  const TrainTest pair = load("libsvm:standardise=0", directory_.string());
  ASSERT_EQ(pair.train.size(), 4u);
  ASSERT_EQ(pair.test.size(), 2u);
  EXPECT_EQ(pair.train.labels(), (std::vector<std::int32_t>{1, 0, 1, 0}));
  EXPECT_EQ(pair.test.labels(), (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(row(pair.train, 0), (std::vector<float>{0.5f, 0, 2, 0, 0}));
  EXPECT_EQ(row(pair.train, 2), (std::vector<float>{1, 2, 0, -3, 0}));
  EXPECT_EQ(row(pair.test, 0), (std::vector<float>{0, 0, 0, 0, 7}));
}

TEST_F(Files, LibsvmErrorsNameThePlace) {
  const auto says = [&](const std::string& text) { return error("libsvm", write("bad.svm", text)); };
  const std::string place = "5: " + path("bad.svm");
  EXPECT_HAS(says(""), "is empty");
  EXPECT_HAS(says("1\n2\n"), "has no features");
  EXPECT_HAS(says("1 1:1\n2 0:5\n"), place + ":2:3: this file counts from 0: say libsvm:base=0");
  EXPECT_HAS(says("1 1:1\n2 1000001:5\n"), "index 1000001 is outside");
  EXPECT_HAS(says("1 99999999999999999999:1\n"), "is not a whole number");
  EXPECT_HAS(says("1 2:1 2:1\n"), ":1:7: index 2 follows 2; indices must ascend");
  EXPECT_HAS(says("1 2\n"), ":1:3: '2' is not index:value");
  EXPECT_HAS(says("1 2:\n2 1:1\n"), ":1:5: a value is missing");
  EXPECT_HAS(says("1 2:inf\n2 1:1\n"), "'inf' is not a finite number");
  EXPECT_HAS(says("cat 2:1\n"), ":1:1: 'cat' is not a number");
  EXPECT_HAS(says("nan 2:1\n"), ":1:1: the label is missing");
}

TEST_F(Files, LibsvmTooLargeToBeDenseIsRefusedBeforeMemoryIsTaken) {
  std::string text = "1 1000000:1\n";
  for (int n = 0; n < 3000; ++n) text += "0 1:1\n";
  EXPECT_HAS(error("libsvm:standardise=1", write("wide.svm", text)),
             "wide.svm' as 2401 rows of 1000000 numbers is too much to keep in memory");
  EXPECT_EQ(load("libsvm", path("wide.svm")).train.size(), 2401u) << "sparse it is small";
}

TEST_F(Files, LibsvmRandomDamageNeverCrashes) {
  Random random(4, Purpose::test);
  int refused = 0;
  for (int n = 0; n < 400; ++n)
    refused += !error("libsvm", write("f.svm", n % 4 ? damaged(kLibsvm, random) : random_text(random, 200))).empty();
  EXPECT_GT(refused, 150);
  EXPECT_LT(refused, 400);
}

// ---- made from the seed

TEST(Synthetic, HasTheShapeAndTheClassesAsked) {
  const auto load = [](const std::string& text, std::uint64_t seed) {
    return load_dataset(Choice::parse(text), {"", 4, seed});
  };
  const TrainTest set = load("synthetic:samples=1000,features=7,classes=3", 1);
  EXPECT_EQ(set.train.size(), 800u);
  EXPECT_EQ(set.test.size(), 200u);
  EXPECT_EQ(set.train.features(), 7);
  EXPECT_EQ(std::set<int>(set.test.labels().begin(), set.test.labels().end()).size(), 3u);
  EXPECT_EQ(all_values(set.train), all_values(load("synthetic:samples=1000,features=7,classes=3", 1).train));
  EXPECT_NE(all_values(set.train), all_values(load("synthetic:samples=1000,features=7,classes=3", 2).train));
  const TrainTest points = load("synthetic:samples=50,features=2,classes=5,spread=0", 1);
  EXPECT_EQ(row(points.train, 0), row(points.train, 5));
  EXPECT_EQ(row(points.train, 0), row(points.test, 0));
  EXPECT_NE(row(points.train, 0), row(points.train, 1));
}

TEST(Quadratic, KeepsItsLayout) {
  const auto load = [](const std::string& text, NodeId nodes) {
    return load_dataset(Choice::parse(text), {"", nodes, 3}).train;
  };
  const Dataset set = load("quadratic:dimension=6,condition=50", 5);
  EXPECT_EQ(set.size(), 5u);
  EXPECT_EQ(set.features(), 18);
  EXPECT_EQ(set.classes(), 0);
  for (std::size_t n = 0; n < set.size(); ++n) {
    const std::vector<float> values = row(set, n);
    EXPECT_EQ(values[0], 1);
    EXPECT_FLOAT_EQ(values[1], 1 / 50.0f);
    double length = 0;
    for (int j = 0; j < 6; ++j) {
      EXPECT_GE(values[j], 1 / 50.0f * 0.9999f);
      EXPECT_LE(values[j], 1);
      length += values[6 + j] * values[6 + j];
    }
    EXPECT_NEAR(length, 1, 1e-5);
  }
  EXPECT_EQ(row(set, 1), row(load("quadratic:dimension=6,condition=50", 2), 1)) << "a sample is its own stream";
  EXPECT_EQ(load("quadratic:samples=9,dimension=1", 2).size(), 9u);
  EXPECT_EQ(row(load("quadratic:2,heterogeneity=0", 1), 0)[4], 0);
  double squares = 0;
  const std::vector<float> wide = row(load("quadratic:dimension=4000,heterogeneity=5", 1), 0);
  for (int j = 0; j < 4000; ++j) squares += std::pow(wide[8000 + j] / 5, 2);
  EXPECT_NEAR(squares / 4000, 1, 0.1);
  EXPECT_THROW(load("quadratic:dimension=1000000,samples=1000", 1), Error);
  EXPECT_THROW(load("quadratic:dimension=0", 1), Error);
}

}  // namespace
}  // namespace ecl
