#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ecl/metrics/standings.hpp"
#include "ecl/run/summary.hpp"

namespace ecl {

/// How far a run is, for status.json.
struct Status {
  std::string state = "running";      ///< running, or how it ended: the summary's verdict
  double seconds = 0;                 ///< of training
  double seconds_now = 0;             ///< by rank 0's clock, when this is written
  std::uint64_t step = 0;             ///< of node 0
  std::uint64_t checkpoint = 0;       ///< the latest; 0: none
  std::string exchange = {};          ///< what carries the messages; empty: not over ranks
  std::vector<Standing> nodes = {};   ///< where each stands
  std::vector<NodeId> lost = {};      ///< those that died
  std::vector<MetricsRow> rows = {};  ///< of the newest evaluation; empty: none yet
};

/// The directory of a run (--out, or --resume). Empty path: nothing is written anywhere.
class RunDirectory {
 public:
  /// Makes it, with config.ini; or, to resume, takes it as it is. Throws Error as check() does, or if it cannot be
  /// made.
  RunDirectory(const Spec& spec, NodeId nodes);
  /// Throws Error if the path of a new run holds something already, or nobody may write there.
  static void check(const Spec& spec);
  /// Of a file in it; empty if there is no directory.
  std::string path(const std::string& file) const;
  /// Replaces status.json, for people and scripts that look at a run from outside. Throws Error (io).
  void write_status(const Status& status, const Experiment& experiment) const;
  /// Before the first step: writes nodes.csv, and model/model.json, with which the models of a checkpoint can be used.
  /// Models that a resumed run ended with before are removed, and what ecl export made of them there. `hosts`: of the
  /// nodes. `seconds`: of training up to the checkpoint that it goes on from; 0 for a new one. Throws Error (io).
  void begin(const Experiment& experiment, const std::vector<std::string>& hosts, double seconds) const;
  /// Writes the nodes' average model into model/. Throws Error (io).
  void write_model(const Experiment& experiment, const std::vector<double>& mean) const;
  /// Writes the model, summary.json and the last status.json.
  void finish(const Summary& summary, const Experiment& experiment, const std::vector<double>& mean,
              std::uint64_t checkpoint) const;

 private:
  std::string directory_;
};

/// What each node has for itself, of the nodes of this process, after begin() on its host: where its features are
/// scaled by its own, model/model-<node>.json; and tests/node-<node>, which says what it is tested on. Throws Error
/// (io).
void write_own_inputs(const Experiment& experiment);
/// Whether node i's test samples are not those of that file; no, where there is none.
bool has_other_tests(const std::string& run, const RunData& data, NodeId i);
/// With --node-models: model/model-<node>.safetensors, node i's own model x. Throws Error (io).
void write_node_model(const Experiment& experiment, NodeId i, CVec x);

/// What a run directory says about how its run was started, for --resume.
struct StartedRun {
  std::string command_line;  ///< "ecl train ..."
  std::string command;       ///< train, simulate or replay
  NodeId nodes = 0;
  std::string config_path;
  std::string config;  ///< its options, an ini text
};

/// Reads it. Throws Error if no run was begun in `directory`.
StartedRun begun_run(const std::string& directory);
/// For --resume: throws Error, too, if `directory` holds no run of `command` ("train" or "simulate"), one that has
/// ended, or one with results and without a checkpoint.
StartedRun started_run(const std::string& directory, const std::string& command);

/// What a fingerprint begins with: of a run of `command` on `nodes` nodes, with these options (an ini text).
std::string fingerprint_of_options(const std::string& command, NodeId nodes, const std::string& config);

/// The command line that goes on with a run; nothing if there is no directory, or it is a replay.
std::optional<std::string> resume_command(const Experiment& experiment);

/// What a checkpoint of this run belongs to: command, nodes, options, data, as lines of text. The place of the data
/// (--data, --test) is left out: they may move.
std::string fingerprint(const Experiment& experiment);

}  // namespace ecl
