#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ecl {

/// How good a classifier is: counts, from which all its measures follow. The counts of parts of the samples, or of
/// several sites, add up to those of all.
class ClassifierMeasures {
 public:
  explicit ClassifierMeasures(int classes);

  /// A sample: its logits, one for each class, and its class, from 0.
  void add(const float* logits, std::int32_t label);
  void add(const ClassifierMeasures& others);

  std::uint64_t samples() const { return samples_; }
  int classes() const { return classes_; }
  /// Samples of class `label` that were taken for `predicted`; counted where there are few enough classes to print.
  std::uint64_t confused(int label, int predicted) const { return confusion_[label * classes_ + predicted]; }
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
  double baseline_accuracy() const;  ///< per cent
  double baseline_log_loss() const;
  int most_frequent() const;

 private:
  int classes_;
  std::uint64_t samples_ = 0;
  double log_loss_ = 0;
  std::vector<std::uint64_t> labels_, predictions_, hits_;  ///< by class
  std::vector<std::uint64_t> confusion_;                    ///< classes x classes: label, prediction
  std::vector<std::uint64_t> bins_[2];                      ///< samples of the two classes by their score
};

/// Probabilities of logits: softmax, in place.
void softmax(float* logits, int classes);

}  // namespace ecl
