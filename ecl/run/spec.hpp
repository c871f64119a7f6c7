#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ecl/base/params.hpp"
#include "ecl/base/types.hpp"
#include "ecl/contracts/dataset.hpp"
#include "ecl/contracts/loss.hpp"
#include "ecl/contracts/port.hpp"
#include "ecl/contracts/solver.hpp"
#include "ecl/node/exchanges_a_round.hpp"
#include "ecl/node/patience.hpp"
#include "ecl/node/step_rule.hpp"
#include "ecl/simulator/sim_port.hpp"

namespace ecl {

/// What to run: the options of `ecl train` and `ecl simulate`, resolved. Names and meanings are those of the options.
struct Spec {
  std::string command;  ///< the command line, for summary.json
  std::string config;   ///< all options as an ini text, for config.ini

  std::string dataset = "digits", data;
  std::string test;                  ///< where the test samples are; empty: the data set says
  std::string partition = "iid";     ///< own: each node reads files of its own
  std::string placement = "device";  ///< device, edge:S or cloud
  NodeId devices = 0;                ///< that hold the samples at first; 0: as many as nodes
  std::string model = "softmax", hidden;
  std::string solver = "ecl";
  std::vector<std::string> settings;  ///< --set
  std::string topology = "ring";
  std::string mode = "async";
  double epochs = 0;        ///< 0: the usual number
  std::uint64_t steps = 0;  ///< per node; 0: by epochs
  std::uint64_t batch = 32;
  std::string node_batch;  ///< "NODE:SAMPLES,...": other batches than that, of nodes that are slow
  std::string augment = "none";
  int local_steps = 0;                 ///< K; 0: the usual number
  std::string exchanges = "usual";     ///< R: usual, a number, auto, auto:PERCENT
  double patience = Patience::kUsual;  ///< of a round's own time: how long an exchange waits for the neighbours
  bool overlap = false;                ///< exchanges but the first come while the next gradients are computed
  std::string init;                    ///< run whose model is the first one; empty: the model's own first values
  std::string class_weights = "none";  ///< none, balanced, NAME=W,...
  std::string loss = "usual";          ///< cross-entropy of classes, mse of numbers
  double learning_rate = 0.05;
  std::string schedule = "linear:0.7";
  std::string optimizer = "sgd";  ///< sgd, adam, adamw
  double clip_norm = 0;           ///< 0: none
  double momentum = 0, weight_decay = 0;
  std::uint64_t seed = 1;
  std::string node_speed;         ///< "NODE:FACTOR,...": a step of NODE takes FACTOR times as long
  std::uint64_t settle = 1000;    ///< most exchanges after the last step; 0: none
  double settle_s = 60;           ///< and most seconds
  double consensus_error = 0.01;  ///< at which the nodes agree
  double eval_every = 1;          ///< epochs; 0: only at the end
  double checkpoint_every = 0;    ///< epochs; 0: only when a signal stops the run
  std::string out;
  bool resume = false;  ///< `out` holds a run that goes on
  std::string trace;    ///< file for the time line; empty: none
  bool quiet = false, verbose = false;
  bool dry_run = false;        ///< build everything, say what a node holds, train nothing
  bool record = false;         ///< train only: the delivery order, for ecl replay
  bool compare_local = false;  ///< at the end each node trains once more, alone
  bool node_models = false;    ///< each node's own model is kept, too

  // train only
  double stall_warn_s = 60;       ///< a neighbour silent for longer is named; 0: never
  std::string exchange = "auto";  ///< auto, shared, window, messages: what carries the messages

  // simulate only
  bool simulated = false;      ///< all nodes are in this process
  NodeId nodes = 8;            ///< of a run that is resumed: as many as it had, under `train` too
  double step_time_s = 0.001;  ///< of a node with factor 1
  LinkModel links = {.latency_s = 1e-4, .bandwidth_bytes_s = 1e9, .jitter = 0.1};

  /// Every node reads files of its own.
  bool own_data() const { return partition == "own"; }
  /// Every node has test samples of its own, too.
  bool own_tests() const;
  /// What --loss says of the labels.
  LabelKind label_kind() const;
  /// Of data whose labels are numbers, or classes.
  Loss parsed_loss(bool numbers) const;
  ExchangesARound parsed_exchanges() const;          ///< throws Error
  std::optional<AdamRule> parsed_optimizer() const;  ///< throws Error
  /// lambda of lambda/2 |x|^2, added to each node's loss.
  double loss_decay() const { return ecl::loss_decay(optimizer, weight_decay); }
  Mode parsed_mode() const { return mode == "lock-step" ? Mode::lock_step : Mode::async; }
};

/// Throws Error for the first option whose value is out of range, by the option's name.
void check(const Spec& spec);

/// Step time factor of each node. Throws Error.
std::vector<double> node_speeds(const std::string& text, NodeId nodes);
/// Samples per step of each node, `batch` where the text does not name it. Throws Error.
std::vector<std::uint64_t> node_batches(const std::string& text, NodeId nodes, std::uint64_t batch);

}  // namespace ecl
