#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ecl/inference/measures.hpp"
#include "ecl/inference/trained_model.hpp"

namespace ecl {

/// A trained model at work.
class Predictor {
 public:
  /// Throws Error for a model that predicts nothing.
  explicit Predictor(TrainedModel trained);

  const TrainedModel& trained() const { return trained_; }
  const Model& model() const { return *model_; }
  int classes() const { return trained_.setup.classes; }  ///< 0: it predicts a number
  /// A sample has any number of the classes(), each with a probability of its own.
  bool multi_label() const { return trained_.setup.loss == Loss::logistic; }
  int features() const { return trained_.setup.features; }
  std::string class_name(int number) const;
  /// The class of that name; -1 if the model does not know it.
  std::int32_t class_number(std::string_view name) const;

  /// What it says of samples as they were read (scaled here, if the model's were): row-major, classes() logits each, or
  /// a number on the scale of the targets; good until the next call. The same bits as in the run's own evaluations.
  const float* outputs(Dataset samples);
  /// The same of samples that are scaled already.
  const float* outputs_of_scaled(const Dataset& samples);
  /// Of regression: an output in the label's own unit.
  float value(float output) const;
  /// Throws Error where each node of the run has a scaling of its own, and this is no node's.
  void require_scale() const;
  /// Nothing measured yet; the scores of two classes fall into so many bins.
  Measures measures(std::size_t bins = ClassifierMeasures::kBins) const;
  /// The samples of a file with labels, as they were read.
  void measure(Measures& measures, Dataset samples);
  /// The same of samples that are scaled already, any number of them.
  void measure_scaled(Measures& measures, const Dataset& samples);

 private:
  TrainedModel trained_;
  std::unique_ptr<Model> model_;
  Floats outputs_;
  std::unordered_map<std::string, std::int32_t> numbers_;  ///< of the classes, by name
};

}  // namespace ecl
