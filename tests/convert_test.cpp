// ecl convert, and training from a folder of NumPy's arrays that is not read into memory.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "ecl/base/npy.hpp"
#include "ecl/base/random.hpp"
#include "tests/support/command.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

class Convert : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (scratch_ / name).string(); }
  /// Rows of two features, of eleven groups and three kinds.
  void write_table(const std::string& name, int rows) const {
    Random random(8, Purpose::test);
    std::string text = "x,\"y, squared\",who,kind\n";
    for (int row = 0; row < rows; ++row) {
      const double x = random.uniform(), y = random.uniform();
      text += std::to_string(x) + "," + std::to_string(2 + y) + ",p" + std::to_string(row * 7 % 11) + "," +
              (x + y < 0.7   ? "low"
               : x + y < 1.2 ? "mid"
                             : "top") +
              "\n";
    }
    write_file(scratch_ / name, text);
  }
  void expect_converted(const std::string& options) const {
    const Outcome outcome = run(tool("convert " + options));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  void expect_refused(const std::string& options, int code, const std::string& part) const {
    const Outcome outcome = run(tool(options));
    EXPECT_EQ(outcome.exit_code, code) << outcome.out;
    EXPECT_EQ(count(outcome.err, "\n"), 1u) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  }
  std::string model_of(const std::vector<std::string>& command, const std::string& name) const {
    std::vector<std::string> words = command;
    words.insert(words.end(), {"--out", path(name)});
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return read_file(path(name) + "/model/model.safetensors");
  }
  void write_array(const std::string& name, const std::string& type, std::vector<std::size_t> shape,
                   const std::string& bytes) const {
    write_file(scratch_ / name, npy_header(type, shape) + bytes);
  }

  const Scratch scratch_;
};

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST_F(Convert, TrainsBitForBitAsTheTableDoes) {
  write_table("a.csv", 400);
  expect_converted("--dataset csv:group=who --data " + path("a.csv") + " --out " + path("a"));
  EXPECT_EQ(contents(scratch_ / "a"),
            (std::set<std::string>{"features.npy", "groups.npy", "labels.npy", "table.json"}));
  for (const char* partition : {"iid", "by-column:who", "classes:2"}) {
    for (const char* draw : {"test-by=group", "test-by=row,standardise=0"}) {
      const std::string common = std::string(" --quiet --mode lock-step --epochs 2 --batch 8 --partition ") + partition;
      const std::string name = std::string(partition) + draw;
      const std::string table = model_of(
          tool("simulate --nodes 3 --dataset csv:group=who," + std::string(draw) + " --data " + path("a.csv") + common),
          "csv " + name);
      const std::string folder = " --dataset npy:" + std::string(draw) + " --data " + path("a") + common;
      EXPECT_EQ(model_of(tool("simulate --nodes 3" + folder), "npy " + name), table);
      EXPECT_EQ(model_of(tool_on(3, "train" + folder), "ranks " + name), table);
    }
  }
  const Json inputs = Json::parse(read_file(path("npy iidtest-by=group") + "/model/model.json"));
  EXPECT_EQ(inputs["features"], Json({"x", "y, squared"}));
  EXPECT_EQ(inputs["classes"], Json({"low", "mid", "top"}));
  EXPECT_EQ(inputs["label"], "kind");
}

TEST_F(Convert, EverySiteMayHaveItsFolder) {
  for (const char* site : {"0", "1"}) {
    write_table(std::string(site) + ".csv", 50);
    expect_converted("--dataset csv:group=who --data " + path(std::string(site) + ".csv") + " --out " +
                     path("site" + std::string(site)));
  }
  EXPECT_FALSE(model_of(tool_on(2, "train --quiet --dataset npy --data " + path("site{node}")), "ranks").empty());
  write_file(scratch_ / "b.csv", "x,z,who,kind\n1,2,a,low\n3,4,b,mid\n5,6,c,top\n");
  fs::remove_all(scratch_ / "site1");
  expect_converted("--dataset csv:group=who --data " + path("b.csv") + " --out " + path("site1"));
  expect_refused("simulate --nodes 2 --dataset npy --data " + path("site{node}"), 2, "column 2 is 'z'");
}

/// The columns of the tables are the same, and not what was made of them.
TEST_F(Convert, FoldersOfOtherFeaturesOrLabelsAreNotMixed) {
  write_table("a.csv", 50);
  const auto convert = [&](const std::string& parameters, const std::string& folder) {
    fs::remove_all(scratch_ / folder);
    expect_converted("--dataset csv:" + parameters + " --data " + path("a.csv") + " --out " + path(folder));
  };
  const std::string sites = "simulate --nodes 2 --dataset npy --data " + path("site{node}"),
                    tested = "simulate --nodes 1 --dataset npy --data " + path("site0") + " --test " + path("site1");
  convert("ignore=who|2", "site0"), convert("ignore=who|x", "site1");
  expect_refused(sites, 2, "feature 1 is 'y, squared', and that of node 0");
  expect_refused(tested, 2, "was made with other features");
  convert("ignore=who,label=kind", "site0"), convert("ignore=kind,label=who", "site1");
  expect_refused(sites, 2, "has the label 'who', and node 0");
  expect_refused(tested, 2, "or another label");
}

TEST_F(Convert, LibsvmTooUnlessItIsSparse) {
  write_file(scratch_ / "a.svm", "1 1:0.5 3:2\n2 2:1\n1 1:4 2:5 3:6\n");
  expect_converted("--dataset libsvm --data " + path("a.svm") + " --out " + path("a"));
  const std::string file = read_file(path("a/features.npy"));
  EXPECT_EQ(file.substr(file.size() - 36), bytes_of<float>({0.5f, 0, 2, 0, 1, 0, 4, 5, 6}));
  write_file(scratch_ / "b.svm", "1 1:0.5 300:2\n2 2:1\n");
  expect_refused("convert --dataset libsvm --data " + path("b.svm") + " --out " + path("b"), 2, "is sparse");
  EXPECT_FALSE(fs::exists(scratch_ / "b"));
}

TEST_F(Convert, ArraysOfOnesOwnWork) {
  fs::create_directories(scratch_ / "own");
  std::vector<float> features;
  std::vector<std::int64_t> labels;
  for (int row = 0; row < 60; ++row) features.push_back(static_cast<float>(row % 2)), labels.push_back(10 - row % 2);
  write_array("own/features.npy", "<f4", {60, 1}, bytes_of(features));
  write_array("own/labels.npy", "<i8", {60}, bytes_of(labels));
  const std::string command = "simulate --nodes 2 --quiet --epochs 40 --dataset npy --data " + path("own");
  const Outcome outcome = run(tool(command + " --out " + path("run")));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(summary_of(path("run"))["test_accuracy_min"], 100);
  EXPECT_EQ(Json::parse(read_file(path("run/model/model.json")))["classes"], Json({"9", "10"}));

  features[7] = NAN;
  write_array("own/features.npy", "<f4", {60, 1}, bytes_of(features));
  expect_refused(command, 5, "features.npy'[7, 0]: a value is missing, NaN (1 cell in 1 row of the file)");
  write_array("own/labels.npy", "<i8", {59}, bytes_of(std::vector<std::int64_t>(59)));
  expect_refused(command, 5, "labels.npy' has 59 values, and features.npy beside it has 60 rows");
  write_array("own/features.npy", "<f4", {60, 2}, bytes_of(features));
  expect_refused(command, 5, "features.npy' is damaged: it should hold 608 bytes and holds 368");
  write_file(scratch_ / "own/features.npy", "PK");
  expect_refused(command, 5, "features.npy' is no array of NumPy");
  fs::remove(scratch_ / "own/features.npy");
  expect_refused(command, 2, "there is no file '" + path("own/features.npy") + "'");
}

TEST_F(Convert, DamagedFoldersAreNamed) {
  write_table("a.csv", 40);
  expect_converted("--dataset csv:group=who --data " + path("a.csv") + " --out " + path("a"));
  const std::string command = "simulate --nodes 2 --quiet --dataset npy --data " + path("a");
  const std::string table = read_file(path("a/table.json"));
  Json json = Json::parse(table);
  json["classes"] = {"low", "low", "top"};
  write_file(scratch_ / "a/table.json", json.dump());
  expect_refused(command, 5, "names two things alike");
  write_file(scratch_ / "a/table.json", table.substr(0, 30));
  expect_refused(command, 5, "is not as ecl convert writes it");
  write_file(scratch_ / "a/table.json", table);
  json = Json::parse(table);
  json["classes"] = {"low", "mid"};
  write_file(scratch_ / "a/table.json", json.dump());
  expect_refused(command, 5, "is 2, outside 0 .. 1, the names in table.json");
  write_file(scratch_ / "a/table.json", table);
  fs::remove(scratch_ / "a/features.npy");
  ASSERT_EQ(mkfifo(path("a/features.npy").c_str(), 0600), 0);
  expect_refused(command, 2, "features.npy' is no regular file");
}

TEST_F(Convert, ANumberThatIsNoneAtOneSiteEndsAll) {
  for (const char* site : {"site0", "site1"}) {
    fs::create_directories(scratch_ / site);
    std::vector<float> features(60, site[4] == '0' ? 1.0f : NAN);
    std::vector<std::int32_t> labels(60);
    for (int row = 0; row < 60; ++row) labels[row] = row % 2;
    write_array(std::string(site) + "/features.npy", "<f4", {60, 1}, bytes_of(features));
    write_array(std::string(site) + "/labels.npy", "<i4", {60}, bytes_of(labels));
  }
  for (const char* scaling : {"own", "1"}) {
    const Outcome outcome =
        run(tool_on(2, std::string("train --dataset npy:standardise=") + scaling + " --data " + path("site{node}")));
    EXPECT_FALSE(outcome.timed_out);
    EXPECT_EQ(outcome.exit_code, 5) << outcome.err;
    EXPECT_NE(outcome.err.find("/site1/features.npy'[0, 0]: a value is missing, NaN (60 cells in 60 rows"),
              std::string::npos)
        << outcome.err;
  }
}

TEST_F(Convert, WorksWithoutMpirun) {
  write_table("a.csv", 40);
  const Outcome outcome = run(tool_on(2, "convert --data " + path("a.csv") + " --out " + path("a")));
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_NE(outcome.err.find("start it without mpirun"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::exists(scratch_ / "a"));
}

TEST_F(Convert, TheNameOfTheFolderMayEndInASlash) {
  write_table("a.csv", 40);
  for (const char* out : {"a/", "b/c//"}) {
    const std::string options = "--dataset csv:group=who --data " + path("a.csv") + " --out " + path(out);
    expect_converted(options);
    EXPECT_TRUE(fs::exists(scratch_ / out / "labels.npy")) << out;
    expect_refused("convert " + options, 2, "something is there already");
  }
}

TEST_F(Convert, WhatIsRefusedLeavesNothing) {
  write_file(scratch_ / "bad.csv", "x,kind\n1,a\n2,b\nthree,a\n");
  expect_refused("convert --data " + path("bad.csv") + " --out " + path("a"), 5,
                 "bad.csv:4:1: 'three' is not a number");
  EXPECT_FALSE(fs::exists(scratch_ / "a"));
  fs::create_directories(scratch_ / "taken/by");
  expect_refused("convert --data " + path("bad.csv") + " --out " + path("taken"), 2, "something is there already");
  expect_refused("convert --data " + path("bad.csv"), 2, "needs --data FILE and --out DIR");
  expect_refused("convert --dataset digits --data " + path("bad.csv") + " --out " + path("a"), 2, "digits is none");
  expect_refused("convert --dataset csv:test=0.1 --data " + path("bad.csv") + " --out " + path("a"), 2,
                 "is said when a model is trained");
  expect_refused("convert --dataset csv:standardise=0 --data " + path("bad.csv") + " --out " + path("a"), 2,
                 "is said when a model is trained");
  EXPECT_FALSE(fs::exists(scratch_ / "a"));
}

/// `ecl OPTIONS` with so much memory of its own: what is mapped from a file does not count.
Outcome run_within(int megabytes, const std::string& options) {
  return run({"sh", "-c", "ulimit -d " + std::to_string(1000 * megabytes) + "; exec " ECL_TOOL " " + options}, 600);
}

TEST_F(Convert, ATableLargerThanMemory) {
  const int rows = 40000, features = 500;  // 80 MB of floats
  std::string line, text = "kind";
  for (int f = 0; f < features; ++f) text += ",f" + std::to_string(f), line += f % 3 == 0 ? ",0.5" : ",1";
  text += '\n';
  for (int row = 0; row < rows; ++row) text += (row % 2 == 0 ? "a" : "b") + line + '\n';
  write_file(scratch_ / "a.csv", text);
  const Outcome read = run_within(60, "simulate --nodes 2 --dataset csv:label=kind --data " + path("a.csv"));
  EXPECT_EQ(read.exit_code, 5) << read.err;
  const Outcome converted =
      run_within(60, "convert --dataset csv:label=kind --data " + path("a.csv") + " --out " + path("a"));
  EXPECT_EQ(converted.exit_code, 0) << converted.err;
  const Outcome trained = run_within(
      60, "simulate --nodes 2 --quiet --steps 50 --dataset npy --data " + path("a") + " --out " + path("run"));
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_EQ(summary_of(path("run"))["train_samples"], 32000);
}

/// Four gigabytes of rows in one of memory.
TEST_F(Convert, FourGigabytesInOne) {
  constexpr std::size_t kFeatures = 1000, kRows = 1'050'000;
  fs::create_directories(scratch_ / "a");
  {
    std::ofstream file(scratch_ / "a/features.npy", std::ios::binary);
    file << npy_header("<f4", std::array{kRows, kFeatures});
    Random random(1, Purpose::test);
    std::vector<float> row(kFeatures);
    for (float& value : row) value = static_cast<float>(2 * random.uniform() - 1);
    for (std::size_t r = 0; r < kRows; ++r) {
      row[r % kFeatures] = static_cast<float>(2 * random.uniform() - 1);
      std::fill_n(row.begin(), 100, static_cast<float>(r % 2));
      file.write(reinterpret_cast<const char*>(row.data()), kFeatures * sizeof(float));
    }
    std::vector<std::int32_t> labels(kRows);
    for (std::size_t r = 0; r < kRows; ++r) labels[r] = static_cast<std::int32_t>(r % 2);
    write_array("a/labels.npy", "<i4", {kRows}, bytes_of(labels));
    ASSERT_TRUE(file.flush()) << "5 GB of disk are needed";
  }
  const Outcome outcome =
      run_within(1000, "simulate --nodes 4 --quiet --steps 200 --eval-every 0 --dataset npy:test=0.01 --data " +
                           path("a") + " --out " + path("run"));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_GT(summary_of(path("run"))["test_accuracy_min"], 99);
  std::printf("%.0f MB at the peak, pages of the file included\n", outcome.peak_megabytes);
}

}  // namespace
}  // namespace ecl::test
