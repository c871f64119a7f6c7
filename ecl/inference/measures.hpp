#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ecl/base/archive.hpp"
#include "ecl/contracts/dataset.hpp"
#include "ecl/contracts/model.hpp"

/// How good a model is: counts and sums, from which all measures follow. Those of parts of the samples, or of several
/// sites, add up to those of all. A sample counts as much as its weight, as with scikit-learn's sample_weight.
namespace ecl {

class ClassifierMeasures {
 public:
  /// `bins`: that the scores of two classes fall into.
  explicit ClassifierMeasures(int classes, std::size_t bins = kBins);
  static constexpr std::size_t kBins = std::size_t{1} << 16;
  /// Of measures that are told to other sites: a score of a single row is not to be read from them.
  static constexpr std::size_t kBinsBetweenSites = 256;

  /// A sample: its logits, one for each class, and its class, from 0.
  void add(const float* logits, std::int32_t label, double weight = 1);
  void add(const ClassifierMeasures& others);

  std::uint64_t samples() const { return samples_; }
  double weight() const { return weight_; }  ///< of them all
  int classes() const { return classes_; }
  /// Samples (their weights) of class `label` that were taken for `predicted`; counted where there are few enough
  /// classes to print.
  double confused(int label, int predicted) const { return confusion_[label * classes_ + predicted]; }
  bool counts_confusion() const { return !confusion_.empty(); }

  double accuracy() const;           ///< per cent of the samples
  double balanced_accuracy() const;  ///< per cent of each class that there are samples of, their mean
  double macro_f1() const;           ///< 0 .. 1: mean of the F1 of each class with samples or predictions
  double log_loss() const;           ///< mean of -log of the probability that was given to the class
  /// Of two classes: the probability that a sample of the second gets a higher score than one of the first. Scores fall
  /// into bins, so it is off by `error` at most. None for other numbers of classes, or where one has no samples.
  struct Auc {
    double value, error;
  };
  std::optional<Auc> auc() const;

  /// What the same measures are for whoever knows the classes' frequencies and looks at no feature: always says the
  /// most frequent class, gives each class its frequency as probability.
  double baseline_accuracy() const;           ///< per cent
  double baseline_balanced_accuracy() const;  ///< all of one class, and none of the others that there are samples of
  double baseline_log_loss() const;
  int most_frequent() const;

  void archive(Archive& archive);

 private:
  int classes_;
  std::uint64_t samples_ = 0;
  double weight_ = 0, log_loss_ = 0;
  std::vector<double> labels_, predictions_, hits_;  ///< by class
  std::vector<double> confusion_;                    ///< classes x classes: label, prediction
  std::vector<double> bins_[2];                      ///< samples of the two classes by their score
};

/// Of samples with any number of labels: each label is two classes, not there and there.
class LabelMeasures {
 public:
  explicit LabelMeasures(int labels, std::size_t bins = ClassifierMeasures::kBins);

  /// A sample: for each label its logit, and 1 or 0. Above 0 it is predicted.
  void add(const float* logits, const float* present, double weight = 1);
  void add(const LabelMeasures& others);

  std::uint64_t samples() const { return each_[0].samples(); }
  double weight() const { return each_[0].weight(); }  ///< of them all
  const std::vector<ClassifierMeasures>& each() const { return each_; }
  double accuracy() const;         ///< per cent of the labels of all samples (1 less the Hamming loss)
  double subset_accuracy() const;  ///< per cent of the samples with all labels right
  double macro_f1() const;         ///< 0 .. 1: mean over the labels that a sample has or is given
  double log_loss() const;         ///< mean over the samples of the sum over the labels
  std::optional<ClassifierMeasures::Auc> auc() const;  ///< mean over the labels that some samples have and some not
  double baseline_accuracy() const;                    ///< of saying of each label what most samples say
  double baseline_log_loss() const;

  void archive(Archive& archive);

 private:
  /// Mean over the labels.
  double mean(double (ClassifierMeasures::*measure)() const) const;

  std::vector<ClassifierMeasures> each_;
  double all_right_ = 0;
};

/// Of a label's two classes: 2 hits / (samples with it + predictions of it); none where both are 0.
std::optional<double> f1_of_label(const ClassifierMeasures& label);

class RegressionMeasures {
 public:
  /// `scale`: what outputs and targets are scaled by; the measures are in the label's own unit.
  explicit RegressionMeasures(const TargetScale& scale) : scale_(scale) {}

  void add(float output, float target, double weight = 1);
  void add(const RegressionMeasures& others);

  std::uint64_t samples() const { return samples_; }
  double weight() const { return weight_; }  ///< of them all
  double rmse() const;
  double mae() const;
  double r2() const;             ///< 1 - squared errors / squared distances to the samples' own mean
  double baseline_rmse() const;  ///< of the mean of these samples: their standard deviation

  void archive(Archive& archive) { archive(samples_, weight_, absolute_, square_, sum_, sum_of_squares_); }

 private:
  TargetScale scale_;
  std::uint64_t samples_ = 0;
  double weight_ = 0;
  double absolute_ = 0, square_ = 0;     ///< errors, scaled
  double sum_ = 0, sum_of_squares_ = 0;  ///< of the targets, scaled
};

/// Of whichever kind the model is.
class Measures {
 public:
  explicit Measures(ClassifierMeasures classes) : kind_(std::move(classes)) {}
  explicit Measures(LabelMeasures labels) : kind_(std::move(labels)) {}
  explicit Measures(RegressionMeasures numbers) : kind_(numbers) {}
  /// Of a model with that loss; nothing is measured yet. `target`: of a regression. `bins`: that scores fall into.
  static Measures of(Loss loss, int classes, const std::optional<TargetScale>& target, std::size_t bins);

  /// `outputs`: of the model for the samples of `data`, row-major.
  void add(const Dataset& data, const float* outputs);
  /// The same of all samples, scaled, for the parameters x; block after block, whatever their number.
  void add(Model& model, CVec x, const Dataset& data);
  void add(const Measures& others);
  std::uint64_t samples() const;
  double weight() const;
  /// Those that there are, by name, as in summary.json: accuracy, macro_f1 ..., or rmse, r2 ...
  std::vector<std::pair<std::string, double>> named() const;

  const ClassifierMeasures* classifier() const { return std::get_if<ClassifierMeasures>(&kind_); }
  const LabelMeasures* labels() const { return std::get_if<LabelMeasures>(&kind_); }
  const RegressionMeasures* regression() const { return std::get_if<RegressionMeasures>(&kind_); }
  void archive(Archive& archive);

 private:
  std::variant<ClassifierMeasures, LabelMeasures, RegressionMeasures> kind_;
};

/// Probabilities of logits: softmax, in place.
void softmax(float* logits, int classes);
/// Of one logit.
float sigmoid(float logit);

}  // namespace ecl
