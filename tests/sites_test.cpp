// Sites with data of their own: what they agree on before the first step, that N files give what one file gives whose
// rows are dealt alike, on ranks and simulated; and every way in which sites do not fit together.
#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>

#include "ecl/base/check.hpp"
#include "ecl/base/random.hpp"
#include "ecl/data/agreement.hpp"
#include "ecl/data/site_path.hpp"
#include "tests/support/command.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

constexpr int kSites = 4;
constexpr const char* kHeader = "height,width,kind\n";

std::string row(int site, Random& random) {
  const double height = 1.5 + 0.1 * site + 0.5 * random.uniform(), width = 4 + site * random.uniform();
  const bool tall = height + 0.2 * random.uniform() > 2;
  return std::to_string(height) + "," + std::to_string(width) + (tall ? ",tall\n" : ",short\n");
}

/// site0.csv .. site3.csv of unlike sizes, the same rows in all.csv, who holds them in nodes.txt, and test.csv.
class Sites : public testing::Test {
 protected:
  Sites() {
    Random random(1, Purpose::test);
    std::string all = kHeader, nodes, test = kHeader;
    for (int site = 0; site < kSites; ++site) {
      std::string own = kHeader;
      for (int n = 0; n < 10 + 90 * site; ++n) {
        const std::string line = row(site, random);
        own += line, all += line, nodes += std::to_string(site) + "\n";
      }
      write_file(scratch_ / ("site" + std::to_string(site) + ".csv"), own);
      for (int n = 0; n < 25; ++n) test += row(site, random);
    }
    write_file(scratch_ / "all.csv", all), write_file(scratch_ / "nodes.txt", nodes);
    write_file(scratch_ / "test.csv", test);
  }

  std::string path(const std::string& name) const { return (scratch_ / name).string(); }
  std::string own(const std::string& parameters = "") const {
    return " --dataset csv:label=kind" + parameters + " --data " + path("site{node}.csv");
  }
  std::string dealt(const std::string& parameters = "") const {
    return " --dataset csv:label=kind" + parameters + " --data " + path("all.csv") +
           " --partition file:" + path("nodes.txt");
  }
  std::string one_test() const { return " --test " + path("test.csv"); }

  /// The model that a run ends with.
  std::vector<float> model_of(const std::vector<std::string>& command, const std::string& name) {
    const auto model = ecl::test::model_of(command, path(name));
    EXPECT_EQ(model.size(), 6u);
    return model;
  }
  std::vector<float> on_ranks(const std::string& options, const std::string& name) {
    return model_of(tool_on(kSites, kTraining + options), name);
  }
  std::vector<float> simulated(const std::string& options, const std::string& name) {
    return model_of(tool("simulate --nodes 4 " + std::string(kTraining).substr(6) + options), name);
  }

  static constexpr const char* kTraining = "train --quiet --mode lock-step --epochs 3 --batch 4";
  const Scratch scratch_;
};

TEST_F(Sites, GiveBitForBitWhatOneFileGives) {
  const std::string raw = ",standardise=0";
  const auto expected = simulated(dealt(raw) + one_test(), "dealt");
  EXPECT_EQ(simulated(own(raw) + one_test(), "own"), expected);
  EXPECT_EQ(on_ranks(own(raw) + one_test(), "ranks"), expected);
  EXPECT_EQ(on_ranks(dealt(raw) + one_test(), "ranks dealt"), expected);
  const Json one = summary_of(path("dealt")), many = summary_of(path("ranks"));
  EXPECT_EQ(many["test_accuracy_mean"], one["test_accuracy_mean"]);
  EXPECT_EQ(many["train_samples"], one["train_samples"]);
}

TEST_F(Sites, AreScaledByTheSumsOverAllOfThem) {
  const auto expected = simulated(dealt() + one_test(), "dealt");
  const auto own_files = simulated(own() + one_test(), "own");
  for (std::size_t d = 0; d < expected.size(); ++d)
    EXPECT_NEAR(own_files[d], expected[d], 1e-6 * std::abs(expected[d]));
  EXPECT_EQ(own_files, expected) << "the sums are added site by site, wherever the rows are";
  EXPECT_EQ(on_ranks(own() + one_test(), "ranks"), expected);
  EXPECT_EQ(on_ranks(dealt() + one_test(), "ranks dealt"), expected);
  EXPECT_NE(simulated(own(",standardise=own") + " ", "by itself"), expected);
  const Json inputs = Json::parse(read_file(path("ranks") + "/model/model.json"));
  EXPECT_EQ(inputs["features"], Json({"height", "width"}));
  EXPECT_EQ(inputs["classes"], Json({"short", "tall"}));
  EXPECT_NEAR(inputs["mean"][1].get<double>(), 5.2, 0.2);
  const std::string table = ",standardise=" + path("ranks") + "/model/model.json";
  EXPECT_EQ(on_ranks(own(table) + one_test(), "by table"), expected);
}

/// And several labels a row, of unlike weight.
TEST_F(Sites, WithWeightsAndLabelsGiveBitForBitWhatOneFileGives) {
  const std::string head = "height,tall,often,old\n";
  Random random(2, Purpose::test);
  std::string all = head, nodes;
  for (int site = 0; site < kSites; ++site) {
    std::string own = head;
    for (int n = 0; n < 12 + 7 * site; ++n) {
      const double height = 1.5 + 0.5 * random.uniform();
      const std::string line = std::to_string(height) + (height > 1.8 ? ",yes," : ",no,") +
                               std::to_string(site * n % 4) + (n % 3 == 0 ? ",1\n" : ",0\n");
      own += line, all += line, nodes += std::to_string(site) + "\n";
    }
    write_file(scratch_ / ("site" + std::to_string(site) + ".csv"), own);
  }
  write_file(scratch_ / "all.csv", all), write_file(scratch_ / "nodes.txt", nodes),
      write_file(scratch_ / "test.csv", all);
  const std::string data = " --model linear --loss logistic --dataset csv:label=tall|old,weight=often --data ",
                    dealt = data + path("all.csv") + " --partition file:" + path("nodes.txt") + one_test(),
                    own = data + path("site{node}.csv"), options = kTraining,
                    simulate = "simulate --nodes 4 " + options.substr(6);
  const auto expected = ecl::test::model_of(tool(simulate + dealt), path("dealt"));
  EXPECT_EQ(expected.size(), 4u) << "one feature, a bias, for each of two labels";
  EXPECT_EQ(ecl::test::model_of(tool(simulate + own + one_test()), path("own")), expected);
  EXPECT_EQ(ecl::test::model_of(tool_on(kSites, options + own + one_test()), path("ranks")), expected);
  EXPECT_EQ(ecl::test::model_of(tool_on(kSites, options + dealt), path("ranks dealt")), expected);
  EXPECT_EQ(summary_of(path("ranks"))["test_subset_accuracy"], summary_of(path("dealt"))["test_subset_accuracy"]);
  // Each tested on a fifth of its own: the parts that the ranks tell add up to what one process counts.
  ecl::test::model_of(tool_on(kSites, options + own), path("own tests, ranks"));
  ecl::test::model_of(tool(simulate + own), path("own tests"));
  const Json ranks = summary_of(path("own tests, ranks")), one = summary_of(path("own tests"));
  for (const char* name : {"test_accuracy_consensus", "test_loss_consensus", "test_subset_accuracy", "test_macro_f1",
                           "test_auc", "test_log_loss", "test_baseline_accuracy"})
    EXPECT_EQ(ranks[name], one[name]) << name;
  EXPECT_NEAR(one["test_log_loss"].get<double>(), one["test_loss_consensus"].get<double>(), 1e-6);
}

/// Text that one site alone has, gaps at others.
TEST_F(Sites, WithTextAndGapsGiveBitForBitWhatOneFileGives) {
  std::string all = "height,colour,kind\n", nodes;
  for (int site = 0; site < kSites; ++site) {
    std::string own = "height,colour,kind\n";
    for (int n = 0; n < 12 + site; ++n) {
      const std::string height = n % 5 == site ? "?" : std::to_string(1.5 + 0.1 * (n % 7));
      const std::string colour = site == 0 ? std::to_string(n % 3) : site == 2 && n % 2 ? "NA" : n % 3 ? "red" : "1.0";
      const std::string line = height + "," + colour + (n % 2 ? ",tall\n" : ",short\n");
      own += line, all += line, nodes += std::to_string(site) + "\n";
    }
    write_file(scratch_ / ("site" + std::to_string(site) + ".csv"), own);
  }
  write_file(scratch_ / "all.csv", all), write_file(scratch_ / "nodes.txt", nodes);
  write_file(scratch_ / "test.csv", "height,colour,kind\n1.7,red,tall\n?,violet,short\n");
  const std::string how = ",categorical=auto,missing=indicator", simulate = "simulate --nodes 4 ", options = kTraining;
  const auto training = options.substr(6);
  const auto expected = ecl::test::model_of(tool(simulate + training + dealt(how) + one_test()), path("dealt"));
  EXPECT_EQ(expected.size(), 2u * (2 + 4 + 1 + 1)) << "height, missing, four colours, missing; the bias";
  EXPECT_EQ(ecl::test::model_of(tool(simulate + training + own(how) + one_test()), path("own")), expected);
  EXPECT_EQ(ecl::test::model_of(tool_on(kSites, options + own(how) + one_test()), path("ranks")), expected);
  EXPECT_EQ(ecl::test::model_of(tool_on(kSites, options + dealt(how) + one_test()), path("ranks dealt")), expected);
  const Json warnings = summary_of(path("ranks"))["warnings"], same = summary_of(path("ranks dealt"))["warnings"];
  ASSERT_GE(warnings.size(), 1u);
  EXPECT_EQ(warnings[0].get<std::string>(),
            "20 missing cells were filled with their column's mean (node 0: 3, node 1: "
            "3, node 2: 10, node 3: 3)");
  EXPECT_EQ(same[0].get<std::string>(), "20 missing cells were filled with their column's mean");
}

TEST_F(Sites, LearnNumbersOnTheScaleOfAll) {
  const std::string numbers = " --model linear --loss mse --dataset csv:label=width,ignore=kind";
  const std::string own_files = numbers + " --data " + path("site{node}.csv"),
                    one_file = numbers + " --data " + path("all.csv") + " --partition file:" + path("nodes.txt");
  const auto model = [&](std::vector<std::string> command, const std::string& name) {
    return ecl::test::model_of(std::move(command), path(name));  // one weight and a bias
  };
  const std::string simulate = "simulate --nodes 4 " + std::string(kTraining).substr(6);
  const auto expected = model(tool(simulate + one_file + one_test()), "dealt");
  EXPECT_EQ(expected.size(), 2u);
  EXPECT_EQ(model(tool(simulate + own_files + one_test()), "own"), expected);
  EXPECT_EQ(model(tool_on(kSites, kTraining + own_files + one_test()), "ranks"), expected);

  const auto tested = model(tool_on(kSites, kTraining + own_files + " --compare-local"), "own tests");
  EXPECT_EQ(model(tool(simulate + own_files + " --compare-local"), "own tests, simulated"), tested);
  const Json summary = summary_of(path("own tests"));
  EXPECT_TRUE(summary["test_accuracy_mean"].is_null());
  EXPECT_GT(summary["test_rmse"].get<double>(), 0);
  EXPECT_EQ(summary["test_rmse"], summary_of(path("own tests, simulated"))["test_rmse"]);
  const auto lines = lines_of(read_file(path("own tests") + "/sites.csv"));
  ASSERT_EQ(lines.size(), 1u + kSites);
  EXPECT_NE(lines[0].find(",rmse_consensus,"), std::string::npos);
  double squares = 0, rows = 0;
  for (int site = 0; site < kSites; ++site) {
    std::vector<std::string> cells;
    std::istringstream line(lines[1 + site]);
    for (std::string cell; std::getline(line, cell, ',');) cells.push_back(cell);
    squares += std::stod(cells[2]) * std::pow(std::stod(cells[9]), 2), rows += std::stod(cells[2]);
  }
  EXPECT_NEAR(std::sqrt(squares / rows), summary["test_rmse"].get<double>(), 1e-5);
}

TEST_F(Sites, AreTestedOnTheirOwnRows) {
  const auto expected = simulated(own(), "own");
  EXPECT_EQ(on_ranks(own() + " --compare-local", "ranks"), expected);
  const Json summary = summary_of(path("ranks"));
  expect_complete(summary);
  for (const char* key : {"test_accuracy_consensus", "accuracy_own", "accuracy_alone"})
    expect_within_per_cent(summary[key]);
  EXPECT_TRUE(summary["test_accuracy_mean"].is_null());
  EXPECT_EQ(summary["test_samples"], 2 + 20 + 38 + 56);
  EXPECT_EQ(summary["train_samples"], 8 + 80 + 152 + 224);
  EXPECT_EQ(summary["test_accuracy_consensus"], summary_of(path("own"))["test_accuracy_consensus"]);
  const auto lines = lines_of(read_file(path("ranks") + "/sites.csv"));
  ASSERT_EQ(lines.size(), 1u + kSites);
  double hits = 0;
  for (int site = 0; site < kSites; ++site) {
    const auto cells = [&] {
      std::vector<std::string> parts(1);
      for (const char letter : lines[1 + site]) letter == ',' ? parts.emplace_back() : parts.back() += letter;
      return parts;
    }();
    ASSERT_GE(cells.size(), 11u) << lines[1 + site];
    EXPECT_EQ(std::stoi(cells[0]), site);
    hits += std::stod(cells[2]) * std::stod(cells[3]);
    EXPECT_FALSE(cells[5].empty()) << "--compare-local";
    EXPECT_NE(cells[10].find("tall="), std::string::npos);
  }
  EXPECT_NEAR(hits / summary["test_samples"].get<double>(), summary["test_accuracy_consensus"].get<double>(), 1e-3);
  EXPECT_NE(read_file(path("ranks") + "/config.ini").find("site{node}.csv\npartition = own\n"), std::string::npos);
}

TEST_F(Sites, TestFilesMayBeEachOnesOwn) {
  for (int site = 0; site < kSites; ++site) {
    Random random(2, Purpose::test, site);
    std::string test = kHeader;
    for (int n = 0; n < 3 + site; ++n) test += row(site, random);
    write_file(scratch_ / ("later" + std::to_string(site) + ".csv"), test);
  }
  on_ranks(own() + " --test " + path("later{node}.csv"), "ranks");
  EXPECT_EQ(summary_of(path("ranks"))["test_samples"], 3 + 4 + 5 + 6);
  EXPECT_EQ(summary_of(path("ranks"))["train_samples"], 10 + 100 + 190 + 280);
}

TEST_F(Sites, ASiteThatIsTooSmallForATestStillTrains) {
  write_file(scratch_ / "site0.csv", std::string(kHeader) + "1.7,5,tall\n1.8,5,short\n");
  on_ranks(own(), "ranks");
  EXPECT_EQ(summary_of(path("ranks"))["train_samples"], 2 + 80 + 152 + 224);
  const auto lines = lines_of(read_file(path("ranks") + "/sites.csv"));
  EXPECT_EQ(lines.at(1).rfind("0,2,0,,,,", 0), 0u) << lines.at(1);
}

TEST_F(Sites, DoNotReadOneFileTwice) {
  const Outcome outcome =
      run(tool_on(2, kTraining + std::string(" --dataset csv --partition own --data ") + path("site1.csv")));
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_NE(outcome.err.find("both read '" + path("site1.csv") + "' as their own"), std::string::npos) << outcome.err;
}

TEST_F(Sites, NamesThatAreNotUtf8AreRefused) {
  write_file(scratch_ / "site1.csv", std::string(kHeader) + "1,2,short\n1,2,gro\xdf\n");
  const Outcome label = run(tool_on(kSites, kTraining + own()));
  EXPECT_EQ(label.exit_code, 5);
  EXPECT_NE(label.err.find("site1.csv:3:5: the name 'gro?' is not UTF-8"), std::string::npos) << label.err;
  write_file(scratch_ / "site1.csv", "h\xf6he,width,kind\n1,2,short\n1,2,tall\n");
  EXPECT_EQ(run(tool_on(kSites, kTraining + own())).exit_code, 5);
  std::filesystem::remove(scratch_ / "test.csv");
  const Outcome test = run(tool("simulate --nodes 4 --quiet" + dealt() + one_test()));
  EXPECT_NE(test.err.find("name the file of the test samples with --test"), std::string::npos) << test.err;
}

TEST_F(Sites, DoNotTellWhatIsNoLabel) {
  std::string rows = "name,width,kind\n";
  for (int n = 0; n < 10'001; ++n) rows += "1," + std::to_string(n) + ",secret" + std::to_string(n) + "\n";
  write_file(scratch_ / "site2.csv", rows);
  const Outcome outcome = run(tool_on(kSites, kTraining + own()));
  EXPECT_EQ(outcome.exit_code, 5);
  EXPECT_NE(outcome.err.find("rank 2 on "), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("10001 different values"), std::string::npos) << outcome.err;
}

TEST_F(Sites, ThatShouldReadTheSameFileAreCompared) {
  std::string longer = read_file(scratch_ / "all.csv");
  longer += "1.7,5,tall\n";
  std::filesystem::create_directories(scratch_ / "a"), std::filesystem::create_directories(scratch_ / "b");
  write_file(scratch_ / "a/t.csv", read_file(scratch_ / "all.csv")), write_file(scratch_ / "b/t.csv", longer);
  const std::string rest = std::string(" -n 1 ") + ECL_TOOL + " " + kTraining;
  const auto on_two = [&](const std::string& options) {
    return run(words_of(std::string(ECL_MPIEXEC) + " -wdir " + path("a") + rest + options + " : -wdir " + path("b") +
                        rest + options));
  };
  const Outcome dealt = on_two(" --dataset csv:label=kind --data t.csv");
  EXPECT_FALSE(dealt.timed_out);
  EXPECT_EQ(dealt.exit_code, 2) << dealt.err;
  EXPECT_NE(dealt.err.find("reads training samples that differ from those of rank 0"), std::string::npos) << dealt.err;
  const Outcome tested = on_two(own() + " --test t.csv");
  EXPECT_EQ(tested.exit_code, 2) << tested.err;
  EXPECT_NE(tested.err.find("reads test samples that differ"), std::string::npos) << tested.err;
  const Outcome misspelt =
      run(words_of(std::string(ECL_MPIEXEC) + " -n 1 " ECL_TOOL " data : -n 1 " ECL_TOOL " data --dta t.csv"));
  EXPECT_FALSE(misspelt.timed_out);
  EXPECT_EQ(misspelt.exit_code, 2) << misspelt.err;
}

/// They train alone after all else: a stop signal then costs the comparison only.
TEST_F(Sites, KeepTheirResultsIfStoppedWhileTheyTrainAlone) {
  Process process(tool("simulate --quiet --nodes 4 --steps 1000000 --eval-every 0 --batch 4 --compare-local" + own() +
                       " --out " + path("a")));
  const auto trained = [&] { return lines_of(read_file(path("a") + "/metrics.csv")).size() == 1 + kSites; };
  ASSERT_TRUE(process.wait_until([&] { return std::filesystem::exists(path("a") + "/metrics.csv") && trained(); }, 120))
      << process.err();
  process.signal(SIGTERM);
  const Outcome outcome = process.wait(60);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("warning: stopped while the nodes trained alone"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.out.find("nan"), std::string::npos) << outcome.out;
  const Json summary = summary_of(path("a"));
  EXPECT_TRUE(summary["accuracy_own"].is_number());
  EXPECT_TRUE(summary["accuracy_alone"].is_null());
  EXPECT_EQ(run(tool("evaluate " + path("a"))).exit_code, 0);
}

TEST_F(Sites, AreWarnedOfFewRoundsAndOfLabelsThatNobodyTrainsOn) {
  write_file(scratch_ / "typo.csv", std::string(kHeader) + "1.7,5,tall\n1.8,5,tal\n");
  const Outcome outcome = run(tool("simulate --quiet --nodes 4 --epochs 1 --local-steps 8 --compare-local" + own() +
                                   " --test " + path("typo.csv") + " --out " + path("a")));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("label 'tal' is in test samples alone"), std::string::npos) << outcome.err;
  // 580 rows of 4 sites of which the smallest has 10 are 6 steps of the others' 32: a round of exchange.
  EXPECT_NE(outcome.err.find("the nodes made 1 round of exchange only"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.out.find(" %, each alone "), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.err.find("no better than always the most frequent class"), std::string::npos) << outcome.err;
  EXPECT_EQ(summary_of(path("a"))["warnings"].size(), 3u);
  EXPECT_TRUE(summary_of(path("a"))["loss_alone"].is_number());
}

/// All rows of a class may be drawn for the test.
TEST_F(Sites, AreWarnedOfColumnsThatSitesWriteInOtherWays) {
  std::string numbers = "dose,sex,kind\n", units = numbers;
  for (int r = 0; r < 40; ++r) {
    const std::string dose = std::to_string(r % 8), kind = r % 3 == 0 ? ",tall\n" : ",short\n";
    numbers += dose + (r % 2 == 0 ? ",f" : ",m") + kind;
    units += dose + (r % 2 == 0 ? " mg,F" : " mg,m") + kind;
  }
  write_file(scratch_ / "unit0.csv", numbers), write_file(scratch_ / "unit1.csv", units);
  write_file(scratch_ / "other.csv", "dose,sex,kind\n3,f,tall\n99,f,short\n");
  const Outcome outcome = run(tool("simulate --quiet --nodes 2 --dataset csv:label=kind,categorical=auto --data " +
                                   path("unit{node}.csv") + " --test " + path("other.csv")));
  EXPECT_EQ(outcome.exit_code, 0);
  for (const char* said : {"column 'dose' holds numbers alone at node 0", "unit1.csv'), as '0 mg', which makes",
                           "column 'sex' holds 'F' and 'f', which differ in case or blanks alone",
                           "of column 'dose' in the test rows with a value that no training row has: taken for none"})
    EXPECT_NE(outcome.err.find(said), std::string::npos) << said << "\n" << outcome.err;
}

TEST_F(Sites, AreWarnedOfAClassThatIsDrawnForTheTest) {
  write_file(scratch_ / "all.csv", read_file(path("all.csv")) + "1.7,5,tiny\n");
  const Outcome outcome =
      run(tool("simulate --quiet --nodes 2 --steps 5 --dataset csv:test=0.9 --data " + path("all.csv")));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("label 'tiny' is in test samples alone"), std::string::npos) << outcome.err;
}

TEST_F(Sites, AreToldWhatAFirstLineWasTakenFor) {
  std::string rows;
  for (int row = 0; row < 20; ++row) rows += row % 2 == 0 ? "1,2.5,7,ok\n" : "3,2.25,8,bad\n";
  write_file(scratch_ / "site0.csv", "a,b,c,kind\n" + rows), write_file(scratch_ / "site1.csv", "1,2,3,kind\n" + rows);
  const std::string command = "simulate --quiet --nodes 2 --steps 5 --dataset csv --data " + path("site{node}.csv");
  EXPECT_NE(run(tool(command)).err.find("column 1 is '1', and that of node 0"), std::string::npos);
  write_file(scratch_ / "site0.csv", "1,2,3,kind\n" + rows);
  EXPECT_NE(run(tool(command)).err.find("node 0, 1: the first line was taken for the names of columns"),
            std::string::npos);
}

TEST_F(Sites, OfOneClassOrOfOtherClassesShareTheUnion) {
  write_file(scratch_ / "site0.csv", std::string(kHeader) + "1,2,aside\n1,3,aside\n2,2,aside\n");
  const Outcome outcome = run(tool_on(kSites, kTraining + own() + " --out " + path("a")));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json inputs = Json::parse(read_file(path("a") + "/model/model.json"));
  EXPECT_EQ(inputs["classes"], Json({"aside", "short", "tall"}));
  EXPECT_NE(read_file(path("a") + "/sites.csv").find("\"aside=2\""), std::string::npos);
}

TEST_F(Sites, ResumeAndReplayWithTheirOwnData) {
  const std::string options = own() + " --checkpoint-every 1 --eval-every 0.5 --out ";
  const auto whole = run(tool_on(kSites, "train --quiet --record --epochs 4 --batch 4" + options + path("recorded")));
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  const Outcome again = run(tool("replay --quiet --out " + path("again") + " " + path("recorded")));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(read_file(path("again") + "/model/model.safetensors"),
            read_file(path("recorded") + "/model/model.safetensors"));

  // A run that is killed after its first checkpoint.
  run(tool_on(kSites, "train --quiet --mode lock-step --epochs 8 --batch 4" + options + path("killed")));
  std::filesystem::remove(path("killed") + "/summary.json");
  EXPECT_EQ(run(tool_on(kSites, "train --quiet --resume " + path("killed"))).exit_code, 0);
  std::filesystem::remove(path("killed") + "/summary.json");
  write_file(scratch_ / "site2.csv", read_file(path("site1.csv")));
  const Outcome other = run(tool_on(kSites, "train --quiet --resume " + path("killed")));
  EXPECT_EQ(other.exit_code, 2) << other.err;
}

TEST_F(Sites, TellWhoHoldsWhatAsCounts) {
  const Outcome alone = run(tool("data -n 4" + own())), ranks = run(tool_on(kSites, "data" + own()));
  EXPECT_EQ(ranks.exit_code, 0) << ranks.err;
  EXPECT_EQ(ranks.out, alone.out);
  EXPECT_NE(ranks.out.find("464 training samples, 116 test samples"), std::string::npos) << ranks.out;
  EXPECT_NE(ranks.out.find("  node   samples    short     tall\n     0         8 "), std::string::npos) << ranks.out;
  std::filesystem::remove(path("site2.csv"));
  const Outcome missing = run(tool_on(kSites, "data" + own()));
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_NE(missing.err.find("ecl: rank 2 on "), std::string::npos) << missing.err;
}

struct Misfit {
  std::string name, replaced;  ///< of site 3's file
  std::vector<std::string> said;
  int exit_code = 2;
};

class SitesRefuse : public Sites, public testing::WithParamInterface<Misfit> {};

TEST_P(SitesRefuse, InOneLineAndNothingIsWritten) {
  const auto& [name, replaced, said, code] = GetParam();
  if (replaced.empty())
    std::filesystem::remove(path("site3.csv"));
  else
    write_file(scratch_ / "site3.csv", replaced);
  for (const auto& [command, who] : {std::pair{tool_on(kSites, kTraining + own() + " --out " + path("a")), "rank 3"},
                                     {tool("simulate --quiet --nodes 4" + own() + " --out " + path("a")), "node 3"}}) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.exit_code, code);
    std::vector<std::string> lines = lines_of(outcome.err);
    std::erase_if(lines, [](const std::string& line) { return line.rfind("ecl: ", 0) != 0; });
    ASSERT_EQ(lines.size(), 1u) << outcome.err;
    EXPECT_NE(lines[0].find(who), std::string::npos) << lines[0];
    EXPECT_NE(lines[0].find("site3.csv"), std::string::npos) << lines[0];
    for (const std::string& part : said) EXPECT_NE(lines[0].find(part), std::string::npos) << lines[0];
    EXPECT_FALSE(std::filesystem::exists(path("a")));
  }
}

INSTANTIATE_TEST_SUITE_P(
    SitesTest, SitesRefuse,
    testing::Values(
        Misfit{"extra_column", "height,width,depth,kind\n1,2,3,tall\n", {"column 3, 'depth'", "does not have"}},
        Misfit{"missing_column", "height,kind\n1,tall\n", {"lacks column 2", "'width'"}},
        Misfit{"other_order", "width,height,kind\n1,2,tall\n", {"column 1 is 'width'", "is 'height'"}},
        Misfit{"no_header", "1,2,3\n1,2,3\n", {"has no column 'kind'"}},
        Misfit{"damaged", "height,width,kind\n1,2,tall\n1,oops,tall\n", {":3:3", "'oops'"}, 5},
        Misfit{"not_there", "", {"there is no file"}}),
    [](const auto& instance) { return instance.param.name; });

TEST_F(Sites, StartedWithOtherOptionsAreNamed) {
  const auto started = [&](const std::string& first, const std::string& last) {
    std::vector<std::string> command = tool_on(3, kTraining + first), other = tool_on(1, kTraining + last);
    const auto count = std::find(other.begin(), other.end(), "1");
    command.push_back(":");
    command.insert(command.end(), count - 1, other.end());
    return run(command);
  };
  const Outcome rate = started(own() + " --lr 0.1", own() + " --lr 0.2");
  EXPECT_EQ(rate.exit_code, 2);
  EXPECT_NE(rate.err.find("rank 3 on "), std::string::npos) << rate.err;
  EXPECT_NE(rate.err.find("was started with 'lr = 0.2' and rank 0"), std::string::npos) << rate.err;
  EXPECT_NE(started(" --partition iid", " --partition iid --model mlp").err.find("'model = mlp'"), std::string::npos)
      << "dealt data";
  const Outcome data =
      started(" --dataset csv --data " + path("site0.csv"), " --dataset csv --data " + path("site1.csv"));
  EXPECT_EQ(data.exit_code, 2);
  EXPECT_NE(data.err.find("--partition own"), std::string::npos) << data.err;
  const std::string alone =
      std::string(" -n 1 ") + ECL_TOOL + " " + kTraining + " --dataset csv --partition own --data ";
  const Outcome each = run(words_of(ECL_MPIEXEC + alone + path("site0.csv") + " :" + alone + path("site1.csv")));
  EXPECT_EQ(each.exit_code, 0) << each.err;
}

TEST_F(Sites, WhatMakesNoSenseIsRefused) {
  const auto says = [](const std::string& options) {
    const Outcome outcome = run(tool("simulate --quiet " + options));
    EXPECT_EQ(outcome.exit_code, 2) << options;
    return outcome.err;
  };
  const auto expect = [&](const std::string& options, const std::string& part) {
    const std::string said = says(options);
    EXPECT_NE(said.find(part), std::string::npos) << options << ": " << said;
  };
  expect(own() + " --partition iid", "leave out --partition iid");
  expect("--dataset csv --data " + path("site{nod}.csv"), "unknown {nod}");
  expect("--dataset csv --data " + path("site{host}.csv"), "under ecl simulate use {node}");
  expect("--dataset csv --partition own --data " + path("site0.csv"), "with {node} in --data");
  expect("--partition own", "name each node's file with --data");
  expect("--dataset csv:test=0.3 --data " + path("all.csv") + one_test(), "both name the test samples");
  expect("--dataset csv --data " + path("all.csv") + " --test " + path("site{node}.csv"),
         "with --data of each node's own");
  expect("--dataset csv:standardise=own --data " + path("all.csv"), "sites with data of their own");
  expect("--nodes 4" + own(",standardise=own") + one_test(), "give each site test samples of its own");
  expect("--data " + path("all.csv"), "dataset digits reads no file");
  expect("--dataset synthetic --test " + path("all.csv"), "dataset synthetic reads no file");
  expect(own() + " --placement edge:2 --devices 4", "leave them out");
}

TEST(SitePath, IsFilledIn) {
  EXPECT_EQ(site_path("/a-{node}/{host}-{node}.csv", 12, "h{node}"), "/a-12/h{node}-12.csv");
  EXPECT_TRUE(is_pattern("x{host}", "--data"));
  EXPECT_FALSE(is_pattern("x{1}{", "--data"));
}

/// One site's table of one feature.
TrainTest table(const std::vector<float>& values, const std::vector<std::string>& classes,
                const std::vector<std::int32_t>& labels) {
  TrainTest data;
  data.train = Dataset(1, static_cast<int>(classes.size()), values, labels);
  data.train.schema.classes = classes;
  data.test = data.train;
  return data;
}

TEST(Agreement, ClassesAreTheUnionByValueWhereAllAreNumbers) {
  std::vector<TrainTest> held = {table({1, 2}, {"10", "9"}, {0, 1}), table({3}, {"1e1"}, {0}), table({4}, {"-1"}, {0})};
  const std::string places[] = {"a", "b", "c"};
  LocalSites sites;
  const SiteSizes sizes = agree_on_tables(sites, held, places);
  EXPECT_EQ(sizes.train, (std::vector<std::size_t>{2, 1, 1}));
  EXPECT_EQ(held[0].train.classes(), 3);
  EXPECT_EQ(held[0].train.labels(), (std::vector<std::int32_t>{2, 1}));
  EXPECT_EQ(held[1].test.labels(), (std::vector<std::int32_t>{2}));
  EXPECT_EQ(held[2].train.labels(), (std::vector<std::int32_t>{0}));
}

TEST(Agreement, PicturesHaveOneShape) {
  std::vector<TrainTest> held = {table({1, 2}, {"a", "b"}, {0, 1}), table({3}, {"a"}, {0})};
  held[0].train.image = {1, 2, 3}, held[1].train.image = {1, 3, 2};
  const std::string places[] = {"a", "b"};
  LocalSites sites;
  try {
    agree_on_tables(sites, held, places);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "b: has pictures of 1 channel, 3 x 2 pixels, and a of 1 channel, 2 x 3 pixels; all sites need the "
                 "same shape");
  }
}

TEST(Agreement, ScaleIsStableForLargeOffsets) {
  const float offset = 1 << 23;  // where a float still counts in ones
  std::vector<TrainTest> held = {table({offset, offset + 2}, {"a", "b"}, {0, 1}), table({offset + 4}, {"a"}, {0})};
  std::vector<std::int32_t> rows = {0, 1};
  const SiteRows views[] = {{&held[0].train, rows}, {&held[1].train, std::span(rows).first(1)}};
  LocalSites sites;
  const Scale scale = agree_on_scale(sites, views);
  EXPECT_DOUBLE_EQ(scale.mean[0], offset + 2.0);
  EXPECT_NEAR(scale.deviation[0], std::sqrt(8.0 / 3), 1e-12);
  held[0].train.scale(scale);
  float value = 0;
  held[0].train.gather(0, 1, &value);
  EXPECT_NEAR(value, -std::sqrt(1.5), 1e-6);
}

}  // namespace
}  // namespace ecl::test
