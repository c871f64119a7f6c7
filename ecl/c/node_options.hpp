#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "ecl/contracts/port.hpp"
#include "ecl/exchange/transports.hpp"
#include "ecl/node/patience.hpp"
#include "ecl/node/step_rule.hpp"

namespace ecl {

/// What ecl_open() is told; ecl.h says what each means.
struct NodeOptions {
  std::string topology, solver, exchanges, optimizer, schedule, same;
  Mode mode = Mode::async;
  Exchange exchange = Exchange::automatic;
  StepRule rule;            ///< without exchanges, which follow from the solver; those of the steps that train
  bool total_known = true;  ///< else rule.total_steps is a number that is never reached
  std::optional<AdamRule> adam;
  double weight_decay = 0, clip_norm = 0;
  int measure_steps = 0;  ///< before those, and no part of the rule
  double patience = Patience::kUsual;
  bool helped = false;  ///< a thread looks after the node between the calls
  double settle_s = 60, consensus_error = 0.01;
  std::uint64_t settle = 1000, seed = 1;

  /// Of texts "key=value". Throws Error.
  static NodeOptions parse(std::span<const std::string> settings);
  /// Once it is known whether the solver wants gradients measured before the first step. Throws Error.
  void choose_measuring(bool wanted);
};

/// The rate itself. Throws Error where it is not above 0.
double checked_rate(double rate);

}  // namespace ecl
