// Tables as people have them: formats, missing cells, columns of text, dates, labels that are quantities; what a site
// alone reads, what several agree on, and every refusal with its place.
#include <algorithm>
#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <limits>
#include <set>

#include "ecl/base/check.hpp"
#include "ecl/base/random.hpp"
#include "ecl/base/text_table.hpp"
#include "ecl/data/agreement.hpp"
#include "ecl/data/encoding.hpp"
#include "tests/support/command.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

using Row = std::vector<float>;
using Texts = std::vector<std::string>;

#define EXPECT_HAS(text, part) EXPECT_NE(std::string(text).find(part), std::string::npos) << (text)

std::string error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return std::to_string(static_cast<int>(error.code())) + ": " + error.what();
  }
  return "";
}

Row row(const Dataset& data, std::size_t n) {
  Row values(data.features());
  data.gather(n, 1, values.data());
  return values;
}

std::vector<Row> rows(const Dataset& data) {
  std::vector<Row> all;
  for (std::size_t n = 0; n < data.size(); ++n) all.push_back(row(data, n));
  return all;
}

class Tables : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (scratch_ / name).string(); }
  std::string write(const std::string& name, const std::string& content) const {
    write_file(scratch_ / name, content);
    return path(name);
  }
  TextTable table(const std::string& content, const Texts& expected = {}) const {
    return {"t", open_file(write("t", content)), expected};
  }
  /// All rows of a table, cells in brackets.
  std::string cells_of(const std::string& content) const {
    std::string text;
    for (TextTable read = table(content); read.next(); text += '\n')
      for (const std::string_view cell : read.cells()) text.append("[").append(cell).append("]");
    return text;
  }

  /// The table `train` alone, whose rows are all for training; `test` is tested on.
  TrainTest load(const std::string& parameters, const std::string& train, const std::string& test) const {
    DatasetRequest request{write("train.csv", train), 1, 1};
    request.test = write("test.csv", test);
    return load_dataset(Choice{"csv", parameters}, request);
  }
  std::string error(const std::string& parameters, const std::string& train) const {
    return error_of([&] { load_dataset(Choice{"csv", parameters}, {write("bad.csv", train), 1, 1}); });
  }

  /// Sites with these tables, agreed and scaled. All are tested on `test`.
  std::vector<TrainTest> agree(const std::string& parameters, const Texts& tables, const std::string& test) const {
    std::vector<TrainTest> held;
    Texts places;
    DatasetRequest request{"", static_cast<NodeId>(tables.size()), 1};
    request.test = write("test.csv", test);
    for (std::size_t i = 0; i < tables.size(); ++i) {
      places.push_back("site " + std::to_string(i));
      request.data = write(places[i] + ".csv", tables[i]);
      request.site = static_cast<NodeId>(i);
      held.push_back(read_dataset(Choice{"csv", parameters}, request));
    }
    LocalSites sites;
    agree_on_tables(sites, held, places);
    std::vector<std::vector<std::int32_t>> all;
    std::vector<SiteRows> views;
    for (const TrainTest& data : held) all.push_back(all_rows(data.train.size()));
    for (std::size_t i = 0; i < held.size(); ++i) views.push_back({&held[i].train, all[i]});
    scale_features(sites, held, views);
    return held;
  }

  const Scratch scratch_;
};

// ---- the text

TEST_F(Tables, AreSeparatedByWhatTheirFirstLinesSay) {
  EXPECT_EQ(cells_of("1,2,x\n3,4,y\n"), "[1][2][x]\n[3][4][y]\n");
  EXPECT_EQ(cells_of("1;2;x\n3;4;y"), "[1][2][x]\n[3][4][y]\n");
  EXPECT_EQ(cells_of("1\t2\tx\n3\t\ty\n"), "[1][2][x]\n[3][][y]\n");
  EXPECT_EQ(cells_of("1,5;2,3;x\n3,5;4,3;y\n"), "[1,5][2,3][x]\n[3,5][4,3][y]\n") << "decimal commas";
  EXPECT_EQ(cells_of("a, b;c\n1;2\n"), "[1][2]\n") << "a comma in a name";
  EXPECT_EQ(cells_of(" -1.83  0.29 0\n2.19\t-0.87   1 \n"), "[-1.83][0.29][0]\n[2.19][-0.87][1]\n");
  EXPECT_EQ(cells_of("height width \"of what\"\n1 2 3\n"), "[1][2][3]\n");
  EXPECT_EQ(cells_of("1,\"a, b\",\"c\"\"d\"\r\n\r\n2,\"\",\"e\"\r\n"), "[1][a, b][c\"\"d]\n[2][][e]\n");
  EXPECT_EQ(cells_of("\"a;b\",1\n\"c;d\",2\n"), "[a;b][1]\n[c;d][2]\n");
  EXPECT_EQ(cells_of("7\n8\n"), "[7]\n[8]\n");
  EXPECT_EQ(cells_of(std::string(3'000'000, ' ') + "1,2\n3,4\n"), "[1][2]\n[3][4]\n") << "longer than what is kept";
}

TEST_F(Tables, KnowAHeader) {
  EXPECT_EQ(table("a,b\n1,x\n").header(), (Texts{"a", "b"}));
  EXPECT_EQ(table("a,b\ntrue,x\n").header(), (Texts{"a", "b"}));
  EXPECT_TRUE(table("true,x\n1,y\n").header().empty());
  EXPECT_TRUE(table("?,x\n1,y\n").header().empty());
  EXPECT_TRUE(table("red,x\ngreen,y\n").header().empty());
  EXPECT_EQ(table("a,b\n?,x\n,y\n3,z\n").header(), (Texts{"a", "b"})) << "the first value there is";
  EXPECT_TRUE(table("a,b\n?,x\nc,y\n3,z\n").header().empty());
  std::string levels;
  for (int row = 0; row < 12; ++row) levels += row % 2 == 0 ? "red,x\n" : "green,y\n";
  EXPECT_EQ(table("colour,kind\n" + levels).header(), (Texts{"colour", "kind"})) << "texts that repeat, but for those";
  EXPECT_TRUE(table("red,kind\n" + levels).header().empty());
  EXPECT_EQ(table("colour,kind\ngreen,y\n", {"kind"}).header(), (Texts{"colour", "kind"}));
  EXPECT_EQ(table("\"gr\xc3\xb6\xc3\x9f"
                  "e, cm\",subject#,\"the \"\"x\"\"\"\n1,2,3\n")
                .header(),
            (Texts{"gr\xc3\xb6\xc3\x9f"
                   "e, cm",
                   "subject#", "the \"x\""}));
  EXPECT_EQ(table("% fat,kind\n1,2\n").header(), (Texts{"% fat", "kind"})) << "no comment of ARFF";
}

/// A first line that holds numbers is a row, unless rows do not hold such numbers.
TEST_F(Tables, KnowAHeaderOfNumbers) {
  Random random(3, Purpose::test);
  std::string spectra, laboratory;
  for (int row = 0; row < 40; ++row) {
    std::string shares;
    for (int column = 0; column < 4; ++column) shares += std::to_string(random.uniform()) + ",";
    spectra += shares + (row % 2 == 0 ? "ok\n" : "bad\n");
    laboratory += std::to_string(random.uniform() * 9) + "," + std::to_string(20 + row * 2) + "," +
                  shares.substr(0, 8) + (row % 2 == 0 ? ",1\n" : ",0\n");
  }
  const TextTable waves = table("400.1,400.2,400.4,400.9,class\n" + spectra);
  EXPECT_EQ(waves.header(), (Texts{"400.1", "400.2", "400.4", "400.9", "class"})) << "beyond all values below";
  EXPECT_HAS(waves.doubt(), "taken for the names of columns");
  EXPECT_EQ(table("0,1,2,3,class\n" + spectra).header().size(), 5u) << "they count";
  EXPECT_EQ(table("2019,2020,2021,kind\n2020,2018,2025,7\n2030,2000,2010,3\n").header().size(), 4u);
  EXPECT_EQ(table("id,2019,2020,2021,y\na,1,2,4,5\nb,3,1,5,9\n").header().size(), 5u);
  EXPECT_TRUE(table("0.5,0.25,0.6,0.1,rare\n" + spectra).header().empty()) << "a row of a class that comes once";
  EXPECT_TRUE(table("5,7,9,kind\n1,2,3,7\n2,5,1,8\n").header().empty()) << "the rows below count as well";
  EXPECT_EQ(table("0,1,kind\n1,2,7\n3,4,8\n").header().size(), 3u) << "columns by their numbers";
  EXPECT_TRUE(table("0,1,neg\n1,0,7\n0,1,8\n").header().empty()) << "a row below is the same";
  const TextTable row = table("<0.5,63,0.2,0\n" + laboratory);
  EXPECT_TRUE(row.header().empty());
  EXPECT_HAS(row.doubt(), "taken for a row, as it holds numbers; if it is a header, label=NAME");
  EXPECT_EQ(table("age,2020,low\n1,2,3\n", {"low"}).header().size(), 3u) << "the user says so";
  EXPECT_EQ(table("a,b\n1,2\n").doubt() + table("1,2\n1,2\n").doubt(), "") << "clear";
}

TEST_F(Tables, ReadArff) {
  const std::string text =
      "% a comment\n\n@RELATION 'some thing'\n@attribute 'body height' REAL\n@Attribute b integer\n"
      "@attribute place {here,'over there', \"x,y\" , 1.0}\n@attribute said string\n@attribute kind{up,down}\n"
      "@data\n% more\n1.5,2,'over there','it''s, so',up\n\n?,3,here,x,down\n";
  TextTable read = table(text);
  EXPECT_EQ(read.header(), (Texts{"body height", "b", "place", "said", "kind"}));
  EXPECT_EQ(read.declared(0).kind, "numeric");
  EXPECT_EQ(read.declared(2).levels, (Texts{"here", "over there", "x,y", "1"}));
  EXPECT_EQ(read.declared(3).kind, "string");
  EXPECT_EQ(read.declared(4).levels, (Texts{"up", "down"}));
  EXPECT_EQ(cells_of(text.substr(0, text.find("'it")) + "'it, so',up\n?,3,here,x,down\n"),
            "[1.5][2][over there][it, so][up]\n[?][3][here][x][down]\n");
  const auto says = [&](const std::string& wrong) { return error_of([&] { cells_of("@relation t\n" + wrong); }); };
  EXPECT_HAS(says("@attribute a numeric\n@data\n{0 1}\n"), "5: t:4:1: sparse ARFF rows");
  EXPECT_HAS(says("@attribute a number\n@data\n1\n"), "t:2:14: 'number' is no kind of attribute");
  EXPECT_HAS(says("@attribute a {b,c\n@data\nb\n"), "t:2:14: the levels have no closing }");
  EXPECT_HAS(says("@attribute a\n"), "t:2:11: an @attribute line is NAME KIND");
  EXPECT_HAS(says("1,2\n"), "t:2:1: '1,2' is no line of an ARFF header");
  EXPECT_HAS(says("@data\n1\n"), "t:2:1: no @attribute line");
  EXPECT_HAS(says("@attribute a real\n"), "has no @data line");
  EXPECT_HAS(says("@attribute a real\n@data\n1,2\n"), "t:4:1: this line has 2 columns and the header has 1");
}

TEST(TextTable, NamesLevelsByTheirValue) {
  for (const char* one : {"1", "1.0", "+1", "1e0", "true", "TRUE"}) EXPECT_EQ(level_name(one), "1") << one;
  EXPECT_EQ(level_name("-0"), "0");
  EXPECT_EQ(level_name("0.10"), "0.1");
  EXPECT_EQ(level_name("100000"), "100000");
  EXPECT_EQ(level_name("1.0a"), "1.0a");
  EXPECT_EQ(level_name("a \"\"b\"\""), "a \"b\"");
  for (const char* gap : {"", "?", "NA", "N/A", "NaN", "nan", "null", "NULL"}) EXPECT_TRUE(is_missing(gap)) << gap;
  for (const char* cell : {"0", "none", "na ", "NULLS"}) EXPECT_FALSE(is_missing(cell)) << cell;
  for (const char* day : {"2024-01-31", "31/01/2024", "1.2.24", "2024-01-31T10:00:00Z", "2024/1/31 10:00"})
    EXPECT_TRUE(looks_like_date(day)) << day;
  for (const char* other : {"1.5", "10.0.0.1", "2024-01", "a-b-c", "1-2/2024", "192-168-1", ""})
    EXPECT_FALSE(looks_like_date(other)) << other;
}

// ---- features

TEST_F(Tables, ReadArffAndBlanksAsTheyReadCommas) {
  const std::string commas = "a,b,kind\n1,2,up\n3,4,down\n5,7,up\n";
  const auto same = [&](const std::string& other, const std::string& parameters) {
    const TrainTest ours = load("standardise=0", commas, commas), theirs = load(parameters, other, other);
    EXPECT_EQ(rows(theirs.train), rows(ours.train));
    EXPECT_EQ(theirs.train.labels(), ours.train.labels());
  };
  same(
      "@relation t\n@attribute a numeric\n@attribute b numeric\n@attribute kind {up,down}\n@data\n1,2,up\n3,4,down\n"
      "5,7,up\n",
      "label=kind,standardise=0");
  same("1 2 up\n3  4 down\n5 7\tup\n", "standardise=0");
  EXPECT_HAS(error("", "1,5;2,3;x\n3,5;4,3;y\n"),
             "bad.csv:1:1: '1,5' is not a number, or beyond the range of one; a "
             "decimal point is meant: 1.5");
}

TEST_F(Tables, TruthIsANumber) {
  const TrainTest set = load("standardise=0", "a,b,k\ntrue,1,x\nFalse,2,y\n", "a,b,k\n0,TRUE,x\n");
  EXPECT_EQ(rows(set.train), (std::vector<Row>{{1, 1}, {0, 2}}));
  EXPECT_EQ(rows(set.test), (std::vector<Row>{{0, 1}}));
}

TEST_F(Tables, LeaveColumnsOut) {
  const std::string text = "name,a,b|c,site,kind\nann,1,2,s,x\nbob,3,4,t,y\n";
  const auto features = [&](const std::string& parameters) {
    const TrainTest set = load(parameters + ",standardise=0", text, text);
    EXPECT_EQ(set.train.schema.inputs.size(), set.train.schema.features.size());
    return set.train.schema.features;
  };
  EXPECT_EQ(features("ignore=name|site"), (Texts{"a", "b|c"}));
  EXPECT_EQ(features("ignore=name|3,group=site"), (Texts{"a"}));
  EXPECT_EQ(features("features=3|a"), (Texts{"a", "b|c"}));
  EXPECT_HAS(error("ignore=nam|site", text),
             "2: dataset csv: '" + path("bad.csv") + "' has no column 'nam', did you mean");
  EXPECT_HAS(error("ignore=a,features=a", text), "2: dataset csv: ignore and features both");
  EXPECT_HAS(error("ignore=kind", text), "2: dataset csv: ignore=kind names the column of the label");
  EXPECT_HAS(error("ignore=name,group=site,categorical=site", text), "names the column of the group");
  EXPECT_HAS(error("ignore=name|site,categorical=name", text), "is to be categorical and no feature");
  EXPECT_HAS(error("ignore=name|a|3|site", text), "no column left for features");
}

TEST_F(Tables, TextIsAFeatureOnlyWhereAskedFor) {
  const std::string text = "a,sex,kind\n1,M,x\n2,F,y\n3,M,x\n";
  EXPECT_HAS(error("", text), "5: " + path("bad.csv") + ":2:3: 'M' is not a number");
  EXPECT_HAS(error("", text),
             "categorical=auto makes a feature of each text in such a column, ignore=sex leaves it out");
  for (const char* parameters : {"standardise=0,categorical=auto", "standardise=0,categorical=sex"}) {
    const TrainTest set = load(parameters, text, "a,sex,kind\n4,F,x\n5,other,y\n");
    EXPECT_EQ(set.train.schema.features, (Texts{"a", "sex=F", "sex=M"}));
    EXPECT_EQ(rows(set.train), (std::vector<Row>{{1, 0, 1}, {2, 1, 0}, {3, 0, 1}}));
    EXPECT_EQ(rows(set.test), (std::vector<Row>{{4, 1, 0}, {5, 0, 0}})) << "a level that nobody trains on is none";
    EXPECT_EQ(set.train.schema.inputs[1].levels, (Texts{"F", "M"}));
    EXPECT_TRUE(set.train.schema.inputs[0].levels.empty());
  }
  const TrainTest codes = load("standardise=0,categorical=a", "a,kind\n1,x\n2,y\n1.0,x\n", "a,kind\n2,x\n");
  EXPECT_EQ(codes.train.schema.features, (Texts{"a=1", "a=2"}));
  EXPECT_EQ(rows(codes.train), (std::vector<Row>{{1, 0}, {0, 1}, {1, 0}}));
  const TrainTest words = load("label=kind,standardise=0,categorical=auto", "a,kind\nu,x\nv,y\n", "a,kind\nu,x\n");
  EXPECT_EQ(words.train.size(), 2u) << "a header above text, known by the label's name";
}

TEST_F(Tables, ArffDeclaresLevels) {
  const std::string head = "@relation t\n@attribute p {b,a,c}\n@attribute s string\n@attribute k {x,y}\n@data\n";
  const TrainTest set = load("ignore=s,standardise=0", head + "a,q,x\nb,r,y\n", head + "c,q,x\n");
  EXPECT_EQ(set.train.schema.features, (Texts{"p=a", "p=b", "p=c"}));
  EXPECT_EQ(rows(set.train), (std::vector<Row>{{1, 0, 0}, {0, 1, 0}}));
  EXPECT_EQ(rows(set.test), (std::vector<Row>{{0, 0, 1}}));
  EXPECT_HAS(error("", head + "a,q,x\nb,r,y\n"), "column 's' is declared as string; categorical=s makes");
  EXPECT_HAS(error("ignore=s", head + "a,q,x\nd,r,y\n"), "bad.csv:7:1: 'd' is none of the levels");
  const std::string dated = "@relation t\n@attribute d date \"yyyy-MM-dd\"\n@attribute k {x,y}\n@data\n2024-01-31,x\n";
  EXPECT_HAS(error("", dated), "column 'd' is declared as date; turn it into numbers, or leave it out with ignore=d");
}

TEST_F(Tables, DatesAreNeitherNumbersNorLevels) {
  for (const char* parameters : {"", "categorical=auto"})
    for (const char* day : {"2024-01-31", "31/01/2024", "31.01.2024", "2024-01-31T08:00"})
      EXPECT_HAS(
          error(parameters, "a,day,k\n1," + std::string(day) + ",x\n2," + day + ",y\n"),
          "bad.csv:2:3: '" + std::string(day) + "' is not a number, or beyond the range of one; it looks like a date");
  EXPECT_HAS(error("", "v,k\nred,x\nblue,y\n"), "bad.csv:1:1: 'v' is not a number");
  EXPECT_HAS(error("", "v,k\nred,x\nblue,y\n"), "if this line is a header, say so with label=NAME");
  EXPECT_EQ(error("categorical=day", "a,day,k\n1,31.1.2024,x\n2,1.2.2024,y\n3,1.2.2024,y\n"), "") << "asked for";
}

TEST_F(Tables, ManyTextsAreNotTold) {
  std::string names = "a,name,k\n";
  for (int n = 0; n < 1400; ++n) names += "1,secret" + std::to_string(n) + (n % 2 ? ",x\n" : ",y\n");
  const std::string said = error("categorical=auto", names);
  EXPECT_HAS(said, "column 'name' has text, and more than 1000 different values");
  EXPECT_HAS(said, "ignore=name");
  EXPECT_EQ(said.find("secret"), std::string::npos) << said;
  const Texts halves = {names.substr(0, names.find("1,secret600,")),
                        "a,name,k\n" + names.substr(names.find("1,secret600,"))};
  const std::string both = error_of([&] { agree("categorical=auto", halves, "a,name,k\n1,secret0,x\n"); });
  EXPECT_HAS(both, "column 'name' holds text, at some site, and more than 1000 different values in all");
  EXPECT_EQ(both.find("secret"), std::string::npos) << both;
  std::string numbers = "a,name,k\n";
  for (int n = 0; n < 1001; ++n) numbers += "1," + std::to_string(n) + ",x\n";
  EXPECT_HAS(error_of([&] {
               agree("categorical=auto", {numbers, "a,name,k\n1,b,x\n1,c,y\n"}, "a,name,k\n1,1,x\n");
             }),
             "site 0 ('" + path("site 0.csv") + "'): column 'name'");
}

// ---- missing cells

const char* const kGaps = "a,b,k\n1,10,x\n?,20,y\n3,,x\n5,NA,y\n";  // means 3 and 15

TEST_F(Tables, MissingCellsAreRefusedWithTheirPlaceAndTheWaysOut) {
  const std::string said = error("", kGaps);
  EXPECT_HAS(said, "5: " + path("bad.csv") + ":3:1: a value is missing (3 cells in 3 rows of the file)");
  for (const char* way : {"missing=drop", "missing=mean", "missing=indicator"}) EXPECT_HAS(said, way);
  EXPECT_HAS(error("", "a,k\n1,x\n2,y\n3,?\n"),
             "bad.csv:4:3: a label or group is missing (1 cell in 1 row of the file)");
  EXPECT_EQ(error("", "a,k\n1,x\n2,y\n3,?\n").find("mean"), std::string::npos) << "a label is not filled";
  EXPECT_HAS(error("group=g", "a,g,k\n1,,x\n2,s,y\n"), ":2:3: a label or group is missing");
  EXPECT_HAS(error("label=k,categorical=auto", "a,k\n,x\nu,y\n"), ":2:1: a value is missing");
  EXPECT_HAS(error("missing=no", kGaps), "it is refuse, drop, mean or indicator");
  EXPECT_EQ(error("ignore=b,missing=refuse", "a,b,k\n1,,x\n2,?,y\n3,,x\n"), "") << "nobody looks at it";
}

TEST_F(Tables, RowsWithGapsAreDropped) {
  const TrainTest set = load("missing=drop,standardise=0", std::string(kGaps) + "7,8,?\n9,4,y\n", kGaps);
  EXPECT_EQ(rows(set.train), (std::vector<Row>{{1, 10}, {9, 4}}));
  EXPECT_EQ(set.train.labels(), (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(set.gaps.dropped_rows, 4u);
  EXPECT_EQ(set.gaps.filled_cells, 0u);
  EXPECT_EQ(rows(set.test), (std::vector<Row>{{1, 10}}));
  EXPECT_EQ(set.test_gaps.dropped_rows, 3u);
  EXPECT_HAS(error("label=k,missing=drop", "a,k\n?,x\n,y\n"), "has missing cells in every row");
}

TEST_F(Tables, GapsAreFilledWithTheMean) {
  const std::string test = "a,b,k\n?,16,x\n";
  const TrainTest raw = load("missing=mean,standardise=0", std::string(kGaps) + "7,8,\n", test);
  EXPECT_EQ(rows(raw.train), (std::vector<Row>{{1, 10}, {3, 20}, {3, 15}, {5, 15}}));
  EXPECT_EQ(rows(raw.test), (std::vector<Row>{{3, 16}}));
  EXPECT_EQ(raw.gaps.filled_cells, 3u);
  EXPECT_EQ(raw.gaps.dropped_rows, 1u) << "a label is not filled";
  EXPECT_EQ(raw.test_gaps.filled_cells, 1u);
  EXPECT_EQ(raw.train.schema.features, (Texts{"a", "b"}));
  const TrainTest scaled = load("missing=mean", kGaps, test);  // deviations: sqrt((4+0+0+4)/4), sqrt((25+25)/4)
  const float a = static_cast<float>(2 / std::sqrt(2.0)), b = static_cast<float>(5 / std::sqrt(12.5));
  EXPECT_EQ(rows(scaled.train), (std::vector<Row>{{-a, -b}, {0, b}, {0, 0}, {a, 0}}));
  EXPECT_NEAR(row(scaled.test, 0)[1], 1 / std::sqrt(12.5), 1e-6);
  EXPECT_EQ(row(scaled.test, 0)[0], 0);
  const TrainTest empty = load("missing=mean", "a,b,k\n?,1,x\n,3,y\n", "a,b,k\n4,2,x\n");
  EXPECT_EQ(rows(empty.train), (std::vector<Row>{{0, -1}, {0, 1}}));
  EXPECT_EQ(rows(empty.test), (std::vector<Row>{{4, 0}}))
      << "a feature that is missing everywhere: mean 0, deviation 1";
}

TEST_F(Tables, GapsMayBeAFeature) {
  const std::string train = "a,b,c,k\n1,u,1,x\n?,v,2,y\n3,?,3,x\n2,u,4,y\n", test = "a,b,c,k\n?,?,?,x\n";
  const TrainTest raw = load("missing=indicator,categorical=auto,standardise=0", train, test);
  EXPECT_EQ(raw.train.schema.features, (Texts{"a", "a missing", "b=u", "b=v", "b missing", "c"}));
  const float third = 1.0f / 3, most = 2.0f / 3;
  EXPECT_EQ(rows(raw.train),
            (std::vector<Row>{{1, 0, 1, 0, 0, 1}, {2, 1, 0, 1, 0, 2}, {3, 0, most, third, 1, 3}, {2, 0, 1, 0, 0, 4}}));
  EXPECT_EQ(rows(raw.test), (std::vector<Row>{{2, 1, most, third, 1, 2.5}}));
  EXPECT_EQ(raw.train.schema.missing, Missing::indicator);
  EXPECT_EQ(encoded_names(raw.train.schema.inputs), raw.train.schema.features);
  const TrainTest scaled = load("missing=indicator,categorical=auto", train, test);
  const double deviation = std::sqrt(3.0) / 4;  // of 0 1 0 0, about 1/4
  EXPECT_NEAR(row(scaled.train, 1)[1], 0.75 / deviation, 1e-6);
  EXPECT_NEAR(row(scaled.train, 0)[1], -0.25 / deviation, 1e-6);
}

TEST_F(Tables, RandomDamageNeverCrashes) {
  Random random(5, Purpose::test);
  const std::string good = "a,b,c,k\n1,u,1,x\n?,v,2,y\n3,?,true,x\n2,\"u, v\",4,y\n4,u,5,x\n",
                    nasty = ",;\t \"'?|=\n{}@%1a.-\xff";
  const std::string arff =
      "@relation t\n@attribute a real\n@attribute b {u,v}\n@attribute k {x,y}\n@data\n1,u,x\n2,v,y\n?,u,x\n";
  int refused = 0;
  for (int n = 0; n < 600; ++n) {
    std::string text = n % 3 ? good : arff;
    for (std::uint64_t change = random.below(4) + 1; change > 0; --change)
      text[random.below(text.size())] = nasty[random.below(nasty.size())];
    const std::string missing = n % 2 ? "indicator" : "drop";
    refused += !error("categorical=auto,missing=" + missing, text).empty();
  }
  EXPECT_GT(refused, 100);
  EXPECT_LT(refused, 600);
}

// ---- labels

TEST_F(Tables, QuantitiesAreNoClasses) {
  std::string scores = "a,score\n", whole = "a,score\n", few = "a,score\n", codes = "a,score\n";
  for (int n = 0; n < 60; ++n) {
    scores += "1," + std::to_string(20 + n * 0.37) + "\n";
    whole += "1," + std::to_string(n) + "\n";
    few += "1," + std::to_string(n % 5 * 0.5) + "\n";
    codes += "1," + std::to_string(n % 30) + "\n";
  }
  const std::string said = error("", scores);
  EXPECT_HAS(said, "2: '" + path("bad.csv") + "': the labels, 60 different numbers in 60 rows, look like a quantity");
  EXPECT_HAS(said, "or --loss mse, learns to predict it");
  EXPECT_EQ(error("label-kind=class", scores), "");
  EXPECT_HAS(error("", whole), "60 different numbers in 60 rows, look like a quantity");
  EXPECT_EQ(error("label-kind=class", whole), "");
  EXPECT_EQ(error("", few), "");
  EXPECT_EQ(error("", codes), "") << "two rows of each";
  EXPECT_HAS(error("label-kind=many", few), "it is class or number");
  write("bad.csv", few);
  const TrainTest numbers = load_dataset(Choice::parse("csv:label-kind=number"), {path("bad.csv"), 1, 1});
  EXPECT_EQ(numbers.train.classes(), 0);
  ASSERT_EQ(numbers.train.targets().size(), numbers.train.size());
  double sum = 0, squares = 0;
  for (const float y : numbers.train.targets()) sum += y, squares += y * y;
  EXPECT_NEAR(sum / 48, 0, 1e-6) << "scaled over the training rows";
  EXPECT_NEAR(squares / 48, 1, 1e-5);
}

TEST_F(Tables, TruthIsOneClassHoweverItIsWritten) {
  const auto held = agree("label=k", {"v,k\n1,TRUE\n2,FALSE\n", "v,k\n1,True\n", "v,k\n1,1\n2,0\n"}, "v,k\n1,false\n");
  for (const TrainTest& data : held) EXPECT_EQ(data.train.schema.classes.size(), 2u);
  EXPECT_EQ(held[0].train.labels(), (std::vector<std::int32_t>{1, 0}));
  EXPECT_EQ(held[1].train.labels(), (std::vector<std::int32_t>{1}));
  EXPECT_EQ(held[2].train.labels(), (std::vector<std::int32_t>{1, 0}));
  EXPECT_EQ(held[0].test.labels(), (std::vector<std::int32_t>{0}));
}

TEST_F(Tables, ClassesThatDifferInCaseAloneAreTwoSpellings) {
  const auto said = [&](const std::string& one, const std::string& other, const std::string& test) {
    return error_of([&] { agree("label=k", {"v,k\n1," + one, "v,k\n2," + other}, "v,k\n1," + test); });
  };
  EXPECT_HAS(said("Yes\n2,No\n", "yes\n1,No\n", "No\n"),
             "site 0 ('" + path("site 0.csv") + "') has the class 'Yes', and site 1");
  EXPECT_HAS(said("no show\n2,No\n", "No\n1,No\n", "noshow\n"), "and the test of site 0");
  EXPECT_EQ(said("A\n2,a\n", "a\n1,B\n", "B\n"), "") << "told apart on purpose";
  EXPECT_HAS(said("0\n2,1\n", "no\n1,yes\n", "0\n"), "has numbers for labels, as '0', and site 1");
  EXPECT_HAS(said("no\n2,yes\n", "no\n1,yes\n", "1\n"), "the test of site 0");
  EXPECT_EQ(said("0\n2,x\n", "a\n1,B\n", "B\n"), "") << "numbers are names there";
}

TEST_F(Tables, WhoIsKnownAtTwoSitesIsTestedOnAtBothOrAtNone) {
  const auto tested = [&](int first, int last, std::uint64_t seed) {
    std::string text = "x,who,k\n";
    for (int row = 0; row < 3 * (last - first); ++row)
      text += "1," + std::to_string(first + row % (last - first)) + (row % 2 == 0 ? ",a\n" : ",b\n");
    DatasetRequest request{write("t.csv", text), 2, seed};
    request.site = first;
    const TrainTest data = read_dataset(Choice{"csv", "label=k,group=who"}, request);
    const auto &train = data.train.columns.at("who"), &test = data.test.columns.at("who");
    std::set<int> groups;
    for (const std::int32_t group : test) groups.insert(first + group);
    for (const std::int32_t group : train) EXPECT_FALSE(groups.contains(first + group)) << "whole groups";
    EXPECT_EQ(data.groups_to_test, groups.size());
    return groups;
  };
  std::size_t all = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const std::set<int> one = tested(100, 140, seed), other = tested(120, 160, seed);
    for (int group = 120; group < 140; ++group) EXPECT_EQ(one.contains(group), other.contains(group)) << group;
    EXPECT_EQ(tested(100, 102, seed).size(), 1u) << "of two groups one";
    EXPECT_EQ(tested(100, 101, seed).size(), 0u) << "the only group is for training";
    all += one.size();
  }
  EXPECT_NEAR(static_cast<double>(all) / 400, 0.2, 0.05);
}

TEST_F(Tables, FewTextsAmongNumbersAreTold) {
  std::string rows = "age,sex,k\n";
  for (int row = 0; row < 30; ++row)
    rows += (row == 7 ? "unknown" : std::to_string(30 + row)) + (row % 3 == 0 ? ",m," : ",f,") +
            (row % 2 == 0 ? "a\n" : "b\n");
  const TrainTest data = read_dataset(Choice{"csv", "categorical=auto"}, {write("t.csv", rows), 1, 1});
  ASSERT_EQ(data.notes.size(), 1u);
  EXPECT_HAS(data.notes[0], "column 'age' holds text in 1 of 30 rows, first at " + path("t.csv") + ":9:1");
  for (const char* gap : {"", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "null", "None", "\\N"})
    EXPECT_HAS(error("", std::string("a,b\n1,x\n") + gap + ",y\n2,x\n"), "a value is missing") << gap;
}

TEST_F(Tables, NumbersOfMoreDigitsThanAreKeptAreTold) {
  std::string rows = "t,u,k\n";
  for (int row = 0; row < 30; ++row)
    rows += std::to_string(1'700'000'000 + row * 77) + "," + std::to_string(16'000'000 + row) + "," +
            std::to_string(1'600'000'000 + row) + "\n";
  const auto notes = [&](const std::string& parameters) {
    return read_dataset(Choice{"csv", parameters}, {write("t.csv", rows), 1, 1}).notes;
  };
  EXPECT_EQ(notes("label-kind=number").size(), 2u);
  EXPECT_HAS(notes("label-kind=class").at(0), "column 't' holds numbers above 2^24, of which 7 digits are kept");
  EXPECT_HAS(notes("label-kind=number").at(1), "column 'k' holds numbers above 2^24");
  EXPECT_TRUE(notes("label-kind=class,ignore=t").empty());
}

TEST_F(Tables, AColumnWithoutANameIsNoFeature) {
  const std::string rows = ",x,y\n0,3,a\n1,4,b\n2,5,a\n";
  EXPECT_HAS(error("", rows), "column 1 has no name: a row number, perhaps");
  EXPECT_HAS(error("", rows), "leave it out with ignore=1");
  EXPECT_EQ(error("ignore=1", rows), "");
}

// ---- several sites

TEST_F(Tables, LevelsAreThoseOfAllSites) {
  const auto held = agree("label=k,categorical=auto,standardise=0",
                          {"v,k\n1,x\n2.0,y\n", "v,k\nred,x\n1.0,y\n", "v,k\n10,x\nblue,y\n"}, "v,k\n2,x\ngreen,y\n");
  for (const TrainTest& data : held) {
    EXPECT_EQ(data.train.schema.features, (Texts{"v=1", "v=10", "v=2", "v=blue", "v=red"}));
    EXPECT_EQ(rows(data.test), (std::vector<Row>{{0, 0, 1, 0, 0}, {0, 0, 0, 0, 0}}));
  }
  EXPECT_EQ(rows(held[0].train), (std::vector<Row>{{1, 0, 0, 0, 0}, {0, 0, 1, 0, 0}}));
  EXPECT_EQ(rows(held[1].train), (std::vector<Row>{{0, 0, 0, 0, 1}, {1, 0, 0, 0, 0}}));
  EXPECT_EQ(rows(held[2].train), (std::vector<Row>{{0, 1, 0, 0, 0}, {0, 0, 0, 1, 0}}));
  const auto numbers = agree("label=k,categorical=auto,standardise=0", {"v,k\n1,x\n", "v,k\n2,y\n"}, "v,k\n2,x\n");
  EXPECT_EQ(numbers[0].train.features(), 1) << "no site has text";
}

TEST_F(Tables, AnIndicatorThatOneSiteNeedsIsAtAll) {
  const auto held =
      agree("missing=indicator,standardise=0", {"v,w,k\n1,1,x\n?,1,y\n", "v,w,k\n4,1,x\n7,1,y\n"}, "v,w,k\n1,1,x\n");
  EXPECT_EQ(rows(held[0].train), (std::vector<Row>{{1, 0, 1}, {4, 1, 1}})) << "the mean over both sites";
  EXPECT_EQ(rows(held[1].train), (std::vector<Row>{{4, 0, 1}, {7, 0, 1}}));
  const auto own =
      agree("label=k,missing=mean,standardise=own", {"v,k\n1,x\n3,y\n?,y\n", "v,k\n?,x\n?,y\n"}, "v,k\n1,x\n");
  const float one = std::sqrt(1.5f);  // deviation sqrt(2/3)
  EXPECT_EQ(rows(own[0].train), (std::vector<Row>{{-one}, {one}, {0}}));
  EXPECT_EQ(rows(own[1].train), (std::vector<Row>{{0}, {0}}));
}

TEST_F(Tables, ManyFilesGiveBitForBitWhatOneFileGives) {
  const std::string head = "n,colour,t,site,k\n", test = head + "1,red,0.5,a,x\n?,violet,?,b,y\n";
  const Texts lines[] = {{"1,red,0.1,a,x\n", "?,blue,0.7,a,y\n", "2.5,?,0.3,a,x\n"},
                         {"4,7,?,b,y\n", "5,green,0.9,b,x\n"},
                         {"6,1,0.2,c,x\n", "7,2,0.4,c,y\n", "8,1.0,0.6,c,y\n"}};
  Texts files;
  std::string all = head;
  for (const Texts& of_site : lines) {
    files.push_back(head);
    for (const std::string& line : of_site) files.back() += line, all += line;
  }
  for (const char* missing : {"mean", "indicator", "drop"})
    for (const char* scaling : {"0", "1"}) {
      const std::string parameters =
          std::string("group=site,categorical=auto,missing=") + missing + ",standardise=" + scaling;
      const auto many = agree(parameters, files, test);
      DatasetRequest request{write("all.csv", all), 3, 1};
      request.test = path("test.csv");
      TrainTest one = read_dataset(Choice{"csv", parameters}, request);
      LocalSites here;
      const std::string place = "the data";
      agree_on_tables(here, {&one, 1}, {&place, 1});
      std::vector<std::vector<std::int32_t>> of_group(3);
      for (std::size_t n = 0; n < one.train.size(); ++n)
        of_group[one.train.columns.at("site")[n]].push_back(static_cast<std::int32_t>(n));
      std::vector<SiteRows> views;
      for (const auto& group : of_group) views.push_back({&one.train, group});
      scale_features(here, {&one, 1}, views);
      std::vector<Row> joined;
      for (const TrainTest& data : many)
        for (const Row& values : rows(data.train)) joined.push_back(values);
      EXPECT_EQ(joined, rows(one.train)) << parameters;
      EXPECT_EQ(rows(many[1].test), rows(one.test)) << parameters;
      EXPECT_EQ(many[2].train.schema.features, one.train.schema.features);
      for (const Row& values : joined)
        EXPECT_TRUE(std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }));
    }
}

// ---- libsvm

TEST_F(Tables, LibsvmFromZeroAndOfRankings) {
  const auto says = [&](const std::string& parameters, const std::string& text) {
    return error_of([&] { load_dataset(Choice{"libsvm", parameters}, {write("bad.svm", text), 1, 1}); });
  };
  const std::string zero = "0 0:-0.25 1:0.5\n1 0:1 1:2\n1 1:3\n";
  EXPECT_HAS(says("", zero), "bad.svm:1:3: this file counts from 0: say libsvm:base=0, at all sites");
  DatasetRequest request{write("zero.svm", zero), 1, 1};
  request.test = request.data;
  const TrainTest set = load_dataset(Choice{"libsvm", "base=0,standardise=0"}, request);
  EXPECT_EQ(rows(set.train), (std::vector<Row>{{-0.25f, 0.5f}, {1, 2}, {0, 3}}));
  request.data = request.test = write("qid.svm", "0 qid:1 1:5\n1 qid:2 1:6 2:1\n");
  const TrainTest ranked = load_dataset(Choice{"libsvm", "standardise=0"}, request);
  EXPECT_EQ(rows(ranked.train), (std::vector<Row>{{5, 0}, {6, 1}}));
  EXPECT_EQ(ranked.ignored_queries, 2u);
  EXPECT_HAS(says("", "1,3 1:1\n2 1:2\n"), "bad.svm:1:1: '1,3' are several labels");
  EXPECT_HAS(says("", "1 1:1\n1:5 2:1\n"), "bad.svm:2:1: the label is missing");
  EXPECT_HAS(says("", "? 1:1\n"), "bad.svm:1:1: the label is missing");
  EXPECT_HAS(says("base=0", "1 -1:1\n"), "index -1 is outside 0 .. 999999");
  EXPECT_HAS(says("", "1 9223372036854775807:1\n"), "is outside 1 .. 1000000");
}

TEST_F(Tables, FilesOfOtherEncodingsAreNamed) {
  EXPECT_HAS(error_of([&] { table("\xFF\xFEx\0,\0y\0\n\0"); }), "'t' is UTF-16; iconv -f utf-16 -t utf-8");
  EXPECT_HAS(error_of([&] { table("x,y\r1,2\r3,4\r"); }), "t:1:4: a carriage return within a line");
  EXPECT_EQ(cells_of("x,y\r\n1,2\r\n"), "[1][2]\n");
}

// ---- the tool

TEST_F(Tables, TheRunSaysWhatItLeftOutAndFilledIn) {
  std::string text = "a,b,k\n";
  for (int n = 0; n < 40; ++n)
    text += (n % 8 == 3 ? "?," : std::to_string(n * 0.5) + ",") + std::to_string(n % 7) + (n % 2 ? ",x\n" : ",y\n");
  for (const char* site : {"0", "1"}) write("site" + std::string(site) + ".csv", text);
  const auto warned = [&](const std::string& options, const std::string& expected) {
    const Outcome outcome = run(tool("simulate --quiet --nodes 2 --epochs 1 --dataset csv:" + options));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_HAS(outcome.err, "ecl: warning: " + expected);
  };
  warned("missing=drop --data " + path("site{node}.csv"),
         "10 rows with missing cells were left out (node 0: 5, node 1: 5)\n");
  warned("missing=mean --data " + path("site0.csv"), "5 missing cells were filled with their column's mean\n");
  write("q.svm", "0 qid:1 1:5\n1 qid:2 1:6 2:1\n0 qid:1 1:5\n1 qid:2 1:6 2:1\n");
  const Outcome ranking = run(tool("simulate --quiet --nodes 2 --epochs 1 --dataset libsvm --data " + path("q.svm")));
  EXPECT_HAS(ranking.err, "ecl: warning: qid:N, the queries of a ranking, was left out of the rows\n");
}

TEST_F(Tables, ScoresOfTrainingRowsAreCalledSo) {
  for (const char* site : {"0", "1"}) write("site" + std::string(site) + ".csv", "a,k\n1,x\n2,y\n3,x\n4,y\n");
  write("other.csv", "a,k\n1,x\n2,y\n");
  std::filesystem::create_symlink(path("site0.csv"), path("link.csv"));
  const auto warned = [&](const std::string& data, const std::string& test) {
    const Outcome outcome =
        run(tool("simulate --quiet --nodes 2 --epochs 1 --dataset csv --data " + path(data) + " --test " + path(test)));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    const std::string text = "--test names the rows of --data: the scores are of rows that the model was trained on";
    return count(outcome.err, text);
  };
  EXPECT_EQ(warned("site{node}.csv", "site{node}.csv"), 1u);
  EXPECT_EQ(warned("site0.csv", "link.csv"), 1u);
  EXPECT_EQ(warned("site{node}.csv", "other.csv"), 0u);
  EXPECT_EQ(warned("site0.csv", "other.csv"), 0u);
}

TEST_F(Tables, ConvertWritesNumbersOnly) {
  write("gaps.csv", kGaps);
  write("text.csv", "a,k\nu,x\nv,y\n1,x\n");
  const auto says = [&](const std::string& options) {
    const Outcome outcome = run(tool("convert --dataset csv:" + options + " --out " + path("out")));
    EXPECT_NE(outcome.exit_code, 0) << options;
    EXPECT_FALSE(std::filesystem::exists(path("out")));
    return outcome.err;
  };
  EXPECT_HAS(says("categorical=auto,missing=mean --data " + path("text.csv")),
             "ecl convert writes numbers, and categorical=auto makes features of text; train from the table itself");
  EXPECT_HAS(says("missing=refuse --data " + path("gaps.csv")), ":3:1: a value is missing");
  EXPECT_HAS(says("label=k --data " + path("text.csv")), "ignore=a leaves the column out");
  const Outcome dropped =
      run(tool("convert --dataset csv:missing=drop --data " + path("gaps.csv") + " --out " + path("out")));
  EXPECT_EQ(dropped.exit_code, 0) << dropped.err;
  EXPECT_HAS(dropped.out, "1 rows of 2 features");
}

}  // namespace
}  // namespace ecl::test
