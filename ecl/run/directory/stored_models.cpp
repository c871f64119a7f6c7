#include "ecl/run/directory/stored_models.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <utility>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/base/params.hpp"
#include "ecl/metrics/consensus.hpp"
#include "ecl/run/directory/checkpoints.hpp"
#include "ecl/run/directory/run_directory.hpp"
#include "ecl/run/directory/saved_models.hpp"

namespace ecl {
namespace {

namespace fs = std::filesystem;

/// Models out of a checkpoint's files.
struct SavedModels {
  std::vector<ModelStamp> stamps;
  std::vector<Floats> models;

  /// The nodes' epochs: "12.5", or "12 .. 12.5" where they differ.
  std::string epochs() const {
    const auto [first, last] = std::ranges::minmax(stamps, {}, &ModelStamp::epoch);
    char text[64];
    if (first.epoch == last.epoch)
      std::snprintf(text, sizeof text, "epoch %.6g", first.epoch);
    else
      std::snprintf(text, sizeof text, "epochs %.6g .. %.6g", first.epoch, last.epoch);
    return text;
  }
  std::vector<CVec> views() const { return {models.begin(), models.end()}; }
  std::string apart() const {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g", consensus_error(views()));
    return text;
  }
};

/// The checkpoints of a run as one looks at them from outside.
class RunCheckpoints {
 public:
  explicit RunCheckpoints(const std::string& run) : begun_(begun_run(run)), files_(run, "") {
    options_ = fingerprint_of_options(begun_.command, begun_.nodes, begun_.config);
  }

  std::vector<std::uint64_t> whole() const { return files_.whole(); }
  std::uint64_t newest() const { return files_.latest(); }
  /// The models in checkpoint `number`: of one node, or of all. `dim`: parameters of each.
  SavedModels read(std::uint64_t number, std::optional<NodeId> node, std::size_t dim) const {
    const std::string folder = files_.path(number);
    SavedModels saved;
    std::error_code ignored;
    if (fs::exists(folder + "/simulation", ignored)) {
      append(saved, folder + "/simulation", node, dim);
    } else {
      for (NodeId i = node.value_or(0); i < (node ? *node + 1 : begun_.nodes); ++i) {
        const std::string path = folder + "/node-" + std::to_string(i);
        if (!fs::exists(path, ignored))
          throw Error("'" + path + "' is not there: on hosts that share no file system it lies on node " +
                      std::to_string(i) + "'s; copy it here, or take the model of a node that is here with --node");
        append(saved, path, node, dim);
      }
    }
    const std::size_t expected = node ? 1 : static_cast<std::size_t>(begun_.nodes);
    if (saved.models.size() != expected) throw Error(folder + " does not hold the models of all nodes", Exit::io);
    return saved;
  }

 private:
  void append(SavedModels& saved, const std::string& path, std::optional<NodeId> node, std::size_t dim) const {
    StoredArchive file = read_archive(path);
    require_fingerprint(path, std::string_view(file.fingerprint).substr(0, options_.size()), options_);
    std::vector<ModelStamp> stamps;
    file.state.list(stamps);
    for (const ModelStamp& stamp : stamps) {
      Floats x(dim);
      file.state(x);
      if (node && stamp.node != static_cast<std::uint64_t>(*node)) continue;
      saved.stamps.push_back(stamp), saved.models.push_back(std::move(x));
    }
  }

  StartedRun begun_;
  Checkpoints files_;
  std::string options_;  ///< with which the fingerprints of the run's own checkpoints begin
};

std::string text_of(const std::vector<std::uint64_t>& numbers) {
  std::string text;
  for (const std::uint64_t number : numbers) (text += text.empty() ? "" : ", ") += std::to_string(number);
  return text;
}

[[noreturn]] void no_checkpoint(const std::string& run) {
  throw Error("'" + run + "' holds no checkpoint; a run keeps them with --checkpoint-every, or when a signal stops it");
}

/// The number of the checkpoint that is meant; 0: the models that the run has ended with.
std::uint64_t checkpoint_of(const std::string& run, const std::string& folder, const std::string& wanted) {
  if (wanted.empty() && has_parameters(folder)) return 0;
  if (run == folder) throw Error("'" + run + "' holds no checkpoints; name the directory of the run, its --out");
  const RunCheckpoints checkpoints(run);
  const std::vector<std::uint64_t> whole = checkpoints.whole();
  if (whole.empty() && wanted.empty())
    throw Error("'" + run +
                "' holds no model yet: a run writes it when it ends, or is stopped by a signal, and on the way with "
                "--checkpoint-every; go on with it: --resume " +
                run);
  if (whole.empty()) no_checkpoint(run);
  if (wanted.empty() || wanted == "newest") return checkpoints.newest();
  for (const std::uint64_t number : whole)
    if (std::to_string(number) == wanted) return number;
  throw Error("'" + run + "' holds no checkpoint '" + wanted + "' (it has " + text_of(whole) +
              "; the last two are kept); --checkpoint list tells of them");
}

/// There are no parameters of node i in model/.
[[noreturn]] void no_model_of(const std::string& run, NodeId i, const TrainedModel& trained) {
  const std::string node = std::to_string(i);
  throw Error("'" + run + "' kept no model of node " + node + " by itself (a run with --node-models does); " +
              "--checkpoint newest takes it from the last checkpoint" +
              (trained.scale ? "" : ", --scaling-of " + node + " is the average model with its scaling"));
}

void check_choice(const ModelChoice& choice, const TrainedModel& trained) {
  if (choice.node && choice.scaling_of)
    throw Error("--node takes that node's scaling along with its model; leave out --scaling-of");
  if (choice.scaling_of && trained.scale)
    throw Error("--scaling-of: the nodes of that run all have the same scaling; leave it out");
  for (const auto& node : {choice.node, choice.scaling_of})
    if (node && (*node < 0 || *node >= trained.origin.nodes))
      throw Error("that run has no node " + std::to_string(*node) + " (0 .. " +
                  std::to_string(trained.origin.nodes - 1) + ")");
}

}  // namespace

StoredModel read_stored_model(const std::string& run, const ModelChoice& choice) {
  const std::string folder = model_folder(run);
  StoredModel stored{read_model_json(folder), checkpoint_of(run, folder, choice.checkpoint), ""};
  TrainedModel& trained = stored.trained;
  check_choice(choice, trained);
  const auto whose = choice.node ? choice.node : choice.scaling_of;
  if (stored.checkpoint == 0 && choice.node && !has_parameters(folder, choice.node))
    no_model_of(run, *choice.node, trained);
  if (whose) trained = read_model_json(folder, whose);
  if (stored.checkpoint == 0) {
    read_parameters(trained, folder, choice.node);
    return stored;
  }
  const std::size_t dim = make_model(trained.model, trained.setup)->dim();
  const SavedModels saved = RunCheckpoints(run).read(stored.checkpoint, choice.node, dim);
  const std::vector<double> mean = mean_of(saved.views());
  trained.parameters.assign(mean.begin(), mean.end());
  stored.note = choice.checkpoint.empty() ? "'" + run + "' has not ended: this is " : "";
  stored.note += "checkpoint " + std::to_string(stored.checkpoint) + ", " + saved.epochs();
  if (choice.node)
    stored.note += ", node " + std::to_string(*choice.node) + "'s model";
  else
    stored.note += ", the mean of " + std::to_string(saved.models.size()) + " nodes' models, which were " +
                   saved.apart() + " apart (consensus error)";
  return stored;
}

std::string checkpoint_list(const std::string& run, std::optional<NodeId> node) {
  const TrainedModel trained = read_model_json(model_folder(run));
  const std::size_t dim = make_model(trained.model, trained.setup)->dim();
  const RunCheckpoints checkpoints(run);
  std::string text;
  for (const std::uint64_t number : checkpoints.whole()) {
    const SavedModels saved = checkpoints.read(number, node, dim);
    text += "checkpoint " + std::to_string(number) + ": " + saved.epochs() + ", ";
    text += node ? "node " + std::to_string(*node) + "\n"
                 : std::to_string(saved.models.size()) + " nodes, " + saved.apart() + " apart (consensus error)\n";
  }
  if (text.empty()) no_checkpoint(run);
  return text;
}

}  // namespace ecl
