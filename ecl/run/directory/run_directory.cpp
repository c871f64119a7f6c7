#include "ecl/run/directory/run_directory.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <unistd.h>

#include "ecl/base/build.hpp"
#include "ecl/base/checksum.hpp"
#include "ecl/base/files.hpp"
#include "ecl/base/gzip.hpp"
#include "ecl/base/host.hpp"
#include "ecl/base/params.hpp"
#include "ecl/base/text_lines.hpp"
#include "ecl/inference/confusion.hpp"
#include "ecl/inference/trained_model.hpp"
#include "ecl/run/directory/checkpoints.hpp"
#include "ecl/run/directory/events.hpp"

namespace ecl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// All that a prediction needs but the parameters; with node `i`'s scaling, or all nodes'.
TrainedModel trained_model(const Experiment& experiment, std::optional<NodeId> i = std::nullopt) {
  const Dataset& example = experiment.data.example();
  TrainedModel trained{.dataset = experiment.spec.dataset,
                       .model = model_name(experiment.spec),
                       .setup = {example.features(), example.classes(), example.image, experiment.loss()},
                       .schema = example.schema,
                       .scale = {},
                       .channels = example.channels(),
                       .target = experiment.data.target_scale(),
                       .parameters = {},
                       .origin = {.command = experiment.spec.command,
                                  .version = version(),
                                  .nodes = experiment.nodes(),
                                  .train_samples = experiment.data.train_samples()}};
  if (i || !experiment.data.own_scaling()) trained.scale = experiment.data.scale(i.value_or(experiment.first_here()));
  return trained;
}

/// Who holds what: a line a node, a column for each class or label of the training samples.
std::string nodes_csv(const Experiment& experiment, const std::vector<std::string>& hosts) {
  const RunData& data = experiment.data;
  const Dataset& example = data.example();
  const auto& counts = data.class_counts();
  std::string text = "node,host,train_samples,test_samples";
  for (int c = 0; c < example.classes(); ++c)
    (text += ',') += example.schema.classes.empty() ? std::to_string(c) : csv_cell(example.schema.classes[c]);
  text += '\n';
  for (NodeId i = 0; i < experiment.nodes(); ++i) {
    const std::size_t tests = data.test_sizes()[data.own_tests() ? i : 0];
    text += std::to_string(i) + ',' + csv_cell(hosts[i]) + ',' + std::to_string(data.shard_sizes()[i]) + ',' +
            std::to_string(tests);
    for (const std::uint64_t count : counts[i]) (text += ',') += std::to_string(count);
    text += '\n';
  }
  return text;
}

/// Whether a new run may begin in `directory`: nothing is there, but for a config.ini that a killed run did not finish.
bool is_free(const std::string& directory, std::error_code& error) {
  if (!fs::exists(directory, error) || error) return true;
  if (!fs::is_directory(directory, error) || error) return false;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
    if (at->path().filename() != "config.ini.tmp") return false;
  return true;
}

/// "train" or "simulate", of "ecl train ...".
std::string command_of(const std::string& command_line) {
  std::string_view rest = command_line;
  next_word(rest);
  return std::string(next_word(rest));
}

std::string text_of(const std::string& path) {
  const Bytes bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

static Json or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

/// Of the nodes' own models, all on the same test samples.
static Json mean_accuracy(const Status& status, const Experiment& experiment) {
  double sum = 0;
  for (const MetricsRow& row : status.rows) sum += row.accuracy;
  return experiment.data.own_tests() ? Json(nullptr) : or_null(sum / static_cast<double>(status.rows.size()));
}

/// A row per node: what it told last, and its model's accuracy at the newest evaluation.
static Json by_node(const Status& status) {
  Json all = Json::array();
  for (std::size_t i = 0; i < status.nodes.size(); ++i) {
    const Standing& node = status.nodes[i];
    const bool told = node.heard_s >= 0, waits = node.message_age_s >= 0;
    const auto row = std::ranges::find(status.rows, static_cast<NodeId>(i), &MetricsRow::node);
    all.push_back({
        {"node", i},
        {"step", told ? Json(node.step) : Json(nullptr)},
        {"steps_per_s", told ? or_null(node.steps_per_s) : Json(nullptr)},
        {"told_s_ago", told ? Json(status.seconds_now - node.heard_s) : Json(nullptr)},
        {"message_age_s", waits ? Json(node.message_age_s) : Json(nullptr)},
        {"message_from", waits ? Json(node.message_from) : Json(nullptr)},
        {"neighbour_silent", node.silent != 0},
        {"died", std::ranges::count(status.lost, static_cast<NodeId>(i)) > 0},
        {"accuracy", row == status.rows.end() ? Json(nullptr) : or_null(row->accuracy)},
    });
  }
  return all;
}

/// Of a verdict: the run has made all its steps, or cannot; there is nothing to resume.
static bool ended(const std::string& verdict) {
  return verdict == "converged" || verdict == "finished" || verdict == "diverged";
}

/// Of the state of status.json. Without a checkpoint a run begins anew: one that was cut off loses nothing by that, one
/// that has left results would lose them.
static bool resumable(const std::string& state, std::uint64_t checkpoint) {
  return state == "running" || (!ended(state) && checkpoint != 0);
}

static Status last_status(const Summary& summary, NodeId nodes, std::uint64_t checkpoint) {
  Status status{.state = name(summary.verdict),
                .seconds = summary.seconds,
                .seconds_now = summary.seconds,
                .step = summary.rows.empty() ? 0 : summary.rows[0].step,
                .checkpoint = checkpoint,
                .exchange = summary.exchange.value_or(""),
                .nodes = std::vector<Standing>(nodes),
                .lost = summary.nodes_lost,
                .rows = summary.rows};
  const double clock = summary.wall_seconds > 0 ? summary.seconds / summary.wall_seconds : 1;  // of a simulated second
  for (const MetricsRow& row : summary.rows)
    status.nodes[row.node] = {.step = row.step,
                              .steps_per_s = row.time_s > 0 ? static_cast<double>(row.step) / row.time_s * clock : 0,
                              .heard_s = summary.seconds};
  return status;
}

RunDirectory::RunDirectory(const Spec& spec, NodeId nodes) : directory_(spec.out) {
  if (directory_.empty()) return;
  check(spec);
  if (!spec.resume) make_folder(directory_);
  if (!spec.resume)
    write_atomically(path("config.ini"),
                     "# " + spec.command + "\n# on " + std::to_string(nodes) + " nodes\n" + spec.config);
  if (spec.record) make_folder(path("deliveries"));
}

void RunDirectory::check(const Spec& spec) {
  if (spec.out.empty() || spec.resume) return;
  std::error_code error;
  if (!is_free(spec.out, error))
    throw Error("--out " + spec.out +
                ": something is there already; choose another directory or remove it, or go on with --resume " +
                spec.out);
  std::string existing = fs::absolute(spec.out, error).string();
  while (!error && !fs::exists(existing, error) && !error) existing = fs::path(existing).parent_path();
  if (!error && access(existing.c_str(), W_OK) != 0) error.assign(errno, std::generic_category());
  if (error) throw Error("--out " + spec.out + ": cannot be made: " + error.message(), Exit::io);
}

std::string RunDirectory::path(const std::string& file) const {
  return directory_.empty() ? "" : directory_ + "/" + file;
}

void RunDirectory::write_status(const Status& status, const Experiment& experiment) const {
  if (directory_.empty()) return;
  const auto resume =
      resumable(status.state, status.checkpoint) ? resume_command(experiment) : std::optional<std::string>();
  const Json json = {
      {"state", status.state},
      {"step", status.step},
      {"steps", experiment.steps},
      {"epoch", static_cast<double>(status.step) * experiment.epochs_per_step},
      {"seconds", status.seconds},
      {"checkpoint", status.checkpoint == 0 ? Json(nullptr) : Json(status.checkpoint)},
      {"nodes", experiment.nodes()},
      {"host", host_name()},
      {"pid", getpid()},
      {"pid_started", process_started(getpid())},
      {"resume", resume ? Json(*resume) : Json(nullptr)},
      {"exchange", status.exchange.empty() ? Json(nullptr) : Json(status.exchange)},
      {"accuracy", mean_accuracy(status, experiment)},
      {"accuracy_consensus", status.rows.empty() ? Json(nullptr) : or_null(status.rows[0].average[0])},
      {"consensus_error", status.rows.empty() ? Json(nullptr) : or_null(consensus_error_of(status.rows))},
      {"nodes_lost", status.lost},
      {"by_node", by_node(status)},
  };
  write_atomically(path("status.json"), json.dump(2) + "\n", false);
}

void RunDirectory::finish(const Summary& summary, const Experiment& experiment, const std::vector<double>& mean,
                          std::uint64_t checkpoint) const {
  if (directory_.empty()) return;
  write_model(experiment, mean);
  const Schema& schema = experiment.data.example().schema;
  if (!summary.sites.empty()) write_atomically(path("sites.csv"), to_csv(summary.sites, schema));
  const ClassifierMeasures* classes = summary.measures ? summary.measures->classifier() : nullptr;
  if (const std::string table = classes ? confusion_csv(*classes, schema.classes) : ""; !table.empty())
    write_atomically(path("confusion.csv"), table);
  if (!summary.edges.empty()) write_atomically(path("edges.csv"), summary.edges);
  write_atomically(path("summary.json"), to_json(summary, experiment));
  write_status(last_status(summary, experiment.nodes(), checkpoint), experiment);
}

void RunDirectory::write_model(const Experiment& experiment, const std::vector<double>& mean) const {
  if (directory_.empty()) return;
  const Floats x(mean.begin(), mean.end());
  write_parameters(path("model"), model_name(experiment.spec), x, experiment.model->slices());
}

void RunDirectory::begin(const Experiment& experiment, const std::vector<std::string>& hosts, double seconds) const {
  if (directory_.empty()) return;
  write_atomically(path("nodes.csv"), nodes_csv(experiment, hosts));
  begin_events(directory_, seconds);
  std::error_code ignored;
  for (const char* of_the_end : {"summary.json", "edges.csv", "sites.csv", "confusion.csv"})  // before it was resumed
    fs::remove(path(of_the_end), ignored);
  make_folder(path("model"));
  const auto is_old = [](const fs::path& file) {  // exports of the model, too, where ecl export writes them by itself
    const fs::path kind = file.extension();
    const bool exported = kind == ".onnx" || kind == ".npz";
    return kind == ".safetensors" || (exported && file.filename().string().starts_with("model"));
  };
  for (fs::directory_iterator at(path("model"), ignored), end; !ignored && at != end; at.increment(ignored))
    if (is_old(at->path())) fs::remove(at->path(), ignored);
  write_model_json(path("model"), trained_model(experiment));
}

static std::string tests_path(const std::string& run, NodeId i) { return run + "/tests/node-" + std::to_string(i); }

/// Empty for a few samples: who knows all but one of them could find that one by trying.
static std::string tests_text(const RunData& data, NodeId i) {
  constexpr std::size_t kLeast = 10;
  const std::size_t samples = data.test_of(i).size();
  if (samples < kLeast) return "";
  char text[64];
  std::snprintf(text, sizeof text, "samples = %zu\nchecksum = %08x\n", samples, data.test_of(i).checksum());
  return text;
}

bool has_other_tests(const std::string& run, const RunData& data, NodeId i) {
  std::error_code ignored;
  const std::string path = tests_path(run, i);
  if (!fs::exists(path, ignored)) return false;
  const Bytes then = read_file(path);
  return std::string(then.begin(), then.end()) != tests_text(data, i);
}

void write_own_inputs(const Experiment& experiment) {
  const std::string& out = experiment.spec.out;
  if (out.empty()) return;
  for (NodeId i = experiment.first_here(); i < experiment.first_here() + experiment.nodes_here(); ++i) {
    if (experiment.data.own_scaling()) write_model_json(out + "/model", trained_model(experiment, i), i);
    if (!experiment.data.own_tests() && i > 0) continue;  // all have the same
    const std::string tests = tests_text(experiment.data, i);
    if (tests.empty()) continue;
    make_folder(out + "/tests");
    write_atomically(tests_path(out, i), tests);
  }
}

void write_node_model(const Experiment& experiment, NodeId i, CVec x) {
  const Spec& spec = experiment.spec;
  if (!spec.out.empty() && spec.node_models)
    write_parameters(spec.out + "/model", model_name(spec), x, experiment.model->slices(), i);
}

StartedRun begun_run(const std::string& directory) {
  StartedRun run;
  run.config_path = directory + "/config.ini";
  std::error_code error;
  if (!fs::is_directory(directory, error))
    throw Error(directory +
                ": there is no such directory (a run makes it once it has read its data); is the path right?");
  if (!fs::exists(run.config_path, error))
    throw Error(directory + ": no run was begun there (it has no config.ini); start one with --out " + directory);
  std::istringstream lines(text_of(run.config_path));
  std::string first, second;
  std::getline(lines, first), std::getline(lines, second);
  if (first.rfind("# ecl ", 0) != 0 || std::sscanf(second.c_str(), "# on %d nodes", &run.nodes) != 1 || run.nodes < 1)
    throw Error(
        directory + ": its config.ini does not begin with the command and the number of nodes, as ecl writes it",
        Exit::io);
  run.command_line = first.substr(2);
  run.command = command_of(run.command_line);
  run.config = {std::istreambuf_iterator<char>(lines), {}};
  return run;
}

StartedRun started_run(const std::string& directory, const std::string& command) {
  const std::string what = "--resume " + directory + ": ";
  StartedRun run;
  try {
    run = begun_run(directory);
  } catch (const Error& error) {
    throw Error(std::string("--resume ") + error.what(), error.code());
  }
  if (run.command != command) throw Error(what + "that is a run of ecl " + run.command + ", not of ecl " + command);
  std::error_code error;
  const std::string summary_path = directory + "/summary.json";
  if (!fs::exists(summary_path, error)) return run;
  const Json summary = Json::parse(text_of(summary_path), nullptr, false);
  const Json verdict = summary.is_object() ? summary.value("verdict", Json()) : Json();
  if (!verdict.is_string()) return run;
  const std::string word = verdict.get<std::string>();
  if (ended(word))
    throw Error(what + "that run has ended (" + word + "): there is nothing to resume; start another one with --out");
  if (!resumable(word, Checkpoints(directory, "").latest()))
    throw Error(what + "that run has ended (" + word + ") without a checkpoint: it would begin anew, and what it has " +
                "left would be lost; start another one with --out");
  return run;
}

std::optional<std::string> resume_command(const Experiment& experiment) {
  const Spec& spec = experiment.spec;
  const std::string command = command_of(spec.command);
  const std::string arguments = "ecl " + command + " --resume " + shell_quoted(spec.out);
  if (spec.out.empty() || command == "replay") return std::nullopt;
  if (command != "train") return arguments;
  std::ostringstream text;
  text << "mpirun -n " << experiment.nodes() << ' ' << arguments;
  const Spec usual;  // config.ini has not the options of a call
  if (spec.exchange != usual.exchange) text << " --exchange " << spec.exchange;
  if (spec.stall_warn_s != usual.stall_warn_s) text << " --stall-warn-s " << spec.stall_warn_s;
  return text.str();
}

std::string fingerprint_of_options(const std::string& command, NodeId nodes, const std::string& config) {
  std::string text = "ecl " + command + "\nnodes = " + std::to_string(nodes) + '\n';
  for (const std::string& line : split(config, '\n'))
    if (line.rfind("data = ", 0) != 0 && line.rfind("test = ", 0) != 0) (text += line) += '\n';
  return text;
}

std::string fingerprint(const Experiment& experiment) {
  std::ostringstream text;
  text << fingerprint_of_options(command_of(experiment.spec.command), experiment.nodes(), experiment.spec.config);
  char checksum[16];
  if (!experiment.spec.init.empty()) {
    std::snprintf(checksum, sizeof checksum, "%08x", ecl::checksum(std::as_bytes(std::span(experiment.initial))));
    text << "checksum of the first model = " << checksum << '\n';
  }
  std::snprintf(checksum, sizeof checksum, "%08x", experiment.data.checksum());
  text << "parameters = " << experiment.model->dim() << "\ntraining samples = " << experiment.data.train_samples()
       << "\ntest samples = " << experiment.data.test_samples() << "\nchecksum of the data = " << checksum << '\n';
  return text.str();
}

}  // namespace ecl
