#include "ecl/run/spec.hpp"

#include <cmath>
#include <sstream>

#include "ecl/base/check.hpp"
#include "ecl/base/params.hpp"
#include "ecl/data/placement.hpp"
#include "ecl/data/site_path.hpp"
#include "ecl/exchange/transports.hpp"
#include "ecl/node/augmentation.hpp"
#include "ecl/node/step_rule.hpp"

namespace ecl {
namespace {

void require(bool holds, const std::string& option, double value, const std::string& range) {
  if (holds && std::isfinite(value)) return;
  std::ostringstream text;
  text << option << " " << value << " is not " << (std::isfinite(value) ? range : "a finite number");
  throw Error(text.str());
}

}  // namespace

bool Spec::own_tests() const { return own_data() && (test.empty() || is_pattern(test, "--test")); }

LabelKind Spec::label_kind() const {
  if (loss == "usual") return LabelKind::any;
  const Loss named = loss_named(loss);
  return is_regression(named) ? LabelKind::numbers : named == Loss::logistic ? LabelKind::binary : LabelKind::classes;
}

Loss Spec::parsed_loss(bool numbers) const {
  if (loss == "usual") return numbers ? Loss::mse : Loss::cross_entropy;
  return loss_named(loss);
}

ExchangesARound Spec::parsed_exchanges() const { return ExchangesARound::parse(exchanges, OptionStyle::command_line); }

std::optional<AdamRule> Spec::parsed_optimizer() const {
  return parse_optimizer(optimizer, momentum, weight_decay, OptionStyle::command_line);
}

/// Who has data of its own says where each node finds them.
static void check_own_data(const Spec& spec) {
  const bool pattern = is_pattern(spec.data, "--data"), test_pattern = is_pattern(spec.test, "--test");
  if (pattern && !spec.own_data())
    throw Error("--data " + spec.data + " names files of each node's own, so there is nothing to deal; leave out " +
                "--partition " + spec.partition);
  if (test_pattern && !spec.own_data())
    throw Error("--test " + spec.test + " names files of each node's own; that goes with --data of each node's own, " +
                "with {node} in it");
  if (!spec.own_data()) return;
  for (const std::string& argument : split(Choice::parse(spec.dataset).arguments, ','))  // the model's users have none
    if (!argument.starts_with("groups=") && site_path(argument, 0, "") != argument)
      throw Error("--dataset: " + argument + ": {node} and {host} are for paths, of --data, --test and groups=");
  if (spec.data.empty()) throw Error("--partition own: name each node's file with --data, as in 'visits-{node}.csv'");
  if (spec.placement != "device" || spec.devices != 0)
    throw Error("--placement and --devices move samples, and data of each node's own stay; leave them out");
  if (spec.simulated && !pattern)
    throw Error(
        "--partition own: under ecl simulate all nodes are on this machine; tell their files apart with {node} "
        "in --data");
  if (spec.simulated && (names_host(spec.data) || names_host(spec.test)))
    throw Error("{host} names a machine of a run over several; under ecl simulate use {node}");
}

void check(const Spec& spec) {
  check_own_data(spec);
  if (spec.mode != "async" && spec.mode != "lock-step")
    throw Error("--mode: unknown mode '" + spec.mode + "' (known: async, lock-step)");
  if (spec.record && spec.mode != "async")
    throw Error("--record keeps the order in which messages happen to arrive; a run in lock step repeats itself");
  if (spec.record && spec.out.empty()) throw Error("--record needs a directory to write to: --out DIR");
  static_cast<void>(exchange_named(spec.exchange));
  static_cast<void>(augmentation_named(spec.augment));
  static_cast<void>(spec.label_kind());
  static_cast<void>(Placement(spec.placement, spec.devices));
  require(spec.epochs >= 0 && spec.epochs <= 1e9, "--epochs", spec.epochs, "in 0 .. 1e9");
  require(spec.batch >= 1, "--batch", static_cast<double>(spec.batch), "at least 1");
  require(spec.local_steps >= 0, "--local-steps", spec.local_steps, "at least 0");
  static_cast<void>(spec.parsed_exchanges());
  require(spec.patience >= 0 && spec.patience <= 1000, "--patience", spec.patience, "in 0 .. 1000");
  require(spec.learning_rate > 0, "--lr", spec.learning_rate, "above 0");
  require(spec.momentum >= 0 && spec.momentum < 1, "--momentum", spec.momentum, "in 0 <= momentum < 1");
  static_cast<void>(spec.parsed_optimizer());
  require(spec.clip_norm >= 0, "--clip-norm", spec.clip_norm, "at least 0 (0: no clipping)");
  require(spec.weight_decay >= 0, "--weight-decay", spec.weight_decay, "at least 0");
  require(spec.settle_s >= 0, "--settle-s", spec.settle_s, "at least 0");
  require(spec.consensus_error > 0, "--consensus-error", spec.consensus_error, "above 0");
  require(spec.eval_every >= 0, "--eval-every", spec.eval_every, "at least 0 (0: only at the end)");
  require(spec.checkpoint_every >= 0, "--checkpoint-every", spec.checkpoint_every,
          "at least 0 (0: only when a signal stops the run)");
  require(spec.stall_warn_s >= 0, "--stall-warn-s", spec.stall_warn_s, "at least 0 (0: never)");
  require(spec.nodes >= 1, "--nodes", spec.nodes, "at least 1");
  require(spec.step_time_s > 0, "--step-time-s", spec.step_time_s, "above 0");
  require(spec.links.latency_s >= 0, "--latency-s", spec.links.latency_s, "at least 0");
  require(spec.links.bandwidth_bytes_s >= 0, "--bandwidth-bytes-s", spec.links.bandwidth_bytes_s,
          "at least 0 (0: infinite)");
  const std::pair<const char*, double> probabilities[] = {{"--jitter", spec.links.jitter},
                                                          {"--drop", spec.links.drop},
                                                          {"--duplicate", spec.links.duplicate},
                                                          {"--tear", spec.links.tear}};
  for (const auto& [option, value] : probabilities) require(value >= 0 && value <= 1, option, value, "in 0 .. 1");
}

/// "NODE:VALUE,...", as of `example`: calls `set` for each.
template <class Set>
static void for_each_named_node(const std::string& text, NodeId nodes, const std::string& option,
                                const std::string& example, Set set) {
  for (const std::string& part : split(text, ',')) {
    const std::size_t colon = part.find(':');
    if (colon == std::string::npos) throw Error(option + ": '" + part + "' is not of the form " + example);
    const std::int64_t node = to_integer(part.substr(0, colon), option);
    if (node < 0 || node >= nodes)
      throw Error(option + ": there is no node " + std::to_string(node) + " (0 .. " + std::to_string(nodes - 1) + ")");
    set(static_cast<NodeId>(node), part.substr(colon + 1));
  }
}

std::vector<double> node_speeds(const std::string& text, NodeId nodes) {
  std::vector<double> factors(nodes, 1.0);
  for_each_named_node(text, nodes, "--node-speed", "NODE:FACTOR, as in 0:4",
                      [&](NodeId node, const std::string& value) {
                        factors[node] = to_number(value, "--node-speed");
                        if (factors[node] < 1)
                          throw Error("--node-speed: factor " + value + " is below 1; it says how many times slower");
                      });
  return factors;
}

std::vector<std::uint64_t> node_batches(const std::string& text, NodeId nodes, std::uint64_t batch) {
  std::vector<std::uint64_t> sizes(nodes, batch);
  for_each_named_node(text, nodes, "--node-batch", "NODE:SAMPLES, as in 0:8",
                      [&](NodeId node, const std::string& value) {
                        const std::int64_t size = to_integer(value, "--node-batch");
                        if (size < 1) throw Error("--node-batch: a batch of " + value + " samples; take at least 1");
                        sizes[node] = static_cast<std::uint64_t>(size);
                      });
  return sizes;
}

}  // namespace ecl
