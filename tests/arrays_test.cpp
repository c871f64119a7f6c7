// Tables in NumPy arrays: every type by its values, gaps, labels of every kind, parts of a file; groups in files of
// their own; and every way in which a file does not fit. HDF5: hdf5_test.
#include <cmath>
#include <filesystem>
#include <gtest/gtest.h>

#include "ecl/base/check.hpp"
#include "ecl/base/npy.hpp"
#include "ecl/base/random.hpp"
#include "ecl/contracts/dataset.hpp"
#include "tests/support/array_tables.hpp"
#include "tests/support/command.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

// ---- npy

TEST_F(Arrays, OfEveryTypeAreNumbers) {
  const std::vector<Row> expected = {{1, 2}, {3, 4}, {5, 6}, {7, 100}};
  for (const char* type : {"<f4", "<f8", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8"}) {
    features(type, {1, 2, 3, 4, 5, 6, 7, 100});
    labels(type, {3, 2, 3, 7});
    const TrainTest data = load("npy:standardise=0");
    EXPECT_EQ(rows(data.train), expected) << type;
    EXPECT_EQ(data.train.labels(), (Numbers{1, 0, 1, 2})) << type;
    EXPECT_EQ(data.train.schema.classes, (Texts{"2", "3", "7"})) << type;
  }
  features("|b1", {0, 1, 1, 1, 0, 0, 1, 0});
  EXPECT_EQ(rows(load("npy:standardise=0").test), (std::vector<Row>{{0, 1}, {1, 1}, {0, 0}, {1, 0}}));
  features("<f8", {1e-3, -2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(rows(load("npy:standardise=0").train)[0], (Row{1e-3f, -2}));
}

TEST_F(Arrays, OfFloatsWhoseDataLieAtAnyByteAreRead) {
  const std::string file = read_file(path("a/features.npy"));
  std::string shifted = file.substr(0, 127);
  shifted += ' ', shifted += file.substr(127), ++shifted[8];
  write_file(path("a/features.npy"), shifted);
  EXPECT_EQ(rows(load("npy:standardise=0").train)[3], (Row{7, 8}));
}

TEST_F(Arrays, LabelsAndGroupsMayBeTexts) {
  const auto wide = [](const std::vector<std::u32string>& texts, std::size_t width) {
    std::u32string all;
    for (std::u32string text : texts) text.resize(width), all += text;
    return std::string(reinterpret_cast<const char*>(all.data()), 4 * all.size());
  };
  write_array("a/labels.npy", "<U4", {4}, wide({U"Käse", U"Öl", U"日", U"Öl"}, 4));
  write_array("a/groups.npy", "|S2", {4}, std::string("b\0b\0aaa\0", 8));
  const TrainTest data = load("npy");
  EXPECT_EQ(data.train.schema.classes, (Texts{"Käse", "Öl", "日"}));
  EXPECT_EQ(data.train.labels(), (Numbers{0, 1, 2, 1}));
  EXPECT_EQ(data.train.columns.at("group"), (Numbers{2, 2, 1, 0})) << "a, aa, b";
  write_array("a/labels.npy", "|S1", {4},
              "a\xff"
              "ab");
  EXPECT_HAS(error("npy"), "labels.npy' holds text that is not UTF-8 in row 1");
  write_array("a/labels.npy", "<U1", {4}, wide({U"a", std::u32string(1, 0x110000), U"a", U"b"}, 1));
  EXPECT_HAS(error("npy"), "labels.npy' holds text that is not UTF-8 in row 1");
}

TEST_F(Arrays, GroupsOfManyDigitsStayApart) {
  const std::int64_t far = (std::int64_t{1} << 62) + 1;
  write_array("a/groups.npy", "<i8", {4}, bytes_of(std::vector<std::int64_t>{far, far + 1, far, -far}));
  EXPECT_EQ(make_partition({"by-column", "group"}, load("npy").train, 3, 1), (Partition{{0, 2}, {3}, {1}}));
  write_array("a/groups.npy", "<u8", {4}, as_type("<u8", {1, 2, 3, 9.3e18}));
  EXPECT_HAS(error("npy"), "groups.npy' holds the number 9300000000000000000, which is beyond 63 bits");
}

TEST_F(Arrays, LabelsThatAreQuantitiesAreToBePredicted) {
  std::vector<double> x, y;
  for (int row = 0; row < 50; ++row) x.push_back(row), x.push_back(1), y.push_back(row + 0.25);
  features("<f8", x), labels("<f8", y);
  EXPECT_HAS(error("npy"), "the labels, 50 different numbers in 50 rows, look like a quantity: label-kind=number");
  EXPECT_EQ(load("npy:label-kind=class").train.classes(), 50);
  const TrainTest data = load("npy:label-kind=number");
  EXPECT_NEAR(data.train.targets()[49], (49.25 - 24.75) / std::sqrt(2499 / 12.0), 1e-6)
      << "mean and deviation of 0 .. 49";
  y[3] = INFINITY;
  labels("<f8", y);
  EXPECT_HAS(error("npy:label-kind=number"), "labels.npy'[3] is no number, or beyond the range of one");
}

TEST_F(Arrays, GapsAreRefusedAndCounted) {
  features("<f8", {1, NAN, 3, 4, NAN, NAN, 7, 8});
  EXPECT_EQ(
      error("npy").substr(3),
      "'" + path("a/features.npy") +
          "'[0, 1]: a value is missing, NaN (3 cells in 2 rows of the file); "
          "missing=drop leaves such rows out, missing=mean fills in a feature's mean, missing=indicator also adds a "
          "feature that says where");
  features("<f4", {1, 2, 3, 4, 5, NAN, 7, 8});
  EXPECT_HAS(error("npy:standardise=0"), "[2, 1]: a value is missing, NaN (1 cell in 1 row of the file)");
  features("<f4", {1, 2, 3, 4, 5, -INFINITY, 7, 8});
  EXPECT_HAS(error("npy:missing=mean"), "[2, 1]: an infinity, or beyond the range of a float");
  features("<f8", {1, 2, 3, 1e39, 5, 6, 7, 8});
  EXPECT_HAS(error("npy:missing=drop"), "[1, 1]: an infinity, or beyond the range of a float");
  features("<f4", {1, 2, 3, 4, 5, 6, 7, 8}), labels("<f4", {1, NAN, 0, NAN});
  EXPECT_HAS(error("npy"),
             "labels.npy'[1]: a label is missing (2 rows of the file); missing=drop leaves such rows out");
}

TEST_F(Arrays, GapsAreDroppedOrFilledIn) {
  for (const char* type : {"<f4", "<f8"}) {  // in their file, and in memory
    features(type, {1, NAN, 3, 4, 5, 6, NAN, 8, 7, 9});
    labels("<f4", {0, 1, 0, 0, NAN});
    const TrainTest dropped = load("npy:standardise=0,missing=drop");
    EXPECT_EQ(rows(dropped.train), (std::vector<Row>{{3, 4}, {5, 6}})) << type;
    EXPECT_EQ(dropped.gaps.dropped_rows, 3u);
    labels("<f4", {0, 1, 0, 0, NAN});
    const TrainTest filled = load("npy:standardise=0,missing=mean");
    EXPECT_EQ(rows(filled.train), (std::vector<Row>{{1, 6}, {3, 4}, {5, 6}, {3, 8}})) << type;
    EXPECT_EQ(filled.train.labels(), (Numbers{0, 1, 0, 0}));
    EXPECT_EQ(filled.gaps.dropped_rows, 1u) << "a row without a label is never kept";
    EXPECT_EQ(filled.gaps.filled_cells, 2u);
    const double deviation = std::sqrt((4 + 0 + 4 + 0) / 4.0);
    EXPECT_EQ(rows(load("npy:missing=mean").test)[0], (Row{static_cast<float>(-2 / deviation), 0}));
    const TrainTest told = load("npy:standardise=0,missing=indicator");
    EXPECT_EQ(rows(told.train), (std::vector<Row>{{1, 0, 6, 1}, {3, 0, 4, 0}, {5, 0, 6, 0}, {3, 1, 8, 0}})) << type;
    EXPECT_EQ(told.train.schema.inputs[1].name, "2") << "by number, where there is no name";
  }
}

TEST_F(Arrays, GiveBitForBitWhatTheSameTableAsTextGives) {
  std::string text = "x,y,kind\n";
  std::vector<double> x, y;
  for (int row = 0; row < 40; ++row) {
    const double value = std::floor(std::sin(row) * 1000) / 8;  // exact as text and as floats
    text += (row % 7 == 3 ? std::string() : std::to_string(value)) + "," + std::to_string(row * 0.5) + "," +
            std::to_string(row % 3) + "\n";
    x.push_back(row % 7 == 3 ? NAN : value), x.push_back(row * 0.5), y.push_back(row % 3);
  }
  write_file(scratch_ / "a.csv", text);
  for (const char* type : {"<f4", "<f8"})
    for (const char* parameters :
         {":missing=mean", ":missing=indicator", ":missing=drop", ":missing=mean,standardise=0"}) {
      features(type, x), labels("<i8", y);
      DatasetRequest request{path("a"), 1, 7};
      const TrainTest arrays = load_dataset(Choice::parse(std::string("npy") + parameters), request);
      request.data = path("a.csv");
      const TrainTest table = load_dataset(Choice::parse(std::string("csv") + parameters), request);
      EXPECT_EQ(rows(arrays.train), rows(table.train)) << type << parameters;
      EXPECT_EQ(rows(arrays.test), rows(table.test)) << type << parameters;
      EXPECT_EQ(arrays.test.labels(), table.test.labels());
    }
}

TEST_F(Arrays, ANodeKeepsItsPart) {
  DatasetRequest request{path("a"), 1, 1};
  request.test = path("a");
  request.deal = [](const Dataset& all) {
    EXPECT_EQ(all.size(), 4u);
    return Numbers{1, 3};
  };
  for (const char* type : {"<f4", "<i4"}) {
    features(type, {1, 2, 3, 4, 5, 6, 7, 8});
    const TrainTest data = read_dataset(Choice::parse("npy"), request);
    EXPECT_EQ(rows(data.train), (std::vector<Row>{{3, 4}, {7, 8}}));
    EXPECT_EQ(data.train.number(1), 3);
    EXPECT_EQ(data.train_samples, 4u);
    EXPECT_EQ(data.test.size(), 4u);
  }
}

TEST_F(Arrays, OfOtherKindsAreRefusedWithWhatToDo) {
  const auto refused = [&](const std::string& type, std::vector<std::size_t> shape, std::size_t bytes) {
    write_array("a/features.npy", type, std::move(shape), std::string(bytes, '\0'));
    return error("npy");
  };
  EXPECT_HAS(refused(">f4", {4, 2}, 32), "is big-endian, of type '>f4'; .astype('f4') turns the bytes round");
  EXPECT_HAS(refused("|O", {4, 2}, 32), "holds objects of Python, which only Python reads; .astype('float32')");
  EXPECT_HAS(refused("<f2", {4, 2}, 16), "holds values of type '<f2'; .astype('float32')");
  EXPECT_HAS(refused("<c8", {4, 2}, 64), "holds values of type '<c8'");
  EXPECT_HAS(refused("<f4", {4}, 16),
             "holds 4 values of type '<f4'; a row of features for each sample is wanted: "
             ".reshape(-1, 1)");
  EXPECT_HAS(refused("<f4", {4, 2, 3}, 96),
             "holds 4 x 2 x 3 values of type '<f4'; a row of features for each sample "
             "is wanted: .reshape(4, -1)");
  EXPECT_HAS(refused("<U1", {4, 2}, 32), "features are numbers");
  EXPECT_HAS(refused("<f4", {4, 0}, 0), "has 4 rows of 0 features");
  write_array("a/labels.npy", "|u1", {0}, "");
  EXPECT_HAS(refused("<f4", {0, 2}, 0), "has no rows");
  std::string fortran = npy_header("<f4", std::vector<std::size_t>{4, 2});
  fortran.replace(fortran.find("False"), 5, "True ");
  write_file(scratch_ / "a/features.npy", fortran + std::string(32, '\0'));
  EXPECT_HAS(error("npy"), "is in Fortran's order; numpy.ascontiguousarray makes rows of it");
  std::string records = npy_header("<f4", std::vector<std::size_t>{4, 2});
  records.replace(records.find("'<f4'"), 5, "[('a', '<f4'), ('b', '<f4')]");
  write_file(scratch_ / "a/features.npy", records);
  EXPECT_HAS(error("npy"), "holds records of several fields");
  features("<f4", {1, 2, 3, 4, 5, 6, 7, 8});
  write_array("a/labels.npy", "|u1", {4, 2}, std::string(8, '\0'));
  EXPECT_HAS(error("npy"),
             "labels.npy' holds 4 x 2 values; one for each row is wanted: .reshape(-1), or of a column "
             "for each class .argmax(1)");
  labels("<i4", {0, 1, 0, 1});
  EXPECT_HAS(error("npy", "a/features.npy"), "is a file, of features alone perhaps");
  EXPECT_HAS(says("data --dataset npy:test-by=group --data " + path("a"), 2),
             "test-by=group: '" + path("a") + "' has no");
}

TEST_F(Arrays, RandomDamageNeverCrashes) {
  Random random(5, Purpose::test);
  int loaded = 0, refused = 0;
  const auto damage = [&](std::string file) {
    for (std::uint64_t change = random.below(4); change > 0; --change)
      file[random.below(file.size())] = static_cast<char>(random.below(2) ? '0' + random.below(10) : random.below(256));
    return random.below(8) == 0 ? file.substr(0, random.below(file.size())) : file;
  };
  const std::string x = read_file(path("a/features.npy")), y = read_file(path("a/labels.npy"));
  for (int n = 0; n < 1000; ++n) {
    write_file(path("a/features.npy"), damage(x)), write_file(path("a/labels.npy"), damage(y));
    error(n % 2 ? "npy" : "npy:missing=indicator").empty() ? ++loaded : ++refused;
  }
  EXPECT_GT(loaded, 50);
  EXPECT_GT(refused, 200);
}

// ---- groups in a file of their own

TEST_F(Arrays, AnyFormatMayHaveGroupsInAFile) {
  write_file(scratch_ / "a.svm", "1 1:1\n2 1:2\n1 1:3\n2 1:4\n1 1:5\n");
  write_file(scratch_ / "who.txt", "west\neast\r\n  west \n\n7\neast");
  DatasetRequest request{path("a.svm"), 1, 1};
  request.test = path("a.svm");
  const std::string groups = ":groups=" + path("who.txt");
  const TrainTest data = load_dataset(Choice::parse("libsvm" + groups), request);
  EXPECT_EQ(data.train.columns.at("group"), (Numbers{2, 1, 2, 0, 1})) << "7, east, west";
  EXPECT_EQ(make_partition({"by-column", "group"}, data.train, 3, 1), (Partition{{1, 4}, {0, 2}, {3}}));
  EXPECT_HAS(says("data -n 3 --partition by-column:group --dataset libsvm" + groups + " --data " + path("a.svm"), 2),
             "has 2 groups for 3 nodes");  // one of three is for the test
  EXPECT_HAS(says("data -n 2 --partition by-column:group --dataset libsvm" + groups + " --data " + path("a.svm")),
             "(1 whole groups)");
  EXPECT_HAS(says("data -n 2 --partition by-column:group --dataset libsvm --data " + path("a.svm"), 2),
             "no column 'group' (known: label); group= or groups= of the data set says what belongs together");
  write_file(scratch_ / "who.txt", "west\neast\nwest\n");
  EXPECT_HAS(error("libsvm" + groups, "a.svm"), "5: '" + path("who.txt") +
                                                    "' names the groups of 3 rows, a line each, and '" + path("a.svm") +
                                                    "' has 5; both need the same, in the same order");
  write_file(scratch_ / "who.txt", "west\neast\nwest\nNA\neast\n");
  EXPECT_HAS(error("libsvm" + groups, "a.svm"), "who.txt:4:1: the group is missing");
  EXPECT_HAS(error("libsvm:groups=nix", "a.svm"), "there is no file 'nix'; groups= names a text file");
}

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFF);
  return bytes;
}

TEST_F(Arrays, PicturesMayHaveGroups) {
  for (const char* half : {"train", "t10k"}) {
    const std::string pixels = big_endian(0x803) + big_endian(6) + big_endian(1) + big_endian(2) + "abcdefghijkl";
    write_file(scratch_ / (std::string(half) + "-images-idx3-ubyte"), pixels);
    write_file(scratch_ / (std::string(half) + "-labels-idx1-ubyte"),
               big_endian(0x801) + big_endian(6) + std::string("\0\1\2\3\4\5", 6));
  }
  std::string records;
  for (int n = 0; n < 6; ++n) records += static_cast<char>(n) + std::string(3072, 'x');
  for (const char* name :
       {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"})
    write_file(scratch_ / (std::string(name) + ".bin"), records);
  std::string who;
  for (int n = 0; n < 30; ++n) {
    who += std::to_string(n % 4) + "\n";
    if (n == 5) write_file(scratch_ / "six.txt", who);
  }
  write_file(scratch_ / "thirty.txt", who);
  for (const auto& [set, file, samples] : {std::tuple{"mnist", "six.txt", 6}, {"cifar10", "thirty.txt", 30}}) {
    const std::string choice = std::string(set) + ":groups=" + path(file);
    DatasetRequest request{scratch_.path().string(), 4, 1};
    std::size_t seen = 0;
    request.deal = [&](const Dataset& all) {
      seen = all.size();
      return make_partition({"by-column", "group"}, all, 4, 1)[1];
    };
    const TrainTest data = read_dataset(Choice::parse(choice), request);
    EXPECT_EQ(seen, samples);
    EXPECT_EQ(data.train.columns.at("group"), Numbers(data.train.size(), 1)) << "all of group 1";
    EXPECT_EQ(data.train.number(1), 5);
    EXPECT_EQ(data.train.labels()[1], 5);
    EXPECT_TRUE(data.test.columns.empty());
    const Outcome outcome =
        run(tool("data -n 4 --partition by-column:group --dataset " + choice + " --data " + scratch_.path().string()));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  EXPECT_HAS(says("data --dataset mnist:groups=" + path("thirty.txt") + " --data " + scratch_.path().string(), 5),
             "names the groups of 30 rows");
}

TEST_F(Arrays, EachSiteMayHaveAGroupFile) {
  for (const std::string site : {"0", "1"}) {
    std::string table, who;
    for (int n = 0; n < 10; ++n) {
      table += std::to_string(n % 2) + " 1:" + std::to_string(n) + "\n";
      who += "patient" + site + std::to_string(n / 2) + "\n";
    }
    write_file(scratch_ / (site + ".svm"), table), write_file(scratch_ / (site + ".txt"), who);
  }
  const std::string out =
      says("data -n 2 --dataset libsvm:groups=" + path("{node}.txt") + " --data " + path("{node}.svm"));
  EXPECT_HAS(out, "12 training samples, 8 test samples (4 whole groups)") << "of site 0 one, by the names";
  EXPECT_HAS(says("simulate --nodes 2 --dataset libsvm:base={node} --data " + path("{node}.svm"), 2),
             "base={node}: {node} and {host} are for paths, of --data, --test and groups=");
}

// ---- convert

TEST_F(Arrays, ConvertKeepsGapsForTraining) {
  std::string text = "x,y,who,kind\n";
  for (int n = 0; n < 60; ++n)
    text += (n % 5 == 0 ? "" : std::to_string(n % 11)) + "," + std::to_string(n % 7) + ",p" + std::to_string(n % 4) +
            "," + (n % 11 > 4 ? "up\n" : "down\n");
  write_file(scratch_ / "t.csv", text);
  for (const std::string missing : {"mean", "indicator"}) {
    EXPECT_EQ(says("convert --dataset csv:group=who,missing=" + missing + " --data " + path("t.csv") + " --out " +
                   path(missing)),
              "12 missing cells are written as NaN, which training fills in\n" + path(missing) +
                  ": 60 rows of 2 features, 2 classes; train with --dataset npy:missing=" + missing + " --data " +
                  path(missing) + "\n");
    const std::string common = "simulate --nodes 2 --quiet --epochs 3 --partition by-column:who --dataset ";
    says(common + "csv:group=who,missing=" + missing + " --data " + path("t.csv") + " --out " + path("csv-" + missing));
    says(common + "npy:missing=" + missing + " --data " + path(missing) + " --out " + path("npy-" + missing));
    EXPECT_EQ(read_file(path("npy-" + missing) + "/model/model.safetensors"),
              read_file(path("csv-" + missing) + "/model/model.safetensors"));
    EXPECT_EQ(Json::parse(read_file(path("npy-" + missing) + "/model/model.json"))["inputs"],
              Json::parse(read_file(path("csv-" + missing) + "/model/model.json"))["inputs"]);
    const std::string rows = says("predict " + path("npy-" + missing) + " --data " + path(missing));
    EXPECT_EQ(rows, says("predict " + path("csv-" + missing) + " --data " + path("t.csv")));
    EXPECT_EQ(lines_of(rows).size(), 61u);
  }
  EXPECT_HAS(says("predict " + path("npy-mean") + " --data " + path("a"), 0), "row,prediction");
}

TEST_F(Arrays, ConvertMakesFloatsOfOtherNumbers) {
  features("<i8", {1, 2, 3, 4, 5, 6, 7, 8});
  write_array("a/groups.npy", "|S1", {4}, "ccba");
  EXPECT_HAS(says("convert --dataset npy --data " + path("a") + " --out " + path("b")),
             "b: 4 rows of 2 features, 2 classes");
  const std::string file = read_file(path("b/features.npy"));
  EXPECT_EQ(file.substr(128), bytes_of(Row{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(load("npy", "b").train.columns.at("group"), (Numbers{2, 2, 1, 0}));
}

TEST_F(Arrays, AreTakenInTheOrderOfTheModelsColumns) {
  write_file(scratch_ / "t.csv", "x,y,kind\n1,5,a\n2,3,b\n4,4,a\n3,1,b\n");
  write_file(scratch_ / "u.csv", "y,x,kind\n5,1,a\n3,2,b\n4,4,a\n1,3,b\n");
  for (const std::string name : {"t", "u"})
    says("convert --dataset csv --data " + path(name + ".csv") + " --out " + path(name));
  says("simulate --quiet --nodes 1 --epochs 3 --dataset npy:test=0.5 --data " + path("t") + " --out " + path("run"));
  EXPECT_HAS(says("predict " + path("run") + " --data " + path("t")), "row,prediction");
  EXPECT_HAS(says("predict " + path("run") + " --data " + path("u"), 2), "column 1 is 'y', and the model's is 'x'");
}

TEST_F(Arrays, AnEarlierModelGoesOnWithAndWithoutGaps) {
  std::vector<double> whole, gaps, y;
  for (int n = 0; n < 40; ++n)
    for (auto* x : {&whole, &gaps}) x->push_back(n % 2), x->push_back(x == &gaps && n % 5 == 1 ? NAN : n);
  for (int n = 0; n < 40; ++n) y.push_back(n % 2);
  labels("<i4", y);
  const std::string common = "simulate --nodes 2 --quiet --epochs 2 --data " + path("a") + " --dataset npy";
  features("<f4", whole);
  says(common + " --out " + path("whole"));
  features("<f4", gaps);
  says(common + ":missing=mean --out " + path("gaps") + " --init " + path("whole"));
  features("<f4", whole);
  says(common + " --out " + path("again") + " --init " + path("gaps"));
  EXPECT_HAS(says(common + " --loss logistic --model linear", 2), "--loss logistic reads its labels from a csv");
}

TEST_F(Arrays, WhoHoldsWhatIsPartOfARun) {
  std::string rows, who, others;
  for (int n = 0; n < 40; ++n) {
    rows += std::to_string(n % 2) + " 1:" + std::to_string(n) + "\n";
    who += std::to_string(n % 4) + "\n", others += std::to_string(n / 10) + "\n";
  }
  write_file(scratch_ / "t.svm", rows), write_file(scratch_ / "who.txt", who);
  const std::string out = path("run");
  says(
      "simulate --quiet --nodes 2 --steps 20 --checkpoint-every 1 --partition by-column:group --dataset "
      "libsvm:groups=" +
      path("who.txt") + ",test-by=row --data " + path("t.svm") + " --out " + out);
  fs::remove(out + "/summary.json");
  write_file(scratch_ / "who.txt", others);
  const std::string error = says("simulate --resume " + out, 2);
  EXPECT_HAS(error, "checksum of the data");
}

TEST_F(Arrays, PredictLeavesOutOrFillsInAsInTraining) {
  std::vector<double> x, y;
  for (int n = 0; n < 40; ++n) x.push_back(n % 5 == 1 ? NAN : n % 2), x.push_back(n), y.push_back(n % 2);
  features("<f8", x), labels("<i4", y);
  for (const std::string missing : {"drop", "mean", "indicator"})
    says("simulate --nodes 2 --quiet --epochs 3 --dataset npy:missing=" + missing + " --data " + path("a") + " --out " +
         path(missing));
  EXPECT_EQ(lines_of(says("predict " + path("mean") + " --data " + path("a"))).size(), 41u);
  EXPECT_EQ(lines_of(says("predict " + path("indicator") + " --data " + path("a/features.npy"))).size(), 41u);
  const Outcome dropped = run(tool("predict " + path("drop") + " --data " + path("a")));
  EXPECT_EQ(lines_of(dropped.out).size(), 41u);
  EXPECT_EQ(lines_of(dropped.out)[2], "2,,,") << "it is left out";
  EXPECT_HAS(dropped.err, "8 rows with missing cells: left out, as in training (missing=drop)");
  EXPECT_HAS(says("evaluate " + path("mean") + " --data " + path("a")), "40 samples of 2 classes");
  features("<f8", std::vector<double>(80, 1.0));
  says("simulate --nodes 2 --quiet --epochs 3 --dataset npy --data " + path("a") + " --out " + path("whole"));
  features("<f8", x);
  EXPECT_HAS(says("predict " + path("whole") + " --data " + path("a"), 5),
             "'[1, 0]: a value is missing, NaN, and the model was trained without gaps; leave such rows out");
}

}  // namespace
}  // namespace ecl::test
