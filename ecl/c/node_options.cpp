#include "ecl/c/node_options.hpp"

#include <limits>
#include <sstream>

#include "ecl/base/check.hpp"
#include "ecl/base/params.hpp"
#include "ecl/node/first_gradients.hpp"

namespace ecl {
namespace {

constexpr std::uint64_t kNever = std::uint64_t{1} << 53;  // steps; a message's stamp has room for as many
constexpr std::int64_t kMany = std::int64_t{1} << 40;
constexpr double kLargest = std::numeric_limits<float>::max();

Mode mode_named(const std::string& name) {
  if (name == "async") return Mode::async;
  if (name == "lock-step") return Mode::lock_step;
  throw Error("mode '" + name + "' is none of async, lock-step");
}

/// No round is longer than the run.
void fit_round(StepRule& rule) {
  if (rule.total_steps < static_cast<std::uint64_t>(rule.local_steps))
    rule.local_steps = static_cast<int>(rule.total_steps);
}

bool helped_by(const std::string& progress) {
  if (progress != "calls" && progress != "thread") throw Error("progress '" + progress + "' is none of calls, thread");
  return progress == "thread";
}

}  // namespace

double checked_rate(double rate) {
  if (rate >= std::numeric_limits<float>::min() && rate <= kLargest) return rate;
  std::ostringstream text;
  text << rate;
  throw Error(
      "a learning rate is above 0, not " + text.str() +
      "; start with the largest, without a rise from 0, let a schedule end at a small one, and settle where the "
      "training ends");
}

NodeOptions NodeOptions::parse(std::span<const std::string> settings) {
  Params params("ecl_open", {}, settings);
  NodeOptions options;
  StepRule& rule = options.rule;
  options.topology = params.text("topology", "ring", "the graph");
  options.solver = params.text("solver", "ecl", "the algorithm");
  options.mode = mode_named(params.text("mode", "async", "async, lock-step"));
  const bool rate_given = params.given("lr");
  rule.learning_rate = checked_rate(params.number("lr", 0.05, -kLargest, kLargest, "learning rate"));
  rule.momentum = params.number("momentum", 0, 0, 0.999999, "heavy ball");
  options.weight_decay = params.number("weight_decay", 0, 0, kLargest, "lambda");
  options.optimizer = params.text("optimizer", "sgd", "sgd, adam, adamw");
  options.clip_norm = params.number("clip_norm", 0, 0, kLargest, "longest corrected gradient");
  options.measure_steps =
      static_cast<int>(params.integer("measure_steps", FirstGradients::kUsual, 1, 1'000'000, "before adam's first"));
  rule.local_steps = static_cast<int>(params.integer("local_steps", 1, 1, 1'000'000, "K"));
  options.exchanges = params.text("exchanges", "usual", "R: usual, a number, auto");
  options.patience = params.number("patience", Patience::kUsual, 0, 1000, "in rounds' own time");
  rule.overlap = params.integer("overlap", 0, 0, 1, "1: exchanges while gradients are computed") != 0;
  options.helped = helped_by(params.text("progress", "calls", "what moves messages meanwhile: calls, thread"));
  rule.total_steps = static_cast<std::uint64_t>(params.integer("total_steps", 0, 0, kMany, "0: unknown"));
  options.schedule = params.text("schedule", "constant", "how the learning rate falls");
  rule.schedule = Schedule::parse(options.schedule);
  options.settle = static_cast<std::uint64_t>(params.integer("settle", 1000, 0, kMany, "most exchanges at the end"));
  options.settle_s = params.number("settle_s", 60, 0, kLargest, "and most seconds");
  options.consensus_error = params.number("consensus_error", 0.01, 0, kLargest, "below it ranks agree");
  options.exchange = exchange_named(params.text("exchange", "auto", "auto, shared, window, messages"));
  options.seed = static_cast<std::uint64_t>(params.integer("seed", 1, 0, kMany, "of random graphs and solvers"));
  options.same = params.text("same", "", "what must be alike on all ranks");
  params.finish();
  options.adam = parse_optimizer(options.optimizer, rule.momentum, options.weight_decay, OptionStyle::key_value);
  if (options.adam && !rate_given) rule.learning_rate = kAdamRate;
  rule.weight_decay = loss_decay(options.optimizer, options.weight_decay);
  options.total_known = rule.total_steps > 0;
  if (!options.total_known && options.schedule != "constant")
    throw Error("schedule=" + options.schedule +
                " falls over total_steps; say how many there are, or set the rate yourself");
  if (!options.total_known) rule.total_steps = kNever;
  fit_round(rule);
  return options;
}

void NodeOptions::choose_measuring(bool wanted) {
  if (!wanted) measure_steps = 0;
  const auto steps = static_cast<std::uint64_t>(measure_steps);
  if (rule.total_steps <= steps)
    throw Error("the first " + std::to_string(steps) + " of total_steps=" + std::to_string(rule.total_steps) +
                " only measure gradients, for adam, and none is left; make more steps, or set a smaller measure_steps");
  if (total_known) rule.total_steps -= steps;
  fit_round(rule);
}

}  // namespace ecl
