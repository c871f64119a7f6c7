#include "ecl/node/step_rule.hpp"

#include <cmath>
#include <numbers>

#include "ecl/base/check.hpp"
#include "ecl/base/params.hpp"

namespace ecl {

Schedule Schedule::parse(std::string_view text) {
  const Choice choice = Choice::parse(text);
  Params params("--lr-schedule " + choice.name, choice.arguments);
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
    throw Error("--lr-schedule: unknown schedule '" + choice.name +
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

double StepRule::step_size(std::uint64_t k) const {
  const double progress = total_steps == 0 ? 0 : static_cast<double>(k) / static_cast<double>(total_steps);
  return initial_step_size() * schedule.factor(progress);
}

}  // namespace ecl
