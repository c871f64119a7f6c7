#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ecl/inference/trained_model.hpp"

namespace ecl {

/// A trained model at work.
class Predictor {
 public:
  /// Throws Error for a model that predicts nothing.
  explicit Predictor(TrainedModel trained);

  const TrainedModel& trained() const { return trained_; }
  const Model& model() const { return *model_; }
  int classes() const { return trained_.setup.classes; }
  int features() const { return trained_.setup.features; }
  std::string class_name(int number) const;
  /// The class of that name; -1 if the model does not know it.
  std::int32_t class_number(std::string_view name) const;

  /// The logits of samples as they were read (scaled here, if the model's were): samples.size() x classes(), row-major;
  /// good until the next call. The same bits as in the run's own evaluations.
  const float* logits(Dataset samples);
  /// The same of samples that are scaled already.
  const float* logits_of_scaled(const Dataset& samples);

 private:
  TrainedModel trained_;
  std::unique_ptr<Model> model_;
  Floats logits_;
  std::unordered_map<std::string, std::int32_t> numbers_;  ///< of the classes, by name
};

}  // namespace ecl
