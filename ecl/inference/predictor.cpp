#include "ecl/inference/predictor.hpp"

#include <algorithm>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/text_table.hpp"

namespace ecl {

Predictor::Predictor(TrainedModel trained)
    : trained_(std::move(trained)), model_(make_model(trained_.model, trained_.setup)) {
  if (model_->outputs() == 0) throw Error("model " + trained_.model + " predicts nothing");
  for (int c = 0; c < classes(); ++c) numbers_.emplace(class_name(c), c);
}

std::string Predictor::class_name(int number) const {
  const auto& names = trained_.schema.classes;
  return names.empty() ? std::to_string(number) : names[number];
}

std::int32_t Predictor::class_number(std::string_view name) const {
  if (const auto found = numbers_.find(std::string(name)); found != numbers_.end()) return found->second;
  if (const auto value = cell_value(name))  // 1.0, and true, is the class 1, as in training
    for (const auto& [known, number] : numbers_)
      if (cell_value(known) == value) return number;
  return -1;
}

void Predictor::require_scale() const {
  if (!trained_.scale)
    throw Error(
        "the average model has no scaling: each node of its run scaled the features by itself (standardise=own); say "
        "whose rows these are like with --scaling-of NODE, or take that node's own model with --node");
}

const float* Predictor::outputs(Dataset samples) {
  require_scale();
  const Scale& scale = *trained_.scale;
  const bool scaled = !scale.mean.empty() || !scale.fill.empty();  // what is 0 then is none
  if (scaled || !model_->takes_sparse()) samples.make_dense();
  if (scaled) samples.scale(scale);
  return outputs_of_scaled(samples);
}

const float* Predictor::outputs_of_scaled(const Dataset& samples) {
  ECL_CHECK(samples.features() == features());
  outputs_.resize(samples.size() * model_->outputs());
  model_->predict(trained_.parameters, samples, outputs_.data());
  return outputs_.data();
}

float Predictor::value(float output) const {
  return static_cast<float>(trained_.target->mean + trained_.target->deviation * output);
}

Measures Predictor::measures(std::size_t bins) const {
  return Measures::of(trained_.setup.loss, trained_.setup.classes, trained_.target, bins);
}

void Predictor::measure(Measures& measures, Dataset samples) {
  if (trained_.target) samples.scale_targets(*trained_.target);
  const float* outputs = this->outputs(samples);
  measures.add(samples, outputs);
}

void Predictor::measure_scaled(Measures& measures, const Dataset& samples) {
  ECL_CHECK(samples.features() == features());
  measures.add(*model_, trained_.parameters, samples);
}

}  // namespace ecl
