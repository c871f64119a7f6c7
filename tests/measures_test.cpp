// What a classifier's counts say, by hand; the file format that models are kept in, whole and damaged.
#include "ecl/inference/measures.hpp"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/base/random.hpp"
#include "ecl/base/safetensors.hpp"
#include "tests/support/files.hpp"

namespace ecl {
namespace {

/// A sample of class `label` that the model takes for `predicted` with a logit of log 3 against 0.
void add(ClassifierMeasures& measures, int label, int predicted) {
  std::vector<float> logits(measures.classes(), 0.0f);
  logits[predicted] = std::log(3.0f);
  measures.add(logits.data(), label);
}

TEST(Measures, FollowFromTheCountsOfThreeClasses) {
  ClassifierMeasures measures(3);
  // Of class 0 three right, one taken for 1; of class 1 one right, one taken for 0; of class 2 none.
  for (const auto& [label, predicted] : {std::pair{0, 0}, {0, 0}, {0, 0}, {0, 1}, {1, 1}, {1, 0}})
    add(measures, label, predicted);
  EXPECT_EQ(measures.samples(), 6u);
  EXPECT_EQ(measures.confused(0, 1), 1u);
  EXPECT_DOUBLE_EQ(measures.accuracy(), 100 * 4.0 / 6);
  EXPECT_DOUBLE_EQ(measures.balanced_accuracy(), 100 * (3.0 / 4 + 1.0 / 2) / 2) << "class 2 has no sample";
  EXPECT_DOUBLE_EQ(measures.macro_f1(), (2 * 3.0 / (4 + 4) + 2 * 1.0 / (2 + 2)) / 2);
  EXPECT_NEAR(measures.log_loss(), (4 * std::log(5.0 / 3) + 2 * std::log(5.0)) / 6, 1e-7);
  EXPECT_DOUBLE_EQ(measures.baseline_accuracy(), 100 * 4.0 / 6);
  EXPECT_DOUBLE_EQ(measures.baseline_balanced_accuracy(), 50) << "all of class 0, none of class 1";
  EXPECT_DOUBLE_EQ(measures.baseline_log_loss(), -(4.0 / 6 * std::log(4.0 / 6) + 2.0 / 6 * std::log(2.0 / 6)));
  EXPECT_FALSE(measures.auc());
}

TEST(Measures, OfPartsAddUp) {
  Random random(1, Purpose::test);
  ClassifierMeasures whole(2), first(2), second(2);
  for (int n = 0; n < 1000; ++n) {
    const int label = random.uniform() < 0.3;
    const float logits[] = {0, static_cast<float>(4 * random.uniform() - 2 + label)};
    whole.add(logits, label), (n < 300 ? first : second).add(logits, label);
  }
  first.add(second);
  EXPECT_EQ(first.samples(), whole.samples());
  EXPECT_EQ(first.confused(1, 0), whole.confused(1, 0));
  EXPECT_EQ(first.auc()->value, whole.auc()->value);
  EXPECT_NEAR(first.log_loss(), whole.log_loss(), 1e-12);
}

TEST(Measures, OfLabelsAreThoseOfEachAndOfAllTogether) {
  LabelMeasures measures(3);  // the third is nobody's, and never predicted
  const float high = std::log(3.0f), rows[][3] = {{high, -high, -high}, {high, high, -high}, {-high, -high, -high}};
  const float present[][3] = {{1, 0, 0}, {1, 0, 0}, {1, 1, 0}};
  const double weights[] = {1, 2, 1};
  for (int n = 0; n < 3; ++n) measures.add(rows[n], present[n], weights[n]);
  EXPECT_EQ(measures.samples(), 3u);
  EXPECT_DOUBLE_EQ(measures.accuracy(), 100 * (3.0 / 4 + 1.0 / 4 + 1) / 3);
  EXPECT_DOUBLE_EQ(measures.subset_accuracy(), 100 * 1.0 / 4);
  EXPECT_DOUBLE_EQ(measures.macro_f1(), (2 * 3.0 / (4 + 3) + 0) / 2) << "2 hits / (samples + predictions)";
  EXPECT_NEAR(measures.log_loss(),
              (1 * 3 * std::log(4.0 / 3) + 2 * (2 * std::log(4.0 / 3) + std::log(4.0)) +
               1 * (2 * std::log(4.0) + std::log(4.0 / 3))) /
                  4,
              1e-6);
  EXPECT_DOUBLE_EQ(measures.baseline_accuracy(), 100 * (1 + 3.0 / 4 + 1) / 3);
  EXPECT_NEAR(measures.baseline_log_loss(), -(0.25 * std::log(0.25) + 0.75 * std::log(0.75)), 1e-12);
  EXPECT_NEAR(measures.auc()->value, (2.0 / 3 * 0 + 1.0 / 3 * 0.5), measures.auc()->error + 1e-9)
      << "of the second label alone: the one with it ties with the first row, and is below the second";
  LabelMeasures zero(1);
  const float none = 0;
  zero.add(&none, &none);
  EXPECT_DOUBLE_EQ(zero.accuracy(), 100) << "a logit of 0 says no";
}

/// Who goes by the probability tells the labels that the logit tells.
TEST(Measures, AProbabilityIsAboveOneHalfWhereItsLogitIsAboveNone) {
  for (const float logit : {1e-38f, 1e-9f, 5e-8f, 1e-7f, 1e-3f, 1.0f, 100.0f}) {
    EXPECT_GT(sigmoid(logit), 0.5f) << logit;
    EXPECT_LE(sigmoid(-logit), 0.5f) << logit;
    EXPECT_NEAR(sigmoid(logit), 1 / (1 + std::exp(-static_cast<double>(logit))), 1e-7) << logit;
  }
  EXPECT_EQ(sigmoid(0), 0.5f);
}

/// What ranks gather is of the same size at all.
TEST(Measures, OfSitesTakeAsManyBytesWhateverTheyHold) {
  ClassifierMeasures nothing(2, ClassifierMeasures::kBinsBetweenSites), some(2, ClassifierMeasures::kBinsBetweenSites);
  for (int n = 0; n < 50; ++n) add(some, n % 2, n % 3 == 0);
  Archive empty, full;
  empty(nothing), full(some);
  EXPECT_EQ(empty.bytes().size(), full.bytes().size());
  Archive loaded(full.bytes(), "full");
  loaded(nothing);
  EXPECT_EQ(nothing.auc()->value, some.auc()->value);
}

TEST(Measures, TravelAsBytes) {
  ClassifierMeasures classes(2);
  RegressionMeasures numbers({.mean = 3, .deviation = 2});
  for (int n = 0; n < 50; ++n) {
    const float logits[] = {0, static_cast<float>(n % 7 - 3)};
    classes.add(logits, n % 3 == 0);
    numbers.add(static_cast<float>(n % 5), static_cast<float>(n % 7));
  }
  LabelMeasures labels(2);
  for (int n = 0; n < 50; ++n) {
    const float logits[] = {static_cast<float>(n % 7 - 3), static_cast<float>(n % 5 - 2)},
                present[] = {static_cast<float>(n % 2), static_cast<float>(n % 3 == 0)};
    labels.add(logits, present, 0.1 * n);
  }
  for (const Measures& sent : {Measures(classes), Measures(numbers), Measures(labels)}) {
    Measures copy = sent, taken = sent.classifier() ? Measures(ClassifierMeasures(2))
                                  : sent.labels()   ? Measures(LabelMeasures(2))
                                                    : Measures(RegressionMeasures({3, 2}));
    Archive out;
    out(copy);
    Archive in(out.bytes(), "test");
    in(taken);
    in.finish();
    EXPECT_EQ(taken.named(), sent.named());
  }
}

TEST(Measures, OfNumbersAreInTheLabelsUnit) {
  RegressionMeasures measures({.mean = 10, .deviation = 4});  // labels 6, 10, 14; predictions 8, 10, 10
  measures.add(-0.5, -1), measures.add(0, 0), measures.add(0, 1);
  EXPECT_NEAR(measures.rmse(), std::sqrt((4.0 + 0 + 16) / 3), 1e-12);
  EXPECT_NEAR(measures.mae(), 2, 1e-12);
  EXPECT_NEAR(measures.baseline_rmse(), std::sqrt(32.0 / 3), 1e-12);
  EXPECT_NEAR(measures.r2(), 1 - 20.0 / 32, 1e-12);
  RegressionMeasures equal({.mean = 10, .deviation = 4});
  for (int n = 0; n < 1500; ++n) equal.add(0, 0.7f, 0.1);
  EXPECT_TRUE(std::isnan(equal.r2())) << equal.r2() << ": there is nothing to explain";
  EXPECT_EQ(equal.baseline_rmse(), 0);
}

TEST(Measures, AucIsTheShareOfPairsInTheRightOrder) {
  Random random(2, Purpose::test);
  std::vector<double> scores[2];
  ClassifierMeasures measures(2);
  for (int n = 0; n < 800; ++n) {
    const int label = n % 2;
    const auto score = static_cast<float>(6 * random.uniform() + 2 * label - 3);
    const float logits[] = {0, score};
    measures.add(logits, label);
    scores[label].push_back(score);
  }
  double ordered = 0;
  for (const double low : scores[0])
    for (const double high : scores[1]) ordered += high > low ? 1 : high == low ? 0.5 : 0;
  const auto auc = measures.auc();
  EXPECT_NEAR(auc->value, ordered / (400.0 * 400.0), auc->error + 1e-12);
  EXPECT_LT(auc->error, 1e-4);

  ClassifierMeasures coarse(2, ClassifierMeasures::kBinsBetweenSites);
  for (const int label : {0, 1})
    for (const double score : scores[label]) {
      const float logits[] = {0, static_cast<float>(score)};
      coarse.add(logits, label);
    }
  EXPECT_NEAR(coarse.auc()->value, auc->value, coarse.auc()->error);
  EXPECT_LT(coarse.auc()->error, 0.01);

  ClassifierMeasures same(2);  // one score for all: no order at all
  for (int n = 0; n < 10; ++n) add(same, n % 2, 0);
  EXPECT_DOUBLE_EQ(same.auc()->value, 0.5);
}

class SafetensorsFile : public testing::Test {
 protected:
  void write(const std::string& content) const { test::write_file(scratch_ / "a", content); }
  Safetensors read() const { return read_safetensors((scratch_ / "a").string()); }
  std::string error() const {
    try {
      read();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::io);
      return error.what();
    }
    return "";
  }
  static std::string bytes_of(const std::vector<float>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
  }

  const std::vector<float> values_ = {1, 2, 3, 4, 5, 6, -7};
  const std::string whole_ =
      safetensors_header({{"fc.weight", {2, 3}}, {"a \"name\"", {1}}}, {{"format", "pt"}}) + bytes_of(values_);
  const test::Scratch scratch_;
};

TEST_F(SafetensorsFile, ComesBackAsItWas) {
  write(whole_);
  const Safetensors file = read();
  ASSERT_EQ(file.tensors.size(), 2u);
  EXPECT_EQ(file.tensors[0].name, "fc.weight");
  EXPECT_EQ(file.tensors[0].shape, (std::vector<std::size_t>{2, 3}));
  EXPECT_EQ(file.tensors[1].name, "a \"name\"");
  EXPECT_EQ(file.values, values_);
}

TEST_F(SafetensorsFile, ThatIsDamagedIsRefused) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{30}, whole_.size() - 1}) {
    write(whole_.substr(0, size));
    EXPECT_NE(error(), "") << size;
  }
  write(whole_ + "1234");
  EXPECT_NE(error(), "");
  std::string huge = whole_;
  huge[7] = '\x7f';  // a header longer than any file
  write(huge);
  EXPECT_NE(error(), "");
  std::string wrong = whole_;
  wrong.replace(wrong.find("F32"), 3, "F64");
  write(wrong);
  EXPECT_NE(error().find("not as floats"), std::string::npos) << error();
  wrong = whole_;
  wrong.replace(wrong.find("[2,3]"), 5, "[2,4]");
  write(wrong);
  EXPECT_NE(error().find("'fc.weight' another length"), std::string::npos) << error();
}

}  // namespace
}  // namespace ecl
