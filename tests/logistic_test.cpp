// Logistic loss: labels that are there or not, one or several a row, from table to predictions; its optimum over nodes
// is that of Newton's method on all rows.
#include <Eigen/Cholesky>
#include <cmath>
#include <gtest/gtest.h>

#include "ecl/base/params.hpp"
#include "tests/support/trained_models.hpp"

namespace ecl::test {
namespace {

using Texts = std::vector<std::string>;

/// Rows that are warm, or dear, or both, at three sites of unlike sizes that see unlike rows.
class Logistic : public TrainedModels {
 protected:
  struct Row {
    double x, y;
    bool warm, dear;
    int weight;
  };

  /// site0.csv .. site2.csv, and all.csv.
  void write_rows() {
    const std::string head = "x,warm,dear,y,times\n";
    std::string all = head;
    for (int site = 0; site < 3; ++site) {
      std::string own = head;
      for (int n = 0; n < 40 + 30 * site; ++n) {
        const double x = std::stod(number(noise() + 0.7 * site)), y = std::stod(number(noise()));
        rows_.push_back({x, y, x + noise() > 0.5, y - x + 2 * noise() > 0, 1 + n % 3});
        const Row& row = rows_.back();
        const std::string line = number(x) + (row.warm ? ",true," : ",False,") + (row.dear ? "yes," : "no,") +
                                 number(y) + "," + std::to_string(row.weight) + "\n";
        own += line, all += line;
      }
      write_file(scratch_ / ("site" + std::to_string(site) + ".csv"), own);
    }
    write_file(scratch_ / "all.csv", all);
  }

  /// The minimiser of the weighted logistic loss of a label over all rows, with decay/2 |w|^2: of x, y, and the bias.
  Eigen::Vector3d newton(bool Row::*label, bool weighted, double decay) const {
    Eigen::Vector3d w = Eigen::Vector3d::Zero();
    for (int step = 0; step < 50; ++step) {
      Eigen::Vector3d gradient = Eigen::Vector3d::Zero();
      Eigen::Matrix3d hessian = Eigen::Matrix3d::Zero();
      double total = 0;
      for (const Row& row : rows_) {
        const Eigen::Vector3d a(row.x, row.y, 1);
        const double p = 1 / (1 + std::exp(-a.dot(w))), weight = weighted ? row.weight : 1;
        gradient += weight * (p - row.*label) * a, hessian += weight * p * (1 - p) * a * a.transpose(), total += weight;
      }
      gradient = gradient / total + decay * w, hessian /= total, hessian.diagonal().array() += decay;
      w -= hessian.ldlt().solve(gradient);
    }
    return w;
  }

  std::string data(const std::string& parameters, const std::string& file = "site{node}.csv") const {
    return "--model linear --loss logistic --dataset csv:" + parameters + " --data " + path(file) + " --test " +
           path("all.csv");
  }
  Json evaluated(const std::string& directory, const std::string& file = "") const {
    const std::string out = path("measures.json");
    const Outcome outcome =
        run(tool("evaluate " + directory + (file.empty() ? "" : " --data " + path(file)) + " --out " + out));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return Json::parse(read_file(out));
  }

  std::vector<Row> rows_;
};

TEST_F(Logistic, SitesReachNewtonsOptimumOfAllRows) {
  write_rows();
  const std::string how = " --batch 1000 --lr 1 --lr-schedule constant --local-steps 1 --settle 0";
  for (const std::string weights : {",weight=times", ""}) {
    const bool weighted = !weights.empty();
    const auto compare = [&](const std::string& label, const std::vector<bool Row::*>& truths, double decay) {
      for (const std::string mode : {"lock-step", "async"}) {
        const std::string name = label + weights + mode + std::to_string(decay);
        const auto found = parameters_of(trained(data("standardise=0,features=x|y,label=" + label + weights) + how +
                                                     " --mode " + mode + " --weight-decay " + std::to_string(decay),
                                                 name, 1000));
        const std::size_t labels = truths.size();
        ASSERT_EQ(found.size(), 3 * labels);
        for (std::size_t k = 0; k < labels; ++k) {
          const Eigen::Vector3d expected = newton(truths[k], weighted, decay);
          const Eigen::Vector3d ours(found[2 * k], found[2 * k + 1], found[2 * labels + k]);
          EXPECT_LT((ours - expected).norm() / expected.norm(), 1e-4) << name << ", label " << k;
        }
      }
    };
    compare("warm", {&Row::warm}, 0);
    compare("warm|dear", {&Row::dear, &Row::warm}, 0.03);  // labels go by their names
  }
}

TEST_F(Logistic, PredictsAndMeasuresAsTheRunDid) {
  write_rows();
  for (const std::string model : {"linear", "mlp:7"}) {
    const std::string directory =
        trained("--model " + model + data("label=warm|dear,weight=times").substr(14), "run-" + model);
    const Json summary = summary_of(directory);
    for (const std::string& file : {std::string(), std::string("all.csv")}) {
      const Json measures = evaluated(directory, file);
      EXPECT_EQ(measures["samples"], 210);
      for (const char* name : {"accuracy", "subset_accuracy", "macro_f1", "auc", "log_loss", "baseline_accuracy"})
        EXPECT_EQ(measures[name], summary["test_" + std::string(name)]) << name;
    }
    const Json measures = evaluated(directory),
               python = told_by("apply_model.py", directory + "/model " + path("all.csv"));
    EXPECT_NEAR(summary["test_accuracy_consensus"].get<double>(), measures["accuracy"].get<double>(), 1e-9);
    EXPECT_NEAR(summary["test_loss_consensus"].get<double>(), measures["log_loss"].get<double>(), 1e-6);
    for (const char* name : {"accuracy", "subset_accuracy", "macro_f1", "log_loss"})
      EXPECT_NEAR(python[name].get<double>(), measures[name].get<double>(), 1e-5) << name;
    EXPECT_EQ(measures["labels"][0]["label"], "dear");
    EXPECT_GT(measures["labels"][1]["f1"].get<double>(), 0.5);

    const Texts rows = lines_of(predicted(directory, "all.csv"));
    EXPECT_EQ(rows[0], "row,dear,warm,probability of dear,probability of warm");
    ASSERT_EQ(rows.size(), 211u);
    double hits = 0, all = 0;
    for (std::size_t n = 1; n < rows.size(); ++n) {
      const Texts cells = split(rows[n], ',');
      ASSERT_EQ(cells.size(), 5u) << rows[n];
      for (int k = 0; k < 2; ++k) EXPECT_EQ(cells[1 + k] == "1", std::stod(cells[3 + k]) > 0.5) << rows[n];
      all += rows_[n - 1].weight;
      hits += rows_[n - 1].weight * ((cells[1] == "1") == rows_[n - 1].dear);
    }
    EXPECT_NEAR(100 * hits / all, measures["labels"][0]["accuracy"].get<double>(), 1e-9);
    for (int k = 0; k < 2; ++k)
      EXPECT_NEAR(python["probabilities"][k].get<double>(), std::stod(split(rows[1], ',')[3 + k]), 1e-5);
  }
  const Json about = Json::parse(read_file(path("run-linear") + "/model/model.json"));
  EXPECT_EQ(about["loss"], "logistic");
  EXPECT_EQ(about["classes"], Json({"dear", "warm"}));
  EXPECT_EQ(about["label"], "warm|dear");
  EXPECT_EQ(about["features"], Json({"x", "y"}));

  write_file(scratch_ / "unlabelled.csv", "y,x\n0.5,1\n");
  EXPECT_EQ(lines_of(predicted(path("run-linear"), "unlabelled.csv")).size(), 2u);
  expect_error("evaluate " + path("run-linear") + " --data " + path("unlabelled.csv"), "has no column 'dear'");
  write_file(scratch_ / "odd.csv", "x,y,warm,dear\n1,1,1,2\n");
  expect_error("evaluate " + path("run-linear") + " --data " + path("odd.csv"), "odd.csv:2:7: '2' is not 0 or 1", 5);
  const std::string on =
      trained(data("label=dear|warm,weight=times") + " --lr 1e-12 --init " + path("run-linear"), "on");
  const auto before = parameters_of(path("run-linear")), after = parameters_of(on);
  for (std::size_t d = 0; d < before.size(); ++d) EXPECT_NEAR(after[d], before[d], 1e-6);
  expect_error("simulate --quiet --nodes 3 " + data("label=warm,ignore=dear|times") + " --init " + path("run-linear"),
               "a model goes on with all of its labels");
}

TEST_F(Logistic, RareLabelsCountAsMuchWithWeights) {
  std::string rows = "x,rare\n";
  for (int n = 0; n < 600; ++n) {
    const bool rare = n % 20 == 0;
    rows += number(noise() + 1.5 * rare) + (rare ? ",1\n" : ",0\n");
  }
  write_file(scratch_ / "all.csv", rows);
  const auto recall = [&](const std::string& weights, const std::string& name) {
    const Json label =
        evaluated(trained(data("label=rare", "all.csv") + " --local-steps 1" + weights, name, 300))["labels"][0];
    return label["accuracy"].get<double>() + label["predicted"].get<double>();
  };
  EXPECT_LT(recall("", "plain"), 105) << "hardly any is predicted";
  EXPECT_NEAR(recall(" --class-weights balanced", "balanced"), recall(" --class-weights rare=19", "named"), 1e-9)
      << "570 rows without it for 30 with it";
  EXPECT_GT(recall(" --class-weights balanced", "again"), 150);
}

TEST_F(Logistic, LibsvmRowsHaveAnyNumberOfLabels) {
  std::string rows = "10,2 1:1 2:1\n";
  for (int n = 0; n < 150; ++n) {
    const double x = noise(), y = noise();
    std::string labels = x > 0 ? "10" : "";
    if (y + 0.3 * noise() > 0.4) labels += labels.empty() ? "2" : ",2";
    rows += labels + " 1:" + number(x) + " 2:" + number(y) + "\n";
  }
  write_file(scratch_ / "rows.svm", rows);
  const std::string data = "--dataset libsvm --data " + path("rows.svm") + " --test " + path("rows.svm");
  const std::string directory = trained("--model linear --loss logistic " + data);
  const Json measures = evaluated(directory, "rows.svm"),
             python = told_by("apply_model.py", directory + "/model " + path("rows.svm"));
  EXPECT_EQ(Json::parse(read_file(directory + "/model/model.json"))["classes"], Json({"2", "10"})) << "by value";
  EXPECT_GT(measures["accuracy"].get<double>(), 85);
  for (const char* name : {"accuracy", "subset_accuracy", "macro_f1", "log_loss"})
    EXPECT_NEAR(python[name].get<double>(), measures[name].get<double>(), 1e-5) << name;
  expect_error("simulate --quiet --nodes 3 " + data, "--loss logistic learns of each whether a row has it", 5);

  write_file(scratch_ / "none.svm", "1:-2 2:-2\n1:-1 2:-3\n");
  EXPECT_EQ(evaluated(directory, "none.svm")["samples"], 2) << "no row has a label";
  expect_error("simulate --quiet --nodes 2 --loss logistic --model linear --dataset libsvm --data " + path("none.svm") +
                   " --test " + path("none.svm"),
               "no row of any site has a label", 5);

  // Files of one label, as +1 and -1, or 1 and 0: one output.
  for (const std::string none : {"-1", "0"}) {
    std::string binary;
    for (int n = 0; n < 60; ++n)
      binary += (n % 3 != 0 ? none + " 1:" : n % 2 == 0 ? "+1 1:" : "1 1:") + number(noise() + 2 * (n % 3 == 0)) + "\n";
    write_file(scratch_ / "binary.svm", binary);
    const std::string one = trained("--model linear --loss logistic --dataset libsvm --data " + path("binary.svm") +
                                        " --test " + path("binary.svm"),
                                    "binary" + none);
    EXPECT_EQ(parameters_of(one).size(), 2u);
    const Json label = evaluated(one, "binary.svm")["labels"][0];
    EXPECT_EQ(label["present"], 20);
    EXPECT_EQ(evaluated(one, "binary.svm")["log_loss"], summary_of(one)["test_log_loss"]);
  }
}

TEST_F(Logistic, WhatDoesNotFitIsOneLine) {
  write_rows();
  const std::string simulate = "simulate --quiet --nodes 3 ",
                    dataset = "--dataset csv:label=warm|dear,weight=times --data " + path("all.csv");
  expect_error(simulate + dataset, "label=warm|dear names several columns; --loss logistic learns each");
  expect_error(simulate + "--loss logistic " + dataset, "for --loss logistic use --model linear");
  expect_error(simulate + "--loss logistic --model linear --partition classes:1 " + dataset,
               "deals samples by their class, and these have several labels");
  expect_error(simulate + "--loss logistic --model linear --partition dirichlet:1 " + dataset, "use iid, quantity");
  expect_error(simulate + "--loss logistic --model linear --solver pdmm --local-steps 1 " + dataset,
               "no exact proximal step");
  expect_error(simulate + "--loss logistic --model linear --dataset digits",
               "one class a sample; --loss logistic is of");
  const std::string of_all =
      simulate + "--loss logistic --model linear --data " + path("all.csv") + " --dataset csv:label=";
  expect_error(of_all + "x", "all.csv:2:1: '", 5);
  expect_error(of_all + "warm|cold", "has no column 'cold'");
  expect_error(of_all + "warm|warm", "names the column 'warm' twice");
  expect_error(of_all + "warm|dear,ignore=dear", "ignore=dear names the column of the label");
  expect_error(of_all + "warm,label-kind=class", "contradict each other");
  write_file(scratch_ / "gap.csv", "x,warm\n1,1\n2,\n3,0\n");
  expect_error(simulate + "--loss logistic --model linear --dataset csv --data " + path("gap.csv"),
               "gap.csv:3:3: a label or group is missing", 5);
  expect_error("convert --dataset csv:label=warm|dear --data " + path("all.csv") + " --out " + path("folder"),
               "ecl convert writes one label");

  const Outcome told = run(tool("data -n 2 --loss logistic " + dataset));
  EXPECT_EQ(told.exit_code, 0) << told.err;
  EXPECT_NE(told.out.find("2 features, 2 labels"), std::string::npos) << told.out;
  const Outcome prices =
      run(tool("data -n 2 --loss mse --dataset csv:label=x,ignore=warm|dear --data " + path("all.csv")));
  EXPECT_EQ(prices.exit_code, 0) << prices.err;
}

}  // namespace
}  // namespace ecl::test
