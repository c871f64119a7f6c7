// A run's model in use: ecl predict and ecl evaluate give what the run's own evaluation gave, to the bit, whatever else
// a file holds; a program without ecl's code gives the same; and every way in which rows do not fit is one clear line.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ecl/inference/predictor.hpp"
#include "ecl/inference/samples.hpp"
#include "tests/support/trained_models.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

/// Tables of patients, and what is asked of a model of them.
class Predict : public TrainedModels {
 protected:
  Predict() { write_table("train.csv", 300), write_table("test.csv", 90); }

  Json evaluated(const std::string& directory, const std::string& data = "") const {
    const std::string file = path("measures.json");
    const Outcome outcome =
        run(tool("evaluate " + directory + (data.empty() ? "" : " --data " + data) + " --out " + file));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return Json::parse(read_file(file));
  }
  /// What tests/apply_model.py, without ecl's code, says of the labelled samples in `files`.
  static Json applied(const std::string& directory, const std::string& files) {
    return told_by("apply_model.py", directory + "/model " + files);
  }
};

TEST_F(Predict, EvaluatesAsTheRunDid) {
  for (const std::string model : {"softmax", "mlp --hidden 9,5"}) {
    const std::string directory = trained(tables() + " --model " + model, "run-" + model.substr(0, 3));
    const Json summary = summary_of(directory);
    for (const std::string& data : {std::string(), path("test.csv")}) {
      const Json measures = evaluated(directory, data);
      EXPECT_EQ(measures["samples"], 90);
      EXPECT_EQ(measures["accuracy"], summary["test_accuracy_consensus"]);
      EXPECT_NEAR(measures["log_loss"].get<double>(), summary["test_loss_consensus"].get<double>(), 1e-6);
    }
    const Json python = applied(directory, path("test.csv")), measures = evaluated(directory);
    EXPECT_NEAR(python["accuracy"].get<double>(), summary["test_accuracy_consensus"].get<double>(), 1e-9);
    EXPECT_NEAR(python["log_loss"].get<double>(), measures["log_loss"].get<double>(), 1e-6);
  }
}

TEST_F(Predict, SaysThatTheRunsFilesHaveChanged) {
  const std::string directory = trained("--dataset csv:label=outcome,group=site --data " + path("train.csv"));
  EXPECT_EQ(run(tool("evaluate " + directory)).err, "");
  write_table("train.csv", 350);
  EXPECT_NE(run(tool("evaluate " + directory)).err.find("to train on now: they have changed"), std::string::npos);
}

/// In another order other rows are drawn for the test: some that the model was trained on.
TEST_F(Predict, SaysThatTheRunsTestRowsAreOthers) {
  const auto expect = [&](const std::string& directory, const std::string& name) {
    EXPECT_EQ(run(tool("evaluate " + directory)).err, "");
    std::vector<std::string> lines = lines_of(read_file(path(name)));
    std::sort(lines.begin() + 1, lines.end());
    std::string sorted;
    for (const std::string& line : lines) sorted += line + "\n";
    write_file(scratch_ / name, sorted);
    const std::string said = run(tool("evaluate " + directory)).err;
    EXPECT_EQ(count(said, "the test samples of " + directory + " are not those that it had"), 1u) << said;
    EXPECT_EQ(count(said, "\n"), 1u) << said;
  };
  write_table("train.csv", 300);
  expect(trained("--dataset csv:label=outcome,ignore=site --data " + path("train.csv")), "train.csv");
  for (const char* site : {"site0.csv", "site1.csv", "site2.csv"}) write_table(site, 100);
  expect(trained("--dataset csv:label=outcome,ignore=site --data " + path("site{node}.csv"), "own"), "site1.csv");
}

TEST_F(Predict, GivesTheBitsOfTheRunsOwnEvaluation) {
  Predictor predictor(read_model(trained(tables() + " --model mlp:8") + "/model"));
  DatasetRequest request{path("train.csv"), 3, 1};
  request.test = path("test.csv");
  const Dataset tests = load_dataset(Choice::parse("csv:label=outcome,group=site"), request).test;
  const float* logits = predictor.outputs_of_scaled(tests);
  const std::vector<float> expected(logits, logits + 2 * tests.size());

  const auto samples = open_samples(predictor, path("test.csv"), true);
  Samples::Block block;
  ASSERT_TRUE(samples->next(block));
  EXPECT_EQ(block.data.labels(), tests.labels());
  logits = predictor.outputs(block.data);
  EXPECT_EQ(std::vector<float>(logits, logits + 2 * block.rows.size()), expected);
  EXPECT_FALSE(samples->next(block));
}

TEST_F(Predict, RareClassesCountAsMuchWithWeights) {
  std::string rows = "x,kind\n";
  for (int n = 0; n < 600; ++n) {
    const bool rare = n % 20 == 0;
    rows += number(noise() + 1.5 * rare) + (rare ? ",rare\n" : ",usual\n");
  }
  write_file(scratch_ / "rows.csv", rows);
  const std::string data = "--local-steps 1 --dataset csv --data " + path("rows.csv") + " --test " + path("rows.csv");
  const auto recall = [&](const std::string& weights, const std::string& name) {
    const Json measures = evaluated(trained(data + weights, name, 300));
    return measures["confusion"][0][0].get<double>() / 30;
  };
  EXPECT_LT(recall("", "plain"), 0.2);
  const double balanced = recall(" --class-weights balanced", "balanced");
  EXPECT_GT(balanced, 0.6);
  EXPECT_NEAR(recall(" --class-weights rare=10,usual=0.526316", "named"), balanced, 0.05)
      << "600 / (2 30), 600 / (2 570)";
  std::string comma = read_file(scratch_ / "rows.csv");
  for (std::size_t at = 0; (at = comma.find(",rare", at)) != std::string::npos; at += 9)
    comma.replace(at, 5, ",\"ra,re\"");
  write_file(scratch_ / "comma.csv", comma);
  const auto weighted = [&](const std::string& weights, const std::string& file) {
    return parameters_of(trained("--dataset csv --data " + path(file) + " --class-weights " + weights, weights));
  };
  EXPECT_EQ(weighted("ra,re=10,usual=2", "comma.csv"), weighted("rare=10,usual=2", "rows.csv")) << "a comma in a name";
  expect_error("simulate --quiet --class-weights seldom=3 --dataset csv --data " + path("rows.csv"),
               "no class is 'seldom'");
  expect_error("simulate --quiet --class-weights much --dataset csv --data " + path("rows.csv"),
               "none of none, balanced");
  expect_error("simulate --quiet --class-weights balanced --solver pdmm --local-steps 1 --dataset csv --data " +
                   path("rows.csv"),
               "exact steps know no class weights");
}

TEST_F(Predict, FindsColumnsByName) {
  const std::string directory = trained(tables());
  const std::string expected = predicted(directory, "test.csv");
  EXPECT_EQ(expected.rfind("row,prediction,probability of ill,probability of well\n1,", 0), 0u) << expected;
  EXPECT_EQ(count(expected, "\n"), 91u);

  std::string other = "name;\"blood, mg\";weight\n";  // no label, other order, one more, another separator
  for (const std::string& line : lines_of(read_file(scratch_ / "test.csv"))) {
    if (line[0] == 'w') continue;
    const std::size_t comma = line.find(','), second = line.find(',', comma + 1);
    other += "\"Doe; J\";" + line.substr(comma + 1, second - comma - 1) + ";" + line.substr(0, comma) + "\n";
  }
  write_file(scratch_ / "other.csv", other);
  EXPECT_EQ(predicted(directory, "other.csv"), expected);

  const Outcome outcome =
      run(tool("predict " + directory + " --data " + path("other.csv") + " --out " + path("predictions.csv")));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(read_file(scratch_ / "predictions.csv"), expected);
}

TEST_F(Predict, EncodesTextAndFillsGapsAsInTraining) {
  write_text_table("train.csv", 200), write_text_table("test.csv", 70);
  const std::string options = "--data " + path("train.csv") + " --test " + path("test.csv");
  for (const std::string missing : {"mean", "indicator", "mean,standardise=0"}) {
    const std::string directory =
        trained("--model mlp:4 --dataset csv:categorical=auto,missing=" + missing + " " + options, "run-" + missing);
    const Json summary = summary_of(directory), model = Json::parse(read_file(directory + "/model/model.json"));
    EXPECT_EQ(model["inputs"][1]["levels"], Json({"black", "red", "white"}));
    EXPECT_EQ(model["feature_count"], missing == "indicator" ? 6 : 4);
    EXPECT_EQ(evaluated(directory)["accuracy"], summary["test_accuracy_consensus"]);
    EXPECT_EQ(evaluated(directory, path("test.csv"))["accuracy"], summary["test_accuracy_consensus"]);
    const Json python = applied(directory, path("test.csv"));
    EXPECT_NEAR(python["accuracy"].get<double>(), summary["test_accuracy_consensus"].get<double>(), 1e-9);
    EXPECT_NEAR(python["log_loss"].get<double>(), summary["test_loss_consensus"].get<double>(), 1e-6);
  }
  write_file(scratch_ / "other.csv", "colour,age\ngreen,40\nred,\nblack,41\n");
  const std::string predict = "predict " + path("run-indicator") + " --data " + path("other.csv");
  const Outcome filled = run(tool(predict));
  EXPECT_EQ(filled.exit_code, 0) << filled.err;
  EXPECT_EQ(count(filled.out, "\n"), 4u) << filled.out;
  EXPECT_NE(filled.err.find("1 missing cell was filled"), std::string::npos) << filled.err;
  EXPECT_NE(filled.err.find("1 cell of column 'colour' with a value that no training row had"), std::string::npos);

  trained("--dataset csv:categorical=auto,missing=drop " + options, "run-drop");
  const Outcome dropped = run(tool("predict " + path("run-drop") + " --data " + path("other.csv")));
  EXPECT_EQ(dropped.exit_code, 0) << dropped.err;
  EXPECT_EQ(lines_of(dropped.out)[2], "2,,,") << "a line for each row, so that the two files lie side by side";
  EXPECT_EQ(lines_of(dropped.out).size(), 4u);
  EXPECT_NE(dropped.err.find("1 row with missing cells"), std::string::npos) << dropped.err;
}

TEST_F(Predict, SaysInALineWhatDoesNotFit) {
  const std::string directory = trained(tables()), command = "predict " + directory + " --data ";
  const auto file = [&](const std::string& text) {
    write_file(scratch_ / "rows.csv", text);
    return path("rows.csv");
  };
  expect_error("predict", "needs the directory of a run");
  expect_error("predict " + directory, "--data FILE");
  expect_error("predict " + path("nothing") + " --data " + path("test.csv"), "there is no directory");
  expect_error("predict " + scratch_.path().string() + " --data " + path("test.csv"), "holds no model yet");
  expect_error(command + path("nothing.csv"), "there is no file");
  expect_error(command + file("weight,blood\n1,2\n"), "has no column 'blood, mg'");
  expect_error(command + file("1,2\n3,4\n"), "has no header");
  expect_error(command + file("weight,\"blood, mg\"\n1,2\n1,x\n"), "rows.csv:3:3: 'x' is not a number", 5);
  expect_error(command + file("weight,\"blood, mg\"\n1,2\n,3\n"), "rows.csv:3:1: a value of column 'weight' is missing",
               5);
  expect_error("evaluate " + directory + " --data " + file("weight,\"blood, mg\"\n1,2\n"), "has no column 'outcome'");
  expect_error("evaluate " + directory + " --data " + file("weight,\"blood, mg\",outcome\n1,2,dead\n"),
               "rows.csv:2:5: 'dead' is none of the model's classes", 5);
}

TEST_F(Predict, LeavesNothingHalfWritten) {
  const std::string directory = trained(tables()), out = path("predictions.csv");
  std::string rows = "weight,\"blood, mg\"\n";
  for (int n = 0; n < 20'000; ++n) rows += "1,2\n";
  write_file(scratch_ / "rows.csv", rows + "1,two\n");
  expect_error("predict " + directory + " --data " + path("rows.csv") + " --out " + out, "rows.csv:20002:3", 5);
  for (const auto& entry : fs::directory_iterator(scratch_.path()))
    EXPECT_EQ(entry.path().string().find("predictions"), std::string::npos) << entry.path();
}

TEST_F(Predict, RefusesAModelThatIsDamaged) {
  const std::string directory = trained(tables()), command = "predict " + directory + " --data " + path("test.csv");
  const fs::path json = directory + "/model/model.json", parameters = directory + "/model/model.safetensors";
  const std::string text = read_file(json), values = read_file(parameters);
  write_file(json, text.substr(0, text.size() / 2));
  expect_error(command, "is not what ecl writes there", 5);
  std::string other = text;
  other.replace(other.find("\"softmax\""), 9, "\"mlp:7\"");
  write_file(json, other);
  expect_error(command, "holds other arrays than model mlp:7", 5);
  write_file(json, text), write_file(parameters, values.substr(0, values.size() - 4));
  expect_error(command, "where its header says", 5);
}

TEST_F(Predict, PicturesWithConvolutionsAndResidualBlocks) {
  const fs::path folder = write_pictures();
  for (const std::string model : {"mlp:16", "cnn", "resnet:8"}) {
    const std::string directory =
        trained("--dataset mnist --data " + folder.string() + " --model " + model, "run-" + model, 15);
    const Json summary = summary_of(directory), measures = evaluated(directory);
    EXPECT_EQ(measures["accuracy"], summary["test_accuracy_consensus"]);
    EXPECT_EQ(evaluated(directory, folder.string()), measures);
    const Json python = applied(
        directory, (folder / "t10k-images-idx3-ubyte").string() + " " + (folder / "t10k-labels-idx1-ubyte").string());
    EXPECT_NEAR(python["accuracy"].get<double>(), summary["test_accuracy_consensus"].get<double>(), 1e-9) << model;
    EXPECT_NEAR(python["log_loss"].get<double>(), summary["test_loss_consensus"].get<double>(), 2e-5) << model;

    const std::string whole = predicted(directory, "pictures");
    EXPECT_EQ(predicted(directory, "pictures/t10k-images-idx3-ubyte"), whole) << "pictures without labels";
    const std::string first = lines_of(whole)[1];
    EXPECT_NEAR(std::stod(first.substr(first.find(',', 2) + 1)), python["probabilities"][0].get<double>(), 1e-5);
  }
}

TEST_F(Predict, SparseRowsAndArrays) {
  write_sparse_rows("rows.svm");
  fs::copy_file(path("rows.svm"), path("rows.svm.t"));
  const std::string directory = trained("--dataset libsvm --data " + path("rows.svm"));
  const Json summary = summary_of(directory), measures = evaluated(directory, path("rows.svm.t"));
  EXPECT_EQ(measures["accuracy"], summary["test_accuracy_consensus"]);
  EXPECT_EQ(evaluated(directory)["confusion"], measures["confusion"]);
  const Json python = applied(directory, path("rows.svm"));
  EXPECT_NEAR(python["accuracy"].get<double>(), summary["test_accuracy_consensus"].get<double>(), 1e-9);
  EXPECT_NEAR(python["log_loss"].get<double>(), summary["test_loss_consensus"].get<double>(), 1e-5);
  write_file(scratch_ / "wide.svm", "+1 77:1\n");
  expect_error("predict " + directory + " --data " + path("wide.svm"), "samples of 77 features");

  const Outcome converted = run(
      tool("convert --dataset csv:label=outcome,group=site --data " + path("train.csv") + " --out " + path("arrays")));
  ASSERT_EQ(converted.exit_code, 0) << converted.err;
  const std::string from_arrays = trained("--dataset npy --data " + path("arrays"), "run-of-arrays");
  EXPECT_EQ(evaluated(from_arrays, path("arrays"))["samples"], 300);
  EXPECT_EQ(predicted(from_arrays, "arrays"), predicted(from_arrays, "arrays/features.npy"));
}

TEST_F(Predict, SparseRowsOfAModelThatScales) {
  write_sparse_rows("rows.svm");
  const std::string directory = trained("--dataset libsvm:standardise=1 --data " + path("rows.svm"));
  write_file(scratch_ / "few.svm", "+1 1:0.5 29:1\n-1 3:1\n");
  EXPECT_EQ(evaluated(directory, path("few.svm"))["samples"], 2);
  EXPECT_EQ(evaluated(directory, path("rows.svm"))["samples"], 200);
  fs::copy_file(path("rows.svm"), path("rows.svm.t"));
  expect_error("simulate --quiet --dataset libsvm:test=0.5 --data " + path("rows.svm"), "leave out test=");
}

TEST_F(Predict, NumbersInTheLabelsOwnUnit) {
  const auto rows = [&](int count) {
    std::string text = "x,y,price\n";
    for (int n = 0; n < count; ++n) {
      const double x = noise(), y = noise();
      text += number(x) + "," + number(y) + "," + number(5000 + 300 * x - 200 * y + 50 * noise()) + "\n";
    }
    return text;
  };
  write_file(scratch_ / "train.csv", rows(300)), write_file(scratch_ / "test.csv", rows(100));
  const std::string data = "--dataset csv --data " + path("train.csv") + " --test " + path("test.csv");
  for (const std::string options :
       {"--model linear --loss mse", "--model mlp:8 --loss huber", "--model linear --loss mae"}) {
    const std::string directory =
        trained(options + " --lr 0.1 " + data, "run-" + options.substr(options.rfind(' ') + 1), 800);
    const Json summary = summary_of(directory), measures = evaluated(directory);
    EXPECT_EQ(evaluated(directory, path("test.csv")), measures);
    EXPECT_NEAR(measures["rmse"].get<double>(), 50, 20) << "that of the noise";
    EXPECT_NEAR(measures["baseline_rmse"].get<double>(), 365, 60);
    EXPECT_NEAR(measures["r2"].get<double>(), 0.98, 0.02);
    EXPECT_EQ(summary["test_rmse"], measures["rmse"]);
    const Json python = applied(directory, path("test.csv"));
    EXPECT_NEAR(python["rmse"].get<double>(), measures["rmse"].get<double>(), 1e-3);
    EXPECT_NEAR(python["mae"].get<double>(), measures["mae"].get<double>(), 1e-3);
    const std::vector<std::string> lines = lines_of(predicted(directory, "test.csv"));
    EXPECT_EQ(lines[0], "row,prediction");
    EXPECT_NEAR(std::stod(lines[1].substr(2)), python["first"].get<double>(), 1e-2);
  }
  const Outcome hasty = run(tool("simulate --quiet --nodes 3 --steps 2 --lr 1e-6 --model linear --loss mse " + data));
  EXPECT_NE(hasty.err.find("no better than the labels' mean"), std::string::npos) << hasty.err;
  for (const std::string solver : {"pdmm", "admm", "ecl --batch 1000 --lr 0.1"}) {  // exact steps, and many
    const std::string directory =
        trained("--model linear --loss mse --lr-schedule constant --local-steps 1 --solver " + solver + " " + data,
                "exact-" + solver.substr(0, 3), 400);
    EXPECT_LT(summary_of(directory)["distance_to_optimum"].get<double>(), 1e-4) << solver;
  }
  expect_error("simulate --quiet --nodes 3 " + data, "or --loss mse, learns to predict it", 2);
  expect_error("simulate --quiet --nodes 3 --loss mse " + data, "--model linear", 2);
}

TEST_F(Predict, AnEarlierModelGoesOn) {
  const std::string first = trained(tables() + " --model mlp:6", "first");
  // Without a step worth the name the model is the earlier one, on new rows of another mean, of one class alone.
  std::string rows = "weight,\"blood, mg\",site,outcome\n";
  for (int n = 0; n < 60; ++n)
    rows += number(90 + 5 * noise()) + "," + number(3 + noise()) + "," + std::to_string(n % 3) + ",ill\n";
  write_file(scratch_ / "new.csv", rows);
  const std::string again = "--dataset csv:label=outcome,group=site --data " + path("new.csv") + " --test " +
                            path("test.csv") + " --init " + first + " --model mlp:6";
  const std::string still = trained(again + " --lr 1e-12", "still");
  EXPECT_EQ(evaluated(still)["confusion"], evaluated(first)["confusion"]);
  const Json before = Json::parse(read_file(first + "/model/model.json")),
             after = Json::parse(read_file(still + "/model/model.json"));
  for (const char* kept : {"mean", "deviation", "classes", "inputs"}) EXPECT_EQ(after[kept], before[kept]) << kept;
  const std::string moved = trained(again + " --lr 0.1", "moved");
  EXPECT_NE(parameters_of(moved), parameters_of(first));

  const std::string more = "simulate --quiet --nodes 3 --init " + first + " ";
  expect_error(more + tables(), "give the same --model");
  expect_error(more + tables(",ignore=weight") + " --model mlp:6", "columns, and the earlier model's of 2");
  write_file(scratch_ / "new.csv", rows + "1,2,0,dead\n");
  expect_error(more + "--model mlp:6 --dataset csv:label=outcome,group=site --data " + path("new.csv"),
               "the class 'dead' is none of the earlier model's");
  expect_error("simulate --quiet --init " + path("nothing") + " " + tables(), "there is no directory");
}

TEST_F(Predict, AnEarlierModelKeepsItsLevelsAndItsUnit) {
  write_text_table("train.csv", 200);
  const std::string first =
      trained("--model mlp:4 --dataset csv:categorical=auto,missing=indicator --data " + path("train.csv"), "first");
  std::string rows = "age,colour,kind\n";  // no gap, no white, a level that is new
  for (int n = 0; n < 40; ++n)
    rows += number(50 + noise()) +
            (n % 3 == 0   ? ",green"
             : n % 2 == 0 ? ",red"
                          : ",black") +
            (n % 2 == 0 ? ",day\n" : ",night\n");
  write_file(scratch_ / "new.csv", rows);
  const std::string second =
      trained("--model mlp:4 --dataset csv:categorical=auto --data " + path("new.csv") + " --init " + first, "second");
  EXPECT_EQ(Json::parse(read_file(second + "/model/model.json"))["inputs"],
            Json::parse(read_file(first + "/model/model.json"))["inputs"]);
  EXPECT_EQ(count(summary_of(second)["warnings"].dump(),
                  "of column 'colour' in the training rows with a value that the earlier model does not know"),
            1u);

  std::string prices = "x,price\n";
  for (int n = 0; n < 80; ++n) prices += number(noise()) + "," + number(500 + 30 * noise()) + "\n";
  write_file(scratch_ / "prices.csv", prices);
  const std::string data = "--model linear --loss mse --dataset csv --data " + path("prices.csv");
  const std::string priced = trained(data, "priced"),
                    go_on = trained(data + " --solver local --lr 1e-12 --init " + priced, "go-on");
  EXPECT_EQ(evaluated(go_on), evaluated(priced));
  expect_error(
      "simulate --quiet --nodes 3 --dataset csv:label-kind=class --init " + priced + " --data " + path("prices.csv"),
      "is none of the earlier model's");
}

TEST_F(Predict, OfSitesThatScaleByThemselvesSaysWhose) {
  for (int site = 0; site < 3; ++site) write_table("site" + std::to_string(site) + ".csv", 50 + 20 * site);
  const std::string directory = trained("--dataset csv:label=outcome,standardise=own --data " + path("site{node}.csv"));
  expect_error("predict " + directory + " --data " + path("site0.csv"), "--scaling-of NODE");
  const Outcome first = run(tool("predict " + directory + " --scaling-of 0 --data " + path("site0.csv"))),
                other = run(tool("predict " + directory + " --scaling-of 1 --data " + path("site0.csv")));
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(count(first.out, "\n"), 51u);
  EXPECT_NE(first.out, other.out);
  expect_error("predict " + directory + " --scaling-of 7 --data " + path("site0.csv"), "no node 7 (0 .. 2)");
  expect_error("predict " + directory + " --node 1 --data " + path("site0.csv"),
               "--scaling-of 1 is the average model with its scaling");
  EXPECT_EQ(evaluated(directory)["accuracy"], summary_of(directory)["test_accuracy_consensus"]) << "each by its own";

  const std::string again = trained(
      "--dataset csv:label=outcome --data " + path("site{node}.csv") + " --solver local --lr 1e-12 --init " + directory,
      "again");
  EXPECT_EQ(evaluated(again), evaluated(directory)) << "each site goes on with a scaling of its own";
  EXPECT_EQ(read_file(again + "/model/model-2.json").find("\"mean\": null"), std::string::npos);
}

TEST_F(Predict, TablesWithoutAHeaderAreReadByPosition) {
  std::string rows;
  for (int n = 0; n < 120; ++n) {
    const bool dark = n % 2 == 0;
    rows += number(noise() + dark) + (dark ? ",black" : n % 3 == 0 ? ",red" : ",white") + (dark ? ",1\n" : ",0\n");
  }
  write_file(scratch_ / "rows.csv", rows);
  const std::string directory =
      trained("--dataset csv:categorical=auto --data " + path("rows.csv") + " --test " + path("rows.csv"));
  EXPECT_EQ(Json::parse(read_file(directory + "/model/model.json"))["features"].size(), 0u);
  EXPECT_EQ(evaluated(directory, path("rows.csv"))["accuracy"], summary_of(directory)["test_accuracy_consensus"]);
  write_file(scratch_ / "one.csv", "0.5,red\n");
  const Outcome one = run(tool("predict " + directory + " --data " + path("one.csv")));
  EXPECT_EQ(count(one.out, "\n"), 2u) << "0.5 is no name";
  EXPECT_EQ(count(one.err, "the first line was taken for a row"), 1u) << one.err;
  write_file(scratch_ / "one.csv", "half,red\n");
  expect_error("predict " + directory + " --data " + path("one.csv"), "perhaps the first row was taken for one", 5);
  expect_error("evaluate " + directory + " --data " + path("one.csv"), "no column '3', the label");
  write_file(scratch_ / "named.csv", "size,colour\n0.5,red\n0.25,black\n");
  const Outcome named = run(tool("predict " + directory + " --data " + path("named.csv")));
  EXPECT_EQ(count(named.out, "\n"), 3u);
  EXPECT_EQ(count(named.err, "the first line was taken for the names of columns: 'size' ..."), 1u) << named.err;
  write_file(scratch_ / "gap.csv", "-,red\n0.25,black\n");
  EXPECT_EQ(count(run(tool("predict " + directory + " --data " + path("gap.csv"))).err, "names of columns"), 1u);
  write_file(scratch_ / "gap.csv", "none,1\n0.25,2\n");
  expect_error("predict " + directory + " --data " + path("gap.csv"), "gap.csv:1:1: 'none' is not a number", 5);
}

/// With a column less all others would be taken for their neighbours.
TEST_F(Predict, NumberedColumnsAreAllThereOrTheFeaturesAlone) {
  std::string rows, features, unlabelled;
  for (int n = 0; n < 120; ++n) {
    const std::string x = number(noise() + n % 2), y = number(noise()), junk = number(noise());
    rows += std::to_string(n % 2) + "," + x + "," + y + "," + junk + "\n";
    features += x + "," + y + "\n", unlabelled += x + "," + y + "," + junk + "\n";
  }
  write_file(scratch_ / "rows.csv", rows), write_file(scratch_ / "features.csv", features);
  write_file(scratch_ / "unlabelled.csv", unlabelled);
  const std::string directory = trained("--dataset csv:label=1,ignore=4 --data " + path("rows.csv"));
  EXPECT_EQ(predicted(directory, "features.csv"), predicted(directory, "rows.csv"));
  expect_error("predict " + directory + " --data " + path("unlabelled.csv"),
               "has 3 columns; the model was trained on a table of 4 columns without names, of which 2 are features");
  const std::string file = directory + "/model/model.json";
  Json json = Json::parse(read_file(file));
  EXPECT_EQ(json["column_count"], 4);
  json.erase("column_count");
  write_file(file, json.dump());
  EXPECT_EQ(predicted(directory, "features.csv"), predicted(directory, "rows.csv")) << "a model of before";
}

TEST_F(Predict, TruthIsOneClassHoweverItIsWritten) {
  std::string rows, other;
  for (int n = 0; n < 60; ++n) {
    const std::string x = number(noise() + 2 * (n % 2));
    rows += x + (n % 2 == 0 ? ",FALSE\n" : ",TRUE\n"), other += x + (n % 2 == 0 ? ",0\n" : ",true\n");
  }
  write_file(scratch_ / "rows.csv", "x,kind\n" + rows), write_file(scratch_ / "other.csv", "x,kind\n" + other);
  const std::string directory = trained("--dataset csv --data " + path("rows.csv"));
  EXPECT_EQ(evaluated(directory, path("other.csv")), evaluated(directory, path("rows.csv")));
}

TEST_F(Predict, NamesakesAreRefused) {
  write_file(scratch_ / "rows.csv", "x,x,kind\n1,2,a\n2,3,b\n3,1,a\n");
  expect_error("simulate --quiet --nodes 1 --dataset csv --data " + path("rows.csv"),
               "columns 1 and 2 have the same name, 'x'");
  const std::string directory = trained(tables());
  write_file(scratch_ / "rows.csv", "weight,weight,\"blood, mg\"\n1,2,3\n");
  expect_error("predict " + directory + " --data " + path("rows.csv"), "two columns 'weight'");
}

TEST_F(Predict, LongCodesOfTestRowsAreNotMisread) {
  std::string train = "code,y\n", test = "code,y\n";
  for (int n = 0; n < 60; ++n) train += n % 3 == 0 ? "100000001,a\n" : n % 3 == 1 ? "100000002,b\n" : "X1,a\n";
  for (int n = 0; n < 10; ++n) test += "100000001,a\n100000002,b\n";
  write_file(scratch_ / "codes.csv", train), write_file(scratch_ / "numbers.csv", test);
  const std::string files = " --data " + path("codes.csv") + " --test " + path("numbers.csv");
  expect_error(
      "simulate --quiet --nodes 2 --dataset csv:label=y,categorical=auto" + files,
      "ecl: test rows of '" + path("codes.csv") + "': column 'code' holds numbers of more digits than features keep");
  EXPECT_EQ(summary_of(trained("--dataset csv:label=y,categorical=code" + files))["test_accuracy_consensus"], 100);
}

TEST_F(Predict, RowsOfNothingButTabsCount) {
  std::string rows = "x\ty\tkind\n";
  for (int n = 0; n < 60; ++n)
    rows += number(noise() + n % 2) + "\t" + number(noise()) + (n % 2 ? "\ta\n" : "\tb, c\n");
  write_file(scratch_ / "rows.tsv", rows);
  const auto lines = [&](const std::string& missing) {
    const std::string directory =
        trained("--dataset csv:label=kind,missing=" + missing + " --data " + path("rows.tsv"), missing);
    write_file(scratch_ / "new.tsv", "x\ty\n1\t2\n\t\n\n4\t5\n");
    return lines_of(predicted(directory, "new.tsv"));
  };
  EXPECT_EQ(lines("mean").size(), 4u);
  const auto dropped = lines("drop");
  ASSERT_EQ(dropped.size(), 4u);
  EXPECT_EQ(dropped[0], "row,prediction,probability of a,\"probability of b, c\"");
  EXPECT_EQ(dropped[2], "2,,,") << "as many cells as the header";
}

TEST_F(Predict, LongCodesAreLevelsOfTheirOwn) {
  std::string rows = "code,kind\n";
  for (int n = 0; n < 80; ++n) rows += std::to_string(100000001 + n % 4) + (n % 4 < 2 ? ",a\n" : ",b\n");
  write_file(scratch_ / "rows.csv", rows);
  const std::string directory = trained("--dataset csv:categorical=code --data " + path("rows.csv"));
  EXPECT_EQ(Json::parse(read_file(directory + "/model/model.json"))["inputs"][0]["levels"],
            Json({"100000001", "100000002", "100000003", "100000004"}));
  EXPECT_EQ(evaluated(directory, path("rows.csv"))["accuracy"], 100);
}

TEST_F(Predict, AnEarlierModelMeetsGapsThatItDidNotKnow) {
  write_text_table("gaps.csv", 100);
  std::string whole = "age,colour,kind\n";
  for (int n = 0; n < 90; ++n) whole += number(40 + 9 * noise()) + (n % 2 == 0 ? ",black,night\n" : ",red,day\n");
  write_file(scratch_ / "whole.csv", whole);
  const std::string csv = "--dataset csv:ignore=colour", gaps = " --data " + path("gaps.csv");
  const std::string first = trained(csv + " --data " + path("whole.csv"), "first");
  const std::string second = trained(csv + ",missing=indicator" + gaps + " --init " + first, "second");
  EXPECT_EQ(evaluated(second, path("gaps.csv"))["samples"], 100) << "filled by the earlier means, without an indicator";
  const std::string raw = trained(csv + ",standardise=0 --data " + path("whole.csv"), "raw");
  expect_error("simulate --quiet --nodes 3 " + csv + ",missing=mean" + gaps + " --init " + raw, "has no means to fill");

  const std::string filled = trained(csv + ",missing=mean" + gaps, "filled");
  ASSERT_EQ(run(tool("convert " + csv + " --data " + path("whole.csv") + " --out " + path("arrays"))).exit_code, 0);
  EXPECT_GT(parameters_of(trained("--dataset npy --data " + path("arrays") + " --init " + filled, "mapped")).size(),
            0u);
}

}  // namespace
}  // namespace ecl::test
