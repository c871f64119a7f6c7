#include "tests/fuzz/targets.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "ecl/base/archive.hpp"
#include "ecl/base/check.hpp"
#include "ecl/base/gzip.hpp"
#include "ecl/base/safetensors.hpp"
#include "ecl/contracts/dataset.hpp"
#include "ecl/contracts/graph.hpp"
#include "ecl/contracts/model.hpp"
#include "ecl/contracts/solver.hpp"
#include "ecl/data/datasets/idx.hpp"
#include "ecl/data/placement.hpp"
#include "ecl/inference/predictor.hpp"
#include "ecl/inference/samples.hpp"
#include "ecl/node/step_rule.hpp"
#include "ecl/replay/delivery_log.hpp"
#include "ecl/run/directory/run_directory.hpp"
#include "ecl/run/spec.hpp"
#include "ecl/tool/options.hpp"
#include "tests/support/files.hpp"
#include "tests/support/simulated.hpp"

namespace ecl::fuzz {
namespace {

using Input = std::span<const std::uint8_t>;

std::string text_of(Input input) { return {input.begin(), input.end()}; }

/// Puts `content` where a reader that wants a path finds it. Always the same path, or the fuzzer would see each
/// message as new behaviour.
std::string file_of(const std::string& content, const std::string& name = "file") {
  static const test::Scratch directory;
  std::string path = (directory.path() / name).string();
  test::write_file(path, content);
  return path;
}

/// Cuts at the first line that is `%%`: before and after it. Without one, all is after.
std::pair<std::string, std::string> halves(Input input) {
  const std::string text = text_of(input), cut = "%%\n";
  const std::size_t at = text.find(cut);
  if (at == std::string::npos) return {"", text};
  return {text.substr(0, at), text.substr(at + cut.size())};
}

void expect(bool holds, const std::string& what) {
  if (!holds) throw std::logic_error(what);
}

void check_message(const Error& error) {
  const std::string_view message = error.what();
  expect(!message.empty() && message.find_first_of("\n\r") == std::string_view::npos,
         "a message is one line, and this is not: '" + std::string(message) + "'");
}

/// Everything a run would ask of a data set.
void use(const Dataset& data) {
  std::vector<float> row(data.features());
  for (std::size_t n = 0; n < data.size(); ++n) {
    data.gather(n, 1, row.data());
    expect(data.labels()[n] >= 0 && (data.labels()[n] < data.classes() || !data.targets().empty()),
           "a label that is no class");
  }
  constexpr NodeId kNodes = 2;
  for (const auto& [name, groups] : data.columns) make_partition({"by_column", name}, data, kNodes, 1);
}

void use(const TrainTest& loaded) {
  expect(loaded.train.size() > 0 && loaded.test.size() > 0, "a half without samples");
  expect(loaded.train.features() == loaded.test.features(), "halves of different widths");
  use(loaded.test);
  use(loaded.train);
}

Dataset forty_samples() {
  std::vector<std::int32_t> labels(40);
  for (std::size_t n = 0; n < labels.size(); ++n) labels[n] = static_cast<std::int32_t>(n % 4);
  return {1, 4, std::vector<float>(labels.size()), labels};
}

// --- the targets ---

void read_gzip(Input input) { gunzip(input, "input"); }

void read_idx(Input input) {
  const Bytes content(input.begin(), input.end());
  constexpr int kClasses = 10;
  if (input.size() > 3 && input[3] == 1) {
    parse_idx_labels(content, kClasses, "input");
  } else {
    IdxImages images = parse_idx_images(content, "input");
    std::vector<std::int32_t> labels(images.count);
    use(Dataset(images.height * images.width, kClasses, std::move(images.pixels), {{0.5f, 0.5f}}, std::move(labels)));
  }
}

/// One file for all six.
void read_cifar10(Input input) {
  std::string path;
  for (const char* name :
       {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"})
    path = file_of(text_of(input), std::string(name) + ".bin");
  use(load_dataset({"cifar10", ""}, {std::filesystem::path(path).parent_path().string(), 4, 1}));
}

/// Parameters `%%` file.
void read_csv(Input input) {
  const auto [arguments, file] = halves(input);
  const Choice choice{"csv", arguments.substr(0, arguments.find('\n'))};
  use(load_dataset(choice, {file_of(file), 4, 1}));
}

/// Whether a file names an index of 1,000 to a million. All rows then have as many values, and sanitizers take a minute
/// for what a page of text asks of memory.
bool asks_for_wide_rows(std::string_view file) {
  for (std::size_t colon = file.find(':'); colon != file.npos; colon = file.find(':', colon + 1)) {
    const std::size_t before = colon == 0 ? file.npos : file.find_last_not_of("0123456789", colon - 1);
    const std::size_t digits = colon - (before + 1);
    if (digits >= 4 && digits <= 7) return true;
  }
  return false;
}

/// Training file `%%` test file; one file alone is split.
void read_libsvm(Input input) {
  if (asks_for_wide_rows(text_of(input))) return;
  const auto [train, test] = halves(input);
  const std::string path = file_of(train.empty() ? test : train, "set");
  if (train.empty())
    std::filesystem::remove(path + ".t");
  else
    file_of(test, "set.t");
  use(load_dataset({"libsvm", ""}, {path, 4, 1}));
}

/// Parameters `%%` labels.npy `%%` features.npy: the arrays as they are, no byte more.
void read_npy_folder(Input input) {
  const auto [arguments, arrays] = halves(input);
  const auto [labels, features] = halves({reinterpret_cast<const std::uint8_t*>(arrays.data()), arrays.size()});
  file_of(labels, "labels.npy");
  const std::string path = file_of(features, "features.npy");
  const Choice choice{"npy", arguments.substr(0, arguments.find('\n'))};
  use(load_dataset(choice, {std::filesystem::path(path).parent_path().string(), 4, 1}));
}

void read_safetensors_file(Input input) { read_safetensors(file_of(text_of(input))); }

/// model.json `%%` model.safetensors.
void read_model_folder(Input input) {
  const auto [json, parameters] = halves(input);
  const std::string folder = std::filesystem::path(file_of(json, "model.json")).parent_path().string();
  file_of(parameters, "model.safetensors");
  const Predictor predictor(read_model(folder, 0));
  expect(predictor.trained().parameters.size() == predictor.model().dim(), "a model of another size");
}

/// Rows of a table for a model of a number, which may be missing, and of text.
void read_rows(Input input) {
  static const TrainedModel trained = [] {
    TrainedModel model;
    model.dataset = "csv", model.model = "softmax";
    model.setup = {5, 2};
    model.schema.label = "kind", model.schema.classes = {"day", "night"};
    model.schema.inputs = {{"age", {}, true}, {"colour", {"black", "red", "white"}, false}};
    model.schema.features = {"age", "age missing", "colour=black", "colour=red", "colour=white"};
    model.schema.missing = Missing::indicator;
    model.scale = Scale{std::vector<double>(5, 0.5), std::vector<double>(5, 2.0), std::vector<double>(5, 0.5)};
    model.parameters.assign(12, 0.25f);
    return model;
  }();
  Predictor predictor(trained);
  const std::string path = file_of(text_of(input));
  for (const bool labelled : {false, true}) {
    const auto samples = open_samples(predictor, path, labelled);
    std::uint64_t last = 0;
    for (Samples::Block block; samples->next(block);) {
      for (const std::uint64_t row : block.rows) expect(row > std::exchange(last, row), "rows out of order");
      predictor.outputs(std::move(block.data));
    }
    expect(last <= samples->rows(), "a row that was not read");
  }
}

void read_topology_file(Input input) { make_graph({"file", file_of(text_of(input))}, 5, 1); }

void read_partition_file(Input input) {
  static const Dataset data = forty_samples();
  make_partition({"file", file_of(text_of(input))}, data, 4, 1);
}

/// Both commands read a configuration; what they make of it reads back as the same.
void read_options_of(const std::vector<std::string>& arguments) {
  for (const char* command : {"simulate", "train"}) {
    try {
      const std::string config = read_options(command, arguments).spec.config;
      if (config.empty()) continue;  // --help
      const std::string again = read_options(command, {"--config", file_of(config, "again.ini")}).spec.config;
      expect(again == config, "a configuration changed when it was read again:\n" + config + "---\n" + again);
    } catch (const Error&) {
      if (command == std::string("train")) throw;
    }
  }
}

void read_config(Input input) { read_options_of({"--config", file_of(text_of(input))}); }

/// One argument a line.
void read_command_line(Input input) {
  const std::string text = text_of(input);
  if (text.find("--config") != std::string::npos) return;  // names files of this machine; read_config has its own
  read_options_of(split(text, '\n'));
}

/// As a file; then, after a byte that chooses the solver, as the state of three nodes and their network.
void read_checkpoint(Input input) {
  if (input.empty()) return;
  const std::string content = text_of(input), state = content.substr(1);
  try {
    parse_archive(content, "input", "ecl simulate\nnodes = 3\n");
  } catch (const Error& error) {
    check_message(error);
  }
  const auto& all = solvers().entries();
  constexpr NodeId kNodes = 3;
  constexpr std::uint64_t kSteps = 20;
  test::Simulation simulation(test::for_solver(test::quadratics(kNodes, kSteps), all[input[0] % all.size()].name));
  Archive archive(state, "input");
  archive(simulation);
  archive.finish();
}

/// What --resume looks at first: config.ini `%%` summary.json.
void read_run_directory(Input input) {
  const auto [config, summary] = halves(input);
  const std::string path = file_of(config, "config.ini");
  file_of(summary, "summary.json");
  started_run(std::filesystem::path(path).parent_path().string(), "simulate");
}

void read_delivery_log(Input input) {
  DeliveryReader log("input", input);
  while (log.next()) {
    const DeliveryEvent& event = log.event();
    expect(std::ssize(event.taken) == log.origin().edges, "not one number per edge");
    expect(event.exchanges >= 0, "fewer than no exchanges");
    expect(event.edge == 0 || event.edge < log.origin().edges, "an edge that is none");
  }
}

/// What an option holds, given to those who take it apart: `kind value`, then key=value lines as --set has them.
/// Data sets are left out: they would make as many samples as they are asked for.
void read_values(Input input) {
  std::vector<std::string> settings = split(text_of(input), '\n');
  if (settings.empty()) return;
  const std::string first = settings.front();
  settings.erase(settings.begin());
  const std::string kind = first.substr(0, first.find(' ')),
                    value = first.substr(std::min(kind.size() + 1, first.size()));
  const Choice choice = Choice::parse(value);
  if (choice.name == "file") return;  // has targets of its own
  constexpr NodeId kNodes = 8;
  static const Dataset data = forty_samples();
  static const Graph ring = make_graph({"ring", ""}, kNodes, 1);
  static const std::vector<float> initial(3);
  if (kind == "topology") {
    make_graph(choice, kNodes, 1);
  } else if (kind == "partition") {
    make_partition(choice, data, kNodes, 1);
  } else if (kind == "solver") {
    make_solver(choice, {ring, 0, initial, 0.1, 8}, settings);
  } else if (kind == "model") {
    Params params = models().params(choice, settings);
    const auto model = models().find(choice.name).make({3, 2}, params);
    params.finish();
    expect(model->dim() >> 31 == 0, "a model that no message can hold");
  } else if (kind == "schedule") {
    Schedule::parse(value).factor(0.5);
  } else if (kind == "node-speed") {
    node_speeds(value, kNodes);
  } else if (kind == "node-batch") {
    node_batches(value, kNodes, 32);
  } else if (kind == "placement") {
    constexpr NodeId kDevices = 40;
    const Placement placement(value, kDevices);
    place(placement, {"iid", ""}, data, placement.nodes(kDevices), 1);
  }
}

}  // namespace

const std::vector<Target>& targets() {
  static const std::vector<Target> all = {
      {"gzip", read_gzip},
      {"idx", read_idx},
      {"cifar10", read_cifar10},
      {"csv", read_csv},
      {"libsvm", read_libsvm},
      {"npy", read_npy_folder},
      {"safetensors", read_safetensors_file},
      {"model", read_model_folder},
      {"rows", read_rows},
      {"topology_file", read_topology_file},
      {"partition_file", read_partition_file},
      {"config", read_config},
      {"command_line", read_command_line},
      {"values", read_values},
      {"checkpoint", read_checkpoint},
      {"run_directory", read_run_directory},
      {"delivery_log", read_delivery_log},
  };
  return all;
}

void run(const Target& target, Input input) {
  try {
    target.read(input);
  } catch (const Error& error) {
    check_message(error);
  }
}

}  // namespace ecl::fuzz
