#include "ecl/node/step_rule.hpp"

#include <cmath>
#include <numbers>

#include "ecl/base/check.hpp"
#include "ecl/base/params.hpp"

namespace ecl {

Schedule Schedule::parse(std::string_view text) {
  const Choice choice = Choice::parse(text);
  Params params("learning rate schedule " + choice.name, choice.arguments);
  Schedule schedule;
  if (choice.name == "cosine") {
    schedule.shape_ = Shape::cosine;
  } else if (choice.name == "step") {
    schedule.shape_ = Shape::step;
    schedule.at_ = params.number("at", 0.5, 0, 1, "fraction of the steps after which the rate falls");
    schedule.drop_ = params.number("factor", 0.1, 0, 1, "what it is multiplied by");
  } else if (choice.name == "linear") {
    schedule.shape_ = Shape::linear;
    schedule.at_ = params.number("from", 0, 0, 1, "fraction of the steps after which the rate falls, to 0");
  } else if (choice.name != "constant") {
    throw Error("unknown learning rate schedule '" + choice.name +
                "' (known: constant, cosine, linear:FROM, step:AT,FACTOR)");
  }
  params.finish();
  return schedule;
}

double Schedule::factor(double progress) const {
  switch (shape_) {
    case Shape::cosine:
      return 0.5 * (1 + std::cos(std::numbers::pi * progress));
    case Shape::step:
      return progress < at_ ? 1 : drop_;
    case Shape::linear:
      return progress < at_ ? 1 : (1 - progress) / (1 - at_);
    case Shape::constant:
      break;
  }
  return 1;
}

std::optional<AdamRule> parse_optimizer(std::string_view text, double momentum, double weight_decay,
                                        OptionStyle style) {
  const Choice choice = Choice::parse(text);
  const std::string option = written(style, "optimizer", choice.name);
  Params params(option, choice.arguments);
  std::optional<AdamRule> adam;
  if (choice.name == "adam" || choice.name == "adamw") {
    constexpr double kBelowOne = 1 - 1e-9;
    adam.emplace();
    const double beta1 = params.number("beta1", 0.9, 0, kBelowOne, "momentum; a solver's own takes its place");
    if (params.given("beta1")) adam->beta1 = beta1;
    adam->beta2 = params.number("beta2", 0.999, 0, kBelowOne, "of the running mean of squared gradients");
    adam->eps = params.number("eps", 1e-8, 0, 1e6, "added to its root");
    if (choice.name == "adamw") adam->decay = weight_decay;
  } else if (choice.name != "sgd") {
    throw Error(option + ": unknown optimizer '" + choice.name + "' (known: sgd, adam, adamw)");
  }
  params.finish();
  if (adam && momentum != 0)
    throw Error(option + " has a momentum of its own, beta1; leave " + written(style, "momentum") + " at 0");
  if (choice.name == "adamw" && weight_decay == 0)
    throw Error(option + " is adam but for its decay: name that, as in " + written(style, "weight-decay", "0.01") +
                ", or use adam");
  return adam;
}

double loss_decay(std::string_view optimizer, double weight_decay) {
  return Choice::parse(optimizer).name == "adamw" ? 0 : weight_decay;
}

std::vector<float> step_scale(const std::vector<double>& mean_squares) {
  constexpr double kShare = 0.03;
  double sum = 0;
  for (const double square : mean_squares) sum += square;
  const double least = kShare * std::sqrt(sum / static_cast<double>(mean_squares.size()));
  std::vector<float> scale;
  for (const double square : mean_squares) {
    const double power = std::round(-0.5 * std::log2(std::sqrt(square) + least));
    scale.push_back(std::isfinite(power) ? static_cast<float>(std::exp2(power)) : 1.0f);  // without gradients: 1
  }
  return scale;
}

double StepRule::step_size(std::uint64_t k) const {
  const double progress = total_steps == 0 ? 0 : static_cast<double>(k) / static_cast<double>(total_steps);
  return initial_step_size() * schedule.factor(progress);
}

void StepRule::average(double beta, CVec gradient, CVec x, Vec velocity) const {
  const float kept = static_cast<float>(beta), decay = static_cast<float>(weight_decay);
  for (std::size_t d = 0; d < x.size(); ++d)
    velocity[d] = kept * velocity[d] + (1 - kept) * (gradient[d] + decay * x[d]);
}

}  // namespace ecl
