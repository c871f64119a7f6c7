// Weights of samples: what a table says, what they do to the loss and to the measures, over one site and several.
#include <Eigen/Cholesky>
#include <cmath>
#include <gtest/gtest.h>

#include "ecl/base/check.hpp"
#include "ecl/data/agreement.hpp"
#include "ecl/models/layers/objective.hpp"
#include "tests/support/trained_models.hpp"

namespace ecl::test {
namespace {

/// Prices at sites of unlike sizes, whose rows weigh from 0 to 8; the heavy ones follow another law.
class Weights : public TrainedModels {
 protected:
  struct Row {
    double x, y, price, weight;
  };
  static constexpr const char* kHeader = "x,w,y,price\n";
  static std::string line(const Row& row) {
    return number(row.x) + "," + number(row.weight) + "," + number(row.y) + "," + number(row.price) + "\n";
  }

  /// site0.csv .. site3.csv and all.csv.
  void write_prices() {
    std::string all = kHeader;
    for (int site = 0; site < 4; ++site) {
      std::string own = kHeader;
      for (int n = 0; n < 8 + 20 * site; ++n) {
        const int weight = (n + site) % 5 == 0 ? 0 : n % 3 == 0 ? 8 : 1 + site;
        const double x = noise() + 0.5 * site, y = noise();
        rows_.push_back({x, y, weight == 8 ? 3 * x + y : 1 - x + 2 * y + noise(), 0.5 * weight});
        own += line(rows_.back()), all += line(rows_.back());
      }
      write_file(scratch_ / ("site" + std::to_string(site) + ".csv"), own);
    }
    write_file(scratch_ / "all.csv", all);
  }

  /// The weighted least squares of all rows, of the label less its mean over its deviation: w of x and y, and the bias.
  Eigen::Vector3d optimum() const {
    double mean = 0, square = 0;
    for (const Row& row : rows_) mean += row.price / static_cast<double>(rows_.size());
    for (const Row& row : rows_) square += std::pow(row.price - mean, 2) / static_cast<double>(rows_.size());
    Eigen::Matrix3d hessian = Eigen::Matrix3d::Zero();
    Eigen::Vector3d slope = Eigen::Vector3d::Zero();
    for (const Row& row : rows_) {
      const Eigen::Vector3d a(row.x, row.y, 1);
      hessian += row.weight * a * a.transpose();
      slope += row.weight * (row.price - mean) / std::sqrt(square) * a;
    }
    return hessian.ldlt().solve(slope);
  }

  /// The distance of a run's model to that, relative.
  double distance(const std::string& directory) const {
    const std::vector<float> found = parameters_of(directory);
    const Eigen::Vector3d expected = optimum();
    return (Eigen::Vector3d(found[0], found[1], found[2]) - expected).norm() / expected.norm();
  }

  std::string prices(const std::string& file, const std::string& more = "") const {
    return "--model linear --loss mse --dataset csv:label=price,weight=w,standardise=0" + more + " --data " +
           path(file) + " --test " + path("all.csv");
  }

  std::vector<Row> rows_;
};

TEST_F(Weights, SitesReachTheWeightedOptimumOfAllRows) {
  write_prices();
  const std::string full = " --batch 1000 --lr 0.2 --lr-schedule constant --local-steps 1 --settle 0";
  for (const std::string mode : {"lock-step", "async"}) {
    const std::string own = trained(prices("site{node}.csv") + full + " --mode " + mode, "own-" + mode, 1500, 4);
    EXPECT_LT(distance(own), 1e-4) << mode;
  }
  const std::string own = path("own-lock-step");
  EXPECT_LT(distance(trained(prices("all.csv") + full, "central", 400, 1)), 1e-4);
  const std::string exact = trained(prices("all.csv") + full + " --solver pdmm --mode lock-step", "pdmm", 100, 4);
  EXPECT_LT(distance(exact), 1e-4);
  EXPECT_LT(summary_of(exact)["distance_to_optimum"].get<double>(), 1e-4) << "the closed form knows weights";
  const std::string plain = "--model linear --loss mse --dataset csv:label=price,ignore=w,standardise=0 --data " +
                            path("site{node}.csv") + " --test " + path("all.csv") + full;
  EXPECT_GT(distance(trained(plain, "plain", 400, 4)), 0.1) << "they matter";
}

TEST_F(Weights, AreAsIfARowWereThereSoOften) {
  write_table("train.csv", 240), write_table("test.csv", 60);
  std::string once = "weight,\"blood, mg\",site,outcome,times\n", often = "weight,\"blood, mg\",site,outcome\n";
  int n = 0;
  for (const std::string& row : lines_of(read_file(scratch_ / "test.csv"))) {
    if (n++ == 0) continue;
    once += row + "," + std::to_string(n % 4) + "\n";
    for (int copy = 0; copy < n % 4; ++copy) often += row + "\n";
  }
  std::string ones = "times," + lines_of(read_file(scratch_ / "train.csv"))[0] + "\n";
  for (const std::string& row : lines_of(read_file(scratch_ / "train.csv")))
    if (row[0] != 'w') ones += "1," + row + "\n";
  write_file(scratch_ / "ones.csv", ones), write_file(scratch_ / "once.csv", once);
  write_file(scratch_ / "often.csv", often);
  const std::string unweighted = trained(tables(), "unweighted"),
                    directory = trained("--dataset csv:label=outcome,group=site,weight=times --data " +
                                            path("ones.csv") + " --test " + path("ones.csv"),
                                        "run");
  EXPECT_EQ(parameters_of(directory), parameters_of(unweighted)) << "weights of 1 change no bit";

  const auto measures = [&](const std::string& run_directory, const std::string& file) {
    const std::string out = path("measures.json");
    EXPECT_EQ(run(tool("evaluate " + run_directory + " --data " + path(file) + " --out " + out)).exit_code, 0);
    Json json = Json::parse(read_file(out));
    json.erase("samples");
    return json;
  };
  const Json weighted = measures(directory, "once.csv"), repeated = measures(unweighted, "often.csv");
  for (const auto& [name, value] : repeated.items())
    if (value.is_number())
      EXPECT_NEAR(weighted[name].get<double>(), value.get<double>(), 1e-9) << name;
    else
      EXPECT_EQ(weighted[name], value) << name;
  const Json python = told_by("apply_model.py", directory + "/model " + path("once.csv"));
  EXPECT_NEAR(python["accuracy"].get<double>(), weighted["accuracy"].get<double>(), 1e-9);
  EXPECT_NEAR(python["log_loss"].get<double>(), weighted["log_loss"].get<double>(), 1e-6);

  const Json model = Json::parse(read_file(directory + "/model/model.json"));
  EXPECT_EQ(model["weight"], "times");
  EXPECT_EQ(model["features"].size(), 2u) << "a weight is no feature";
  EXPECT_EQ(predicted(directory, "test.csv"), predicted(unweighted, "test.csv")) << "nobody asks for it there";
  const Outcome without = run(tool("evaluate " + directory + " --data " + path("test.csv")));
  EXPECT_EQ(without.exit_code, 0);
  EXPECT_NE(without.err.find("no weights here ('times' in training)"), std::string::npos) << without.err;
}

TEST_F(Weights, CountInTheRunsOwnEvaluations) {
  write_prices();
  const std::string directory = trained(
      prices("site{node}.csv").substr(0, prices("site{node}.csv").find(" --test")) + " --compare-local", "own", 60, 4);
  const Json summary = summary_of(directory);
  const Outcome evaluated = run(tool("evaluate " + directory + " --out " + path("measures.json")));
  EXPECT_EQ(evaluated.exit_code, 0) << evaluated.err;
  const Json measures = Json::parse(read_file(path("measures.json")));
  EXPECT_NEAR(measures["rmse"].get<double>(), summary["test_rmse"].get<double>(), 1e-9);
  const Json about = Json::parse(read_file(directory + "/model/model.json"));
  EXPECT_NEAR(std::sqrt(summary["test_loss_consensus"].get<double>()) * about["target"]["deviation"].get<double>(),
              summary["test_rmse"].get<double>(), 1e-5)
      << "metrics.csv's loss is weighted as well, over all sites";
  const Json python = told_by("apply_model.py", directory + "/model " + path("all.csv"));
  ASSERT_EQ(run(tool("evaluate " + directory + " --data " + path("all.csv") + " --out " + path("all.json"))).exit_code,
            0);
  EXPECT_NEAR(python["rmse"].get<double>(), Json::parse(read_file(path("all.json")))["rmse"].get<double>(), 1e-5);
}

TEST_F(Weights, ASiteAloneIsNoLouderForThem) {
  for (int site = 0; site < 2; ++site) {
    std::string rows = "x,w,kind\n";
    for (int n = 0; n < 40; ++n) {
      const double x = noise();
      rows += number(x) + (site == 0 ? ",9" : ",1") + (x + noise() > site ? ",a\n" : ",b\n");
    }
    write_file(scratch_ / ("site" + std::to_string(site) + ".csv"), rows);
  }
  const auto alone = [&](const std::string& how, const std::string& name) {
    const std::string directory =
        trained("--compare-local --dataset csv:label=kind,standardise=0," + how + " --data " + path("site{node}.csv"),
                name, 60, 2);
    std::vector<double> losses;
    for (const std::string& row : lines_of(read_file(directory + "/sites.csv")))
      if (row[0] != 'n') losses.push_back(std::stod(split(row, ',')[8]));
    return losses;
  };
  const auto weighted = alone("weight=w", "weighted"), plain = alone("ignore=w", "plain");
  for (std::size_t site = 0; site < 2; ++site) EXPECT_NEAR(weighted[site], plain[site], 1e-5);
}

TEST_F(Weights, MultiplyWithThoseOfClasses) {
  using namespace layers;
  const Architecture architecture = {Linear{"linear", 3}};
  Objective<double> by_class("softmax", architecture, {1, 1, 2}, Loss::cross_entropy, {2, 0.5, 3}),
      plain("softmax", architecture, {1, 1, 2});
  std::vector<double> w(by_class.dim()), x(8), dw(w.size()), expected(w.size());
  for (double& value : w) value = noise();
  for (double& value : x) value = noise();
  const std::vector<std::int32_t> labels = {0, 1, 2, 2};
  const std::vector<float> weights = {1, 4, 0, 0.5f}, products = {2, 2, 0, 1.5f};
  const double loss = by_class.gradient(w.data(), x.data(), {labels, {}, weights}, dw.data());
  EXPECT_NEAR(loss, plain.gradient(w.data(), x.data(), {labels, {}, products}, expected.data()), 1e-12);
  for (std::size_t d = 0; d < dw.size(); ++d) EXPECT_NEAR(dw[d], expected[d], 1e-12);
  double sum = 0;
  for (std::size_t r = 0; r < 4; ++r)
    sum += products[r] * plain.gradient(w.data(), x.data() + 2 * r, {{labels.data() + r, 1}}, dw.data());
  EXPECT_NEAR(loss, sum / 4, 1e-12);
}

/// n w / (sum of w) of one row is then 5,000: a batch with it has a loss that is no sign of divergence.
TEST_F(Weights, OneThatIsLargeIsNoDivergence) {
  std::string rows = "x,w,kind\n";
  for (int n = 0; n < 10'000; ++n) {
    const double x = noise() + n % 2;
    rows += number(x) + (n == 77 ? ",1e9," : ",1,") + (n % 2 == 0 ? "a\n" : "b\n");
  }
  write_file(scratch_ / "rows.csv", rows);
  EXPECT_NE(summary_of(trained("--batch 1 --lr 1e-4 --dataset csv:label=kind,weight=w --data " + path("rows.csv"),
                               "run", 10'000, 1))["verdict"],
            "diverged");
}

TEST_F(Weights, OfZeroMeasureNothing) {
  write_prices();
  const std::string directory =
      trained("--model linear --loss mse --dataset csv:label=price,weight=w --data " + path("all.csv"));
  std::string rows = kHeader;
  for (Row row : rows_) row.weight = 0, rows += line(row);
  write_file(scratch_ / "zeros.csv", rows);
  expect_error("evaluate " + directory + " --data " + path("zeros.csv"), "all samples have the weight 0", 5);
}

TEST_F(Weights, ThatAreNoneAreRefusedWithTheirPlace) {
  const auto says = [&](const std::string& rows, const std::string& part, int code = 5,
                        const std::string& how = "csv:label=k,weight=w") {
    write_file(scratch_ / "rows.csv", "a,w,k\n1,1,x\n2,1,y\n" + rows);
    expect_error("simulate --quiet --nodes 1 --dataset " + how + " --data " + path("rows.csv"), part, code);
  };
  says("3,-0.5,x\n", "rows.csv:4:3: the weight '-0.5' is below 0");
  says("3,,x\n", "rows.csv:4:3: a weight is missing");
  says("3,nan,x\n", "rows.csv:4:3: a weight is missing");
  says("3,inf,x\n", "rows.csv:4:3: 'inf' is not a");
  says("3,many,x\n", "rows.csv:4:3: 'many' is not a number");
  says("", "has no column 'v'", 2, "csv:label=k,weight=v");
  says("", "weight=k names the column of the label or group", 2, "csv:label=k,weight=k");
  says("", "features=w names the column of the weight", 2, "csv:label=k,weight=w,features=w");
  write_file(scratch_ / "zero.csv", "a,w,k\n1,0,x\n2,0,y\n3,0,x\n4,0,y\n");
  expect_error("simulate --quiet --nodes 1 --dataset csv:label=k,weight=w --data " + path("zero.csv"),
               "all training rows have the weight 0");
}

TEST_F(Weights, AreAnArrayOfTheirOwn) {
  write_prices();
  const std::string parameters = "csv:label=price,weight=w,label-kind=number";
  for (int site = 0; site < 2; ++site)
    ASSERT_EQ(
        run(tool("convert --dataset " + parameters + " --data " + path("site" + std::to_string(site + 1) + ".csv") +
                 " --out " + path("folder" + std::to_string(site))))
            .exit_code,
        0);
  const std::string training = "--model linear --loss mse --mode lock-step --dataset ";
  const std::string table = trained(training + parameters + " --data " + path("site1.csv"), "table", 60, 1),
                    array = trained(training + "npy --data " + path("folder0"), "array", 60, 1);
  EXPECT_EQ(parameters_of(array), parameters_of(table));
  EXPECT_EQ(Json::parse(read_file(array + "/model/model.json"))["weight"], "weights.npy");
  const auto said = [&](const std::string& directory, const std::string& data) {
    return run(tool("evaluate " + directory + " --data " + path(data))).out;
  };
  EXPECT_EQ(said(array, "folder0"), said(table, "site1.csv"));
  std::filesystem::remove(path("folder1") + "/weights.npy");
  expect_error("simulate --quiet --nodes 2 --model linear --loss mse --dataset npy --data " + path("folder{node}"),
               "has no weights of its samples, and node 0");
}

}  // namespace
}  // namespace ecl::test
