// A run's model as other programs get it: what ecl export writes gives, operator by operator in NumPy, what ecl predict
// says of the same rows, from raw inputs and with nothing but the file.
#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ecl/base/params.hpp"
#include "tests/support/trained_models.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;

class Export : public TrainedModels {
 protected:
  static Outcome exported(const std::string& options) {
    Outcome outcome = run(tool("export " + options));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(count(outcome.out, "\n"), 1u) << outcome.out;
    return outcome;
  }

  /// Exports the run's model, runs it on `file`, compares it with ecl predict on `source`, the same if it is not given;
  /// what tests/apply_onnx.py tells.
  Json compared(const std::string& directory, const std::string& file, const std::string& source = "") const {
    const std::string onnx = directory + "/model/model.onnx", out = exported(directory + " --format onnx").out;
    EXPECT_EQ(out.rfind(onnx + ": takes '", 0), 0u) << out;
    Json told = told_by("apply_onnx.py", onnx + " " + path(file));
    const Texts rows = lines_of(predicted(directory, source.empty() ? file : source));
    EXPECT_EQ(told["probabilities"].size() + 1, rows.size());
    const auto names = Json::parse(told["told"]["classes"].get<std::string>()).get<Texts>();
    for (std::size_t n = 1; n < rows.size(); ++n) {
      const auto probabilities = told["probabilities"][n - 1].get<std::vector<double>>();
      const Texts cells = split(rows[n], ',');
      EXPECT_EQ(cells[1], names[told["labels"][n - 1].get<std::size_t>()]) << "row " << n;
      for (std::size_t c = 0; c < probabilities.size(); ++c)
        EXPECT_NEAR(probabilities[c], std::stod(cells[2 + c]), 1e-5) << "row " << n;
    }
    EXPECT_EQ(told["opset"], 13);
    return told;
  }

  static Texts operators(const Json& told) { return told["operators"].get<Texts>(); }
};

TEST_F(Export, NumbersAreScaledInTheGraph) {
  write_table("train.csv", 300), write_table("test.csv", 90);
  const Json softmax = compared(trained(tables() + " --model softmax"), "test.csv");
  EXPECT_EQ(operators(softmax), (Texts{"Sub", "Div", "Gemm", "Softmax", "ArgMax"}));
  EXPECT_EQ(softmax["shapes"]["linear.weight"], Json({2, 2}));
  const Json mlp = compared(trained(tables(",standardise=0") + " --model mlp --hidden 9,5", "run-mlp"), "test.csv");
  EXPECT_EQ(operators(mlp), (Texts{"Gemm", "Relu", "Gemm", "Relu", "Gemm", "Softmax", "ArgMax"}));
}

/// 1e8 and a little: floats hold the numbers to 8, and their mean no better.
TEST_F(Export, TheMeanOfLargeNumbersKeepsItsDigits) {
  std::string text = "when,outcome\n";
  for (int n = 0; n < 200; ++n) {
    const bool late = random_.uniform() < 0.5;
    text +=
        std::to_string(100'000'000 + 8 * static_cast<int>(10 * noise() + 8 * late)) + (late ? ",late\n" : ",soon\n");
  }
  write_file(scratch_ / "rows.csv", text);
  const Json told = compared(trained("--dataset csv --data " + path("rows.csv")), "rows.csv");
  EXPECT_EQ(operators(told), (Texts{"Sub", "Sub", "Div", "Gemm", "Softmax", "ArgMax"}));
}

TEST_F(Export, TextGapsAndUnknownLevelsAreEncodedInTheGraph) {
  write_text_table("train.csv", 200), write_text_table("test.csv", 70);
  std::string rows = read_file(scratch_ / "test.csv");
  write_file(scratch_ / "test.csv", rows + "41,green,day\n?,green,day\n,,night\n");
  const std::string options = " --data " + path("train.csv") + " --test " + path("test.csv");
  for (const std::string missing : {"mean", "indicator", "indicator,standardise=0"}) {
    const std::string directory =
        trained("--model mlp:4 --dataset csv:categorical=auto,missing=" + missing + options, "run-" + missing);
    const Json told = compared(directory, "test.csv");
    EXPECT_EQ(operators(told)[0], "Gather");
    EXPECT_NE(told["text"].get<std::string>().find("colour (0 = black, 1 = red, 2 = white, anything else"),
              std::string::npos);
    EXPECT_NE(told["text"].get<std::string>().find("1 = night"), std::string::npos);
  }
}

TEST_F(Export, GapsInNumbersAloneAreFilled) {
  std::string text = "a,b,kind\n";
  for (int n = 0; n < 120; ++n) {
    if (n % 5 != 0) text += number(noise() + n % 2);
    (text += ',') += number(noise()) + (n % 2 == 0 ? ",even\n" : ",odd\n");
  }
  write_file(scratch_ / "rows.csv", text);
  const Json told = compared(trained("--dataset csv:missing=mean --data " + path("rows.csv")), "rows.csv");
  EXPECT_EQ(operators(told), (Texts{"IsNaN", "Where", "Sub", "Div", "Gemm", "Softmax", "ArgMax"}));
}

TEST_F(Export, WithoutAFillGapsMakeNoPrediction) {
  write_text_table("train.csv", 200);
  const std::string directory = trained("--dataset csv:categorical=auto,missing=drop --data " + path("train.csv"));
  exported(directory + " --format onnx");
  write_file(scratch_ / "gaps.csv", "age,colour\n40,\n,red\n40,red\n40,green\n");
  const Json told = told_by("apply_onnx.py", directory + "/model/model.onnx " + path("gaps.csv"));
  const auto lost = [&](int row) { return told["probabilities"][row][0].is_null(); };
  EXPECT_TRUE(lost(0) && lost(1));
  EXPECT_FALSE(lost(2) || lost(3));
}

TEST_F(Export, NumbersInTheLabelsOwnUnit) {
  std::string text = "a,b,price\n";
  for (int n = 0; n < 150; ++n) {
    const double a = noise(), b = noise();
    ((((text += number(a)) += ",") += number(b)) += ",") += number(5000 + 300 * a - 200 * b) + "\n";
  }
  write_file(scratch_ / "rows.csv", text);
  const std::string directory = trained("--model mlp:5 --loss mse --dataset csv --data " + path("rows.csv"));
  exported(directory + " --format onnx");
  const Json told = told_by("apply_onnx.py", directory + "/model/model.onnx " + path("rows.csv"));
  EXPECT_EQ(operators(told), (Texts{"Sub", "Div", "Gemm", "Relu", "Gemm", "Mul", "Add"}));
  const Texts rows = lines_of(predicted(directory, "rows.csv"));
  ASSERT_EQ(told["predictions"].size() + 1, rows.size());
  for (std::size_t n = 1; n < rows.size(); ++n)
    EXPECT_NEAR(told["predictions"][n - 1].get<double>(), std::stod(split(rows[n], ',')[1]), 5e-3) << "row " << n;
}

TEST_F(Export, LabelsAreDecidedInTheGraph) {
  std::string rows = "x,warm,y,dear\n";
  for (int n = 0; n < 120; ++n) {
    const double x = noise(), y = noise();
    rows += number(x) + (x > 0 ? ",1," : ",0,") + number(y) + (y > x ? ",1\n" : ",0\n");
  }
  write_file(scratch_ / "rows.csv", rows);
  for (const std::string label : {"warm|dear", "warm"}) {
    const std::string directory = trained(
        "--model mlp:5 --loss logistic --dataset csv:label=" + label + " --data " + path("rows.csv"), "run-" + label);
    const std::string onnx = directory + "/model/model.onnx", out = exported(directory + " --format onnx").out;
    EXPECT_NE(out.find("gives 'labels', int64 [N, " + std::to_string(split(label, '|').size()) + "]"),
              std::string::npos);
    const Json told = told_by("apply_onnx.py", onnx + " " + path("rows.csv"));
    EXPECT_EQ(operators(told), (Texts{"Sub", "Div", "Gemm", "Relu", "Gemm", "Sigmoid", "Greater", "Cast"}));
    EXPECT_NE(told["text"].get<std::string>().find("= warm\n"), std::string::npos) << told["text"];
    const Texts predictions = lines_of(predicted(directory, "rows.csv"));
    const std::size_t labels = split(label, '|').size();
    ASSERT_EQ(told["labels"].size() + 1, predictions.size());
    for (std::size_t n = 1; n < predictions.size(); ++n) {
      const Texts cells = split(predictions[n], ',');
      for (std::size_t k = 0; k < labels; ++k) {
        EXPECT_EQ(std::to_string(told["labels"][n - 1][k].get<int>()), cells[1 + k]) << "row " << n;
        EXPECT_NEAR(told["probabilities"][n - 1][k].get<double>(), std::stod(cells[1 + labels + k]), 1e-5);
      }
    }
    exported(directory + " --format npz --out " + path(label + ".npz"));
    const Json arrays = told_by("apply_onnx.py", path(label + ".npz") + " " + directory + "/model/model.safetensors");
    EXPECT_EQ(arrays["same"], true);
    EXPECT_EQ(arrays["about"]["loss"], "logistic");
  }
}

TEST_F(Export, SparseRows) {
  write_sparse_rows("rows.svm");
  const Json told = compared(trained("--dataset libsvm --data " + path("rows.svm")), "rows.svm");
  EXPECT_EQ(told["told"]["feature_count"], "29");
}

TEST_F(Export, ArraysWithNamesOfTheirOwn) {
  write_table("train.csv", 200);
  const std::string convert = "convert --dataset csv:label=outcome,group=site --data ";
  ASSERT_EQ(run(tool(convert + path("train.csv") + " --out " + path("arrays"))).exit_code, 0);
  const Json told = compared(trained("--dataset npy --data " + path("arrays")), "arrays/features.npy");
  EXPECT_EQ(Json::parse(told["told"]["inputs"].get<std::string>())[1]["column"], "blood, mg");
}

TEST_F(Export, PicturesAreBytes) {
  const std::string folder = write_pictures();
  for (const std::string model : {"mlp:16", "cnn", "cnn:padding=2,groups=0", "resnet:8"}) {
    const std::string directory = trained("--dataset mnist --data " + folder + " --model " + model, "run-" + model, 15);
    const Json told = compared(directory, "pictures/t10k-images-idx3-ubyte");
    const Texts all = operators(told);
    EXPECT_EQ((Texts{all.begin(), all.begin() + 4}), (Texts{"Cast", "Div", "Sub", "Div"}));
    if (model != "resnet:8") continue;
    EXPECT_EQ(std::ranges::count(all, "Add"), 3 + 9) << "three blocks, nine norms";
    EXPECT_EQ(told["shapes"]["layer2.0.shortcut.0.weight"], Json({32, 16, 1, 1}));
  }
}

TEST_F(Export, PicturesInColour) {
  fs::create_directory(scratch_ / "colours");
  for (const std::string file :
       {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"}) {
    std::string records;
    for (int n = 0; n < 20; ++n) {
      records += static_cast<char>(n % 10);
      for (int p = 0; p < 3 * 32 * 32; ++p)
        records += static_cast<char>(static_cast<int>(120 * (p / 1024 == n % 3) + 100 * random_.uniform()));
    }
    write_file(scratch_ / ("colours/" + file + ".bin"), records);
  }
  for (const std::string model : {"softmax", "cnn"}) {
    const std::string directory =
        trained("--lr 0.01 --dataset cifar10 --data " + path("colours") + " --model " + model, "run-" + model, 15);
    compared(directory, "colours/test_batch.bin", "colours");
  }
}

TEST_F(Export, ArraysForNumPy) {
  const std::string pictures = trained("--dataset mnist --model cnn --data " + write_pictures(), "run-cnn", 15);
  write_text_table("train.csv", 200);
  const std::string table = trained("--dataset csv:categorical=auto,missing=indicator --data " + path("train.csv"));
  for (const std::string& directory : {pictures, table}) {
    exported(directory + " --format npz");
    const std::string model = directory + "/model/model";
    const Json told = told_by("apply_onnx.py", model + ".npz " + model + ".safetensors");
    EXPECT_EQ(told["same"], true);
    const Json about = Json::parse(read_file(model + ".json"));
    EXPECT_EQ(told["about"], about);
    const Json& others = told["others"];
    if (directory == table) {
      for (const char* name : {"mean", "deviation", "fill"}) EXPECT_EQ(others[name], about[name]) << name;
    } else {
      EXPECT_NEAR(others["mean"][0][0][0].get<double>(), about["pixels"][0]["mean"].get<double>(), 1e-7);
      EXPECT_NEAR(others["deviation"][0][0][0].get<double>(), about["pixels"][0]["deviation"].get<double>(), 1e-7);
    }
  }
}

TEST_F(Export, OfSitesThatScaleByThemselvesSaysWhose) {
  for (int site = 0; site < 3; ++site) write_table("site" + std::to_string(site) + ".csv", 50 + 20 * site);
  const std::string directory = trained("--dataset csv:label=outcome,standardise=own --data " + path("site{node}.csv"));
  expect_error("export " + directory + " --format onnx", "--node");
  exported(directory + " --format onnx --scaling-of 0"), exported(directory + " --format onnx --scaling-of 1");
  EXPECT_NE(read_file(directory + "/model/model-scaled-as-0.onnx"),
            read_file(directory + "/model/model-scaled-as-1.onnx"));
}

TEST_F(Export, WritesWhereItIsToldAndTheSameBytesAgain) {
  write_table("train.csv", 100), write_table("test.csv", 40);
  const std::string directory = trained(tables());
  for (const std::string format : {"onnx", "npz", "safetensors"}) {
    const std::string options = " --format " + format + " --out " + path("other." + format);
    exported(directory + options);
    const std::string first = read_file(path("other." + format));
    EXPECT_FALSE(first.empty());
    exported(directory + "/model" + options);
    EXPECT_EQ(read_file(path("other." + format)), first);
    EXPECT_EQ(fs::exists(directory + "/model/model." + format), format == "safetensors");
  }
  EXPECT_EQ(read_file(path("other.safetensors")), read_file(directory + "/model/model.safetensors"));
}

TEST_F(Export, SaysInALineWhatDoesNotWork) {
  write_table("train.csv", 100), write_table("test.csv", 40);
  const std::string directory = trained(tables());
  expect_error("export", "needs the directory of a run");
  expect_error("export " + directory, "--format onnx");
  expect_error("export " + directory + " --format onx", "did you mean 'onnx'");
  expect_error("export " + directory + " --format safetensors", "model/model.safetensors' is that file already");
  expect_error("export " + path("nothing") + " --format onnx", "there is no directory");
  expect_error("export " + directory + " --format npz --out " + path("no/such/folder.npz"), "cannot", 5);
  const std::string quadratic = trained("--dataset quadratic --model quadratic", "run-quadratic");
  expect_error("export " + quadratic + " --format onnx", "predicts nothing");
}

}  // namespace
}  // namespace ecl::test
