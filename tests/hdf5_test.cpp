// Tables in HDF5: every type and layout by its values, parts of a file, gaps, sites of their own; and every way in
// which a file does not fit.
#include <cmath>
#include <gtest/gtest.h>

#include "tests/support/array_tables.hpp"
#include "tests/support/command.hpp"
#include "tests/support/run_directory.hpp"

#ifdef ECL_HDF5
#include "tests/support/hdf5_file.hpp"
#endif

namespace ecl::test {
namespace {

#ifdef ECL_HDF5

/// Six rows of three features, of two classes and three groups.
class Hdf5 : public Arrays {
 protected:
  static std::vector<double> values(hsize_t count) {
    std::vector<double> all;
    for (hsize_t n = 0; n < count; ++n) all.push_back(static_cast<double>(n % 101));
    return all;
  }
  Hdf5() {
    const Hdf5File file(path("a.h5"));
    file.write("features", H5T_IEEE_F32LE, {6, 3}, values(18));
    file.write("labels", H5T_STD_I32LE, {6}, {4, 9, 4, 9, 9, 4});
    file.write("groups", Texts{"b", "a", "a", "cc", "b", "a"});
  }
  static std::vector<Row> expected() {
    return {{0, 1, 2}, {3, 4, 5}, {6, 7, 8}, {9, 10, 11}, {12, 13, 14}, {15, 16, 17}};
  }
};

TEST_F(Hdf5, OfEveryTypeAndLayout) {
  for (const hid_t type : {H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_IEEE_F32BE, H5T_STD_U8LE, H5T_STD_I16BE, H5T_STD_I64LE})
    for (const std::vector<hsize_t>& chunk : {std::vector<hsize_t>{}, {4, 2}, {1, 3}, {6, 3}}) {
      {
        const Hdf5File file(path("b.h5"));
        file.write("some/where/x", type, {6, 3}, values(18), chunk);
        file.write("y", type, {6}, {4, 9, 4, 9, 9, 4}, chunk.empty() ? chunk : std::vector<hsize_t>{4});
      }
      const TrainTest data = load("hdf5:features=/some/where/x,labels=y,standardise=0", "b.h5");
      EXPECT_EQ(rows(data.train), expected());
      EXPECT_EQ(rows(data.test), expected());
      EXPECT_EQ(data.train.labels(), (Numbers{0, 1, 0, 1, 1, 0}));
      EXPECT_EQ(data.train.schema.classes, (Texts{"4", "9"}));
      EXPECT_TRUE(data.train.columns.empty());
    }
}

TEST_F(Hdf5, LabelsAndGroupsMayBeTexts) {
  EXPECT_EQ(load("hdf5", "a.h5").train.columns.at("group"), (Numbers{1, 0, 0, 2, 1, 0}));
  {
    const Hdf5File file(path("b.h5"));
    file.write("features", H5T_IEEE_F32LE, {3, 2}, values(6), {2, 2});
    file.write("labels", Texts{"Öl", "ab", "Öl"}, 4);
    file.write("site/who", H5T_STD_U64LE, {3}, {7, 6, 7});
  }
  const TrainTest data = load("hdf5:groups=site/who", "b.h5");
  EXPECT_EQ(data.train.schema.classes, (Texts{"ab", "Öl"}));
  EXPECT_EQ(data.train.labels(), (Numbers{1, 0, 1}));
  EXPECT_EQ(data.train.columns.at("group"), (Numbers{1, 0, 1}));
}

/// Of the rows of others not a byte is looked at: here it would not unpack.
TEST_F(Hdf5, ANodeReadsItsPart) {
  std::pair<std::size_t, std::size_t> chunk;
  {
    const Hdf5File file(path("b.h5"));
    file.write("features", H5T_IEEE_F64LE, {60, 3}, values(180), {20, 3});
    file.write("labels", H5T_STD_I32LE, {60}, values(60));
    chunk = file.chunk_at("features", 20, 2);
  }
  std::string bytes = read_file(path("b.h5"));
  bytes.replace(chunk.first, chunk.second, std::string(chunk.second, 'x'));
  write_file(path("b.h5"), bytes);
  DatasetRequest request{path("b.h5"), 1, 1};
  request.test = path("a.h5");
  Numbers part = {1, 2, 19, 40, 59};
  request.deal = [&](const Dataset&) { return part; };
  const TrainTest data = read_dataset(Choice::parse("hdf5:label-kind=class"), request);
  EXPECT_EQ(rows(data.train), (std::vector<Row>{{3, 4, 5}, {6, 7, 8}, {57, 58, 59}, {19, 20, 21}, {76, 77, 78}}));
  EXPECT_EQ(data.train.number(2), 19);
  part = {20};
  try {
    read_dataset(Choice::parse("hdf5:label-kind=class"), request);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::io);
    EXPECT_HAS(error.what(), "b.h5' features cannot be read: the file is damaged there");
  }
}

TEST_F(Hdf5, GapsAreRefusedDroppedOrFilledIn) {
  {
    const Hdf5File file(path("b.h5"));
    file.write("features", H5T_IEEE_F64LE, {4, 2}, {1, NAN, 3, 4, 5, 6, NAN, 8});
    file.write("labels", H5T_STD_I32LE, {4}, {0, 1, 0, 1});
  }
  EXPECT_HAS(error("hdf5", "b.h5"), "b.h5' features[0, 1]: a value is missing, NaN (2 cells in 2 rows of the file)");
  EXPECT_EQ(rows(load("hdf5:standardise=0,missing=drop", "b.h5").train), (std::vector<Row>{{3, 4}, {5, 6}}));
  EXPECT_EQ(rows(load("hdf5:standardise=0,missing=mean", "b.h5").train),
            (std::vector<Row>{{1, 6}, {3, 4}, {5, 6}, {3, 8}}));
}

TEST_F(Hdf5, WhatDoesNotFitIsNamedWithWhatThereIs) {
  {
    const Hdf5File file(path("b.h5"));
    file.write("x", H5T_IEEE_F32LE, {6, 3}, values(18));
    file.write("deep/er", H5T_STD_I64LE, {2, 3, 4}, values(24));
    file.write("y", H5T_STD_U8LE, {5}, values(5));
    file.write("names", Texts{"a", "b"});
    file.write("hot", H5T_STD_U8LE, {6, 2}, values(12));
  }
  EXPECT_EQ(error("hdf5", "b.h5"),
            "2: '" + path("b.h5") +
                "' has no data set 'features' for the features "
                "(hdf5:features=NAME); it has deep/er (2 x 3 x 4, int64), hot (6 x 2, uint8), names (2, text), "
                "x (6 x 3, float32), y (5, uint8)");
  EXPECT_HAS(error("hdf5:features=x", "b.h5"), "has no data set 'labels' for the labels (hdf5:labels=NAME)");
  EXPECT_HAS(error("hdf5:features=deep", "b.h5"), "has no data set 'deep'");
  EXPECT_HAS(error("hdf5:features=deep/er", "b.h5"),
             "b.h5' deep/er (2 x 3 x 4, int64): a row of features for each sample "
             "is wanted, n x d: .reshape(len(x), -1)");
  EXPECT_HAS(error("hdf5:features=y", "b.h5"), "y (5, uint8): a row of features");
  EXPECT_HAS(error("hdf5:features=names", "b.h5"), "names (2, text): features are numbers");
  EXPECT_HAS(error("hdf5:features=x,labels=y", "b.h5"),
             "b.h5' y has 5 values, and '" + path("b.h5") + "' x has 6 rows");
  EXPECT_HAS(error("hdf5:features=x,labels=hot", "b.h5"), "hot (6 x 2, uint8): one value for each row is wanted");
  EXPECT_HAS(error("hdf5:groups=nix", "a.h5"), "has no data set 'nix' for the groups (hdf5:groups=NAME)");
  EXPECT_HAS(error("hdf5", "nix.h5"), "2: there is no file '" + path("nix.h5") + "'");
  write_file(scratch_ / "text.h5", "x,y\n1,2\n");
  EXPECT_HAS(error("hdf5", "text.h5"), "5: '" + path("text.h5") + "' is no HDF5 file, or cannot be read");
  write_file(scratch_ / "cut.h5", read_file(path("a.h5")).substr(0, 1500));
  EXPECT_HAS(error("hdf5", "cut.h5"), "5: '" + path("cut.h5") + "' cannot be opened: it is truncated");
}

/// Four sites whose files hold unlike classes; each rank opens its own.
TEST_F(Hdf5, SitesTrainAndTheirModelIsUsed) {
  std::vector<std::string> tables;
  const auto cluster = [](int n, int kind, int f) { return 3.0 * (kind == f) + std::sin(12.9898 * n + 78.233 * f); };
  std::string all = "a,b,c,d,kind\n", nodes;
  std::vector<double> x, y;
  for (int site = 0; site < 4; ++site) {
    std::vector<double> own, kinds;
    for (int n = 0; n < 60; ++n) {
      const int kind = (site + n % 2) % 4;
      for (int f = 0; f < 4; ++f) own.push_back(static_cast<float>(cluster(60 * site + n, kind, f)));
      kinds.push_back(kind);
    }
    const Hdf5File file(path("site" + std::to_string(site) + ".h5"));
    file.write("x", site % 2 ? H5T_IEEE_F64LE : H5T_IEEE_F32LE, {60, 4}, own,
               site < 2 ? std::vector<hsize_t>{16, 3} : std::vector<hsize_t>{});
    file.write("y", H5T_STD_U8LE, {60}, kinds);
    for (int n = 0; n < 60; ++n) nodes += std::to_string(site) + "\n";
    x.insert(x.end(), own.begin(), own.end()), y.insert(y.end(), kinds.begin(), kinds.end());
  }
  {
    const Hdf5File labelled(path("all.h5")), rows_alone(path("new.h5"));
    labelled.write("x", H5T_IEEE_F64LE, {240, 4}, x, {50, 4}), rows_alone.write("x", H5T_IEEE_F64LE, {240, 4}, x);
    labelled.write("y", H5T_STD_I64LE, {240}, y);
  }
  write_file(scratch_ / "nodes.txt", nodes);
  const std::string common = "train --quiet --mode lock-step --epochs 20 --batch 8 --test " + path("all.h5") +
                             " --dataset hdf5:features=x,labels=y --data ";
  const auto model = model_of(tool_on(4, common + path("site{node}.h5")), path("sites"));
  EXPECT_EQ(model,
            model_of(tool_on(4, common + path("all.h5") + " --partition file:" + path("nodes.txt")), path("dealt")))
      << "each rank keeps its rows of one file";
  const double accuracy = summary_of(path("sites"))["test_accuracy_consensus"];
  EXPECT_GT(accuracy, 95);
  says("evaluate " + path("sites") + " --data " + path("all.h5") + " --out " + path("measures.json"));
  EXPECT_EQ(Json::parse(read_file(path("measures.json")))["accuracy"], accuracy);
  const Texts predictions = lines_of(says("predict " + path("sites") + " --data " + path("new.h5")));
  ASSERT_EQ(predictions.size(), 241u);
  const auto kind_of = [](double label) { return std::string(",") += std::to_string(static_cast<int>(label)) + ","; };
  int hits = 0;
  for (int n = 0; n < 240; ++n) hits += predictions[n + 1].find(kind_of(y[n])) < 6;
  EXPECT_NEAR(hits / 2.4, accuracy, 1e-9);
  EXPECT_HAS(says("evaluate " + path("sites") + " --data " + path("new.h5"), 2), "has no data set 'y' for the labels");
  EXPECT_HAS(says("predict " + path("sites") + " --data " + scratch_.path().string(), 2),
             "is a directory; name the HDF5");

  EXPECT_HAS(says("convert --dataset hdf5:features=x,labels=y --data " + path("all.h5") + " --out " + path("folder")),
             "240 rows of 4 features, 4 classes");
  const std::string folder = " --quiet --nodes 2 --epochs 5 --data ";
  EXPECT_EQ(model_of(tool("simulate --dataset npy" + folder + path("folder")), path("of-folder")),
            model_of(tool("simulate --dataset hdf5:features=x,labels=y" + folder + path("all.h5")), path("of-file")));
}

#else

TEST_F(Arrays, WithoutTheLibraryHdf5SaysHowToGetIt) {
  write_file(scratch_ / "a.h5", "");
  EXPECT_HAS(error("hdf5", "a.h5"), "this ecl was built without HDF5; install Debian's libhdf5-dev");
}

#endif

}  // namespace
}  // namespace ecl::test
