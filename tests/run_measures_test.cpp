// What a run tells of its average model at each evaluation, of each site and of each class, against what follows by
// hand from the predictions of its model and the labels.
#include <cmath>
#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/support/small_runs.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

/// Samples of two classes by label and prediction: 0 is short, 1 is tall.
struct Confusion {
  double counts[2][2] = {};

  double of(int label) const { return counts[label][0] + counts[label][1]; }
  double samples() const { return of(0) + of(1); }
  double accuracy() const { return 100 * (counts[0][0] + counts[1][1]) / samples(); }
  double balanced_accuracy() const { return 50 * (counts[0][0] / of(0) + counts[1][1] / of(1)); }
  double macro_f1() const {
    double sum = 0;
    for (int c = 0; c < 2; ++c) sum += 2 * counts[c][c] / (of(c) + counts[0][c] + counts[1][c]);
    return sum / 2;
  }
  double baseline_accuracy() const { return 100 * std::max(of(0), of(1)) / samples(); }
  double baseline_log_loss() const {
    double sum = 0;
    for (int c = 0; c < 2; ++c) sum -= of(c) / samples() * std::log(of(c) / samples());
    return sum;
  }
  std::string csv() const {
    std::string text = "label,short,tall\n";
    for (int c = 0; c < 2; ++c)
      text += (c == 0 ? "short," : "tall,") + std::to_string(static_cast<int>(counts[c][0])) + "," +
              std::to_string(static_cast<int>(counts[c][1])) + "\n";
    return text;
  }
};

class RunMeasures : public SmallRuns {
 protected:
  /// Labels and predictions of a file's rows, by the run's average model.
  std::vector<std::pair<std::string, std::string>> answers(const std::string& run, const std::string& file,
                                                           const std::string& label) const {
    const auto rows = table_of(path(file));
    write_file(scratch_ / "predictions.csv", done("predict " + run + " --data " + path(file)));
    const auto predictions = table_of(path("predictions.csv"));
    EXPECT_EQ(predictions.size(), rows.size());
    std::vector<std::pair<std::string, std::string>> both;
    for (std::size_t n = 0; n < rows.size(); ++n)
      both.emplace_back(rows[n].at(label), predictions.at(n).at("prediction"));
    return both;
  }
  Confusion confusion(const std::string& run, const std::string& file) const {
    Confusion by_hand;
    for (const auto& [label, prediction] : answers(run, file, "kind"))
      ++by_hand.counts[label == "tall"][prediction == "tall"];
    return by_hand;
  }
  static void expect_cell(const std::map<std::string, std::string>& row, const std::string& column, double value) {
    ASSERT_TRUE(row.contains(column)) << column;
    ASSERT_NE(row.at(column), "") << column;
    EXPECT_NEAR(std::stod(row.at(column)), value, 1e-5 * std::max(1.0, std::abs(value))) << column;
  }
  /// Each site's rows to test, in a file of its own.
  void write_later() const {
    for (int site = 0; site < kNodes; ++site) {
      const auto lines = lines_of(read_file(scratch_ / ("site" + std::to_string(site) + ".csv")));
      std::string later = lines[0] + "\n";
      for (std::size_t n = 1; n < lines.size(); n += 3 - site % 2) later += lines[n] + "\n";
      write_file(scratch_ / ("later" + std::to_string(site) + ".csv"), later);
    }
  }

  static constexpr const char* kOfClasses[] = {"accuracy", "balanced_accuracy", "macro_f1", "log_loss"};
};

TEST_F(RunMeasures, OfEachEvaluationAreThoseOfARunThatEndsThere) {
  const std::string lock_step = " --mode lock-step --eval-every 2", simulate = "simulate --nodes 3" + lock_step;
  ASSERT_EQ(run(tool_on(kNodes, "train" + lock_step + " --steps 60" + dealt() + path("ranks"))).exit_code, 0);
  done(simulate + " --steps 60" + dealt() + path("simulated"));
  done(simulate + " --steps 40" + dealt() + path("shorter"));
  const auto ranks = table_of(path("ranks") + "/metrics.csv"), simulated = table_of(path("simulated") + "/metrics.csv");
  ASSERT_EQ(ranks.size(), 3u * kNodes);
  const Json summary = summary_of(path("simulated")), shorter = summary_of(path("shorter"));
  for (std::size_t n = 0; n < ranks.size(); ++n) {
    for (const char* column : {"accuracy_consensus", "balanced_accuracy_consensus", "macro_f1_consensus",
                               "log_loss_consensus", "auc_consensus"}) {
      EXPECT_EQ(ranks[n].at(column), simulated[n].at(column)) << column;
      EXPECT_EQ(ranks[n].at(column), ranks[n / kNodes * kNodes].at(column)) << "the same in all rows";
    }
    for (const char* column : {"rmse_consensus", "mae_consensus", "r2_consensus"}) EXPECT_EQ(ranks[n].at(column), "");
    if (n < kNodes) continue;
    const Json& then = n < 2 * kNodes ? shorter : summary;
    for (const std::string measure : kOfClasses)
      expect_cell(ranks[n], measure + "_consensus", then["test_" + measure].get<double>());
    EXPECT_NEAR(std::stod(ranks[n].at("auc_consensus")), then["test_auc"].get<double>(), 0.01) << "256 bins";
  }
  const Confusion by_hand = confusion(path("ranks"), "test.csv");
  expect_cell(ranks.back(), "accuracy_consensus", by_hand.accuracy());
  expect_cell(ranks.back(), "balanced_accuracy_consensus", by_hand.balanced_accuracy());
  expect_cell(ranks.back(), "macro_f1_consensus", by_hand.macro_f1());
  EXPECT_EQ(read_file(path("ranks") + "/confusion.csv"), by_hand.csv());
  done("evaluate " + path("ranks") + " --confusion " + path("confusion.csv"));
  EXPECT_EQ(read_file(path("confusion.csv")), by_hand.csv());
}

TEST_F(RunMeasures, OfSitesFollowFromTheirOwnRows) {
  write_later();
  const std::string out = path("ranks");
  ASSERT_EQ(run(tool_on(kNodes, "train --test " + path("later{node}.csv") + own("") + out)).exit_code, 0);
  const auto sites = table_of(out + "/sites.csv");
  ASSERT_EQ(sites.size(), static_cast<std::size_t>(kNodes));
  Confusion all;
  for (int site = 0; site < kNodes; ++site) {
    const Confusion own_rows = confusion(out, "later" + std::to_string(site) + ".csv");
    expect_cell(sites[site], "accuracy_consensus", own_rows.accuracy());
    expect_cell(sites[site], "balanced_accuracy_consensus", own_rows.balanced_accuracy());
    expect_cell(sites[site], "macro_f1_consensus", own_rows.macro_f1());
    expect_cell(sites[site], "log_loss_consensus", std::stod(sites[site].at("loss_consensus")));
    expect_cell(sites[site], "baseline_accuracy", own_rows.baseline_accuracy());
    expect_cell(sites[site], "baseline_log_loss", own_rows.baseline_log_loss());
    EXPECT_EQ(sites[site].at("baseline_rmse"), "");
    for (int label = 0; label < 2; ++label)
      for (int c = 0; c < 2; ++c) all.counts[label][c] += own_rows.counts[label][c];
  }
  EXPECT_EQ(read_file(out + "/confusion.csv"), all.csv());
  const auto last = table_of(out + "/metrics.csv").back();
  expect_cell(last, "accuracy_consensus", all.accuracy());
  expect_cell(last, "balanced_accuracy_consensus", all.balanced_accuracy());
  expect_cell(last, "macro_f1_consensus", all.macro_f1());
  for (const std::string measure : {"log_loss", "auc"})
    expect_cell(last, measure + "_consensus", summary_of(out)["test_" + measure].get<double>());
}

TEST_F(RunMeasures, OfNumbersFollowFromTheErrors) {
  write_later();
  const std::string out = path("ranks");
  const std::string numbers = " --model linear --loss mse --dataset csv:label=width,ignore=kind --data " +
                              path("site{node}.csv") + " --test " + path("later{node}.csv");
  ASSERT_EQ(run(tool_on(kNodes, "train --quiet --batch 10 --steps 40" + numbers + " --out " + out)).exit_code, 0);
  const auto sites = table_of(out + "/sites.csv");
  double all = 0, squares = 0;
  for (int site = 0; site < kNodes; ++site) {
    double count = 0, absolute = 0, square = 0, sum = 0, sum_of_squares = 0;
    for (const auto& [label, prediction] : answers(out, "later" + std::to_string(site) + ".csv", "width")) {
      const double width = std::stod(label), error = std::stod(prediction) - width;
      count += 1, absolute += std::abs(error), square += error * error, sum += width, sum_of_squares += width * width;
    }
    const double variance = sum_of_squares / count - sum * sum / count / count;
    expect_cell(sites[site], "rmse_consensus", std::sqrt(square / count));
    expect_cell(sites[site], "mae_consensus", absolute / count);
    expect_cell(sites[site], "r2_consensus", 1 - square / count / variance);
    expect_cell(sites[site], "baseline_rmse", std::sqrt(variance));
    EXPECT_EQ(sites[site].at("macro_f1_consensus"), "");
    all += count, squares += square;
  }
  const auto last = table_of(out + "/metrics.csv").back();
  expect_cell(last, "rmse_consensus", std::sqrt(squares / all));
  for (const std::string measure : {"rmse", "mae", "r2"})
    expect_cell(last, measure + "_consensus", summary_of(out)["test_" + measure].get<double>());
  EXPECT_FALSE(fs::exists(out + "/confusion.csv"));
  expect_error("evaluate " + out + " --confusion " + path("none.csv"),
               "the model predicts a number; leave the option out");
}

TEST_F(RunMeasures, ManyClassesAreNotPrinted) {
  const auto trained = [&](int classes) {
    std::string rows = "x,kind\n";
    for (int n = 0; n < 4 * classes; ++n)
      rows += std::to_string(n) + ",\"kind, " + std::to_string(n % classes) + "\"\n";
    const std::string name = std::to_string(classes);
    write_file(scratch_ / (name + ".csv"), rows);
    run(tool("simulate --nodes 2 --steps 8 --quiet --dataset csv --data " + path(name + ".csv") + " --test " +
             path(name + ".csv") + " --out " + path(name)));
    return path(name);
  };
  const std::string ten = trained(10), eleven = trained(11), many = trained(101);
  EXPECT_EQ(count(done("evaluate " + ten), "label (rows) and prediction (columns)"), 1u);
  const std::string told = done("evaluate " + eleven);
  EXPECT_EQ(count(told, "label (rows)"), 0u);
  EXPECT_EQ(count(told, "which classes are taken for which: --confusion FILE.csv\n"), 1u);
  const auto table = lines_of(read_file(eleven + "/confusion.csv"));
  ASSERT_EQ(table.size(), 12u);
  EXPECT_EQ(table[0].rfind("label,\"kind, 0\",\"kind, 1\",\"kind, 10\",\"kind, 2\",", 0), 0u) << table[0];
  EXPECT_FALSE(fs::exists(many + "/confusion.csv"));
  expect_error("evaluate " + many + " --confusion " + path("none.csv"), "101 classes are too many to count");
}

}  // namespace
}  // namespace ecl::test
