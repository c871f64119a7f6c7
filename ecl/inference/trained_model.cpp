#include "ecl/inference/trained_model.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/files.hpp"
#include "ecl/base/gzip.hpp"
#include "ecl/base/safetensors.hpp"
#include "ecl/data/encoding.hpp"

namespace ecl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;  // of model.json
constexpr const char *kJson = ".json", *kParameters = ".safetensors";
constexpr std::array kMissing = {"refuse", "drop", "mean", "indicator"};  // by Missing

/// A file of the folder: the average model's, or a node's.
std::string file_of(const std::string& folder, std::optional<NodeId> node, const char* ending) {
  std::string path = folder + "/model";
  if (node) (path += '-') += std::to_string(*node);
  return path += ending;
}

Json to_json(const Column& column) {
  Json json = {{"column", column.name}, {"kind", column.levels.empty() ? "number" : "category"}};
  if (!column.levels.empty()) json["levels"] = column.levels;
  if (column.indicator) json["indicator"] = true;
  return json;
}

Column to_column(const Json& json) {
  Column column{json.at("column").get<std::string>(), {}, json.value("indicator", false)};
  if (json.at("kind") == "category") column.levels = json.at("levels").get<std::vector<std::string>>();
  return column;
}

std::optional<Scale> to_scale(const Json& json) {
  if (json.at("mean").is_null()) return std::nullopt;
  const auto numbers = [&](const char* key) { return json.at(key).get<std::vector<double>>(); };
  return Scale{numbers("mean"), numbers("deviation"), numbers("fill")};
}

TrainedModel to_model(const Json& json) {
  TrainedModel trained;
  trained.model = json.at("model").get<std::string>();
  trained.dataset = json.at("dataset").get<std::string>();
  trained.setup = {json.at("feature_count").get<int>(), json.at("class_count").get<int>()};
  if (const auto& image = json.at("image"); !image.is_null())
    trained.setup.image = {image.at(0).get<int>(), image.at(1).get<int>(), image.at(2).get<int>()};
  trained.setup.loss = loss_named(json.at("loss").get<std::string>());
  if (const auto& target = json.at("target"); !target.is_null())
    trained.target = {target.at("mean").get<double>(), target.at("deviation").get<double>()};
  for (const Json& column : json.at("inputs")) trained.schema.inputs.push_back(to_column(column));
  const auto missing = json.at("missing").get<std::string>();
  for (std::size_t m = 0; m < kMissing.size(); ++m)
    if (missing == kMissing[m]) trained.schema.missing = static_cast<Missing>(m);
  trained.schema.features = json.at("features").get<std::vector<std::string>>();
  trained.schema.label = json.at("label").get<std::string>();
  trained.schema.classes = json.at("classes").get<std::vector<std::string>>();
  trained.schema.weight = json.value("weight", "");
  trained.schema.column_count = json.value("column_count", 0);
  trained.scale = to_scale(json);
  for (const Json& channel : json.at("pixels"))
    trained.channels.push_back({channel.at("mean").get<float>(), channel.at("deviation").get<float>()});
  const Json& origin = json.at("trained");
  trained.origin = {origin.at("command"), origin.at("version"), origin.at("nodes"), origin.at("train_samples")};
  return trained;
}

bool usable(const Scale& scale, std::size_t features) {
  const auto fits = [&](const std::vector<double>& values, auto good) {
    return values.empty() || (values.size() == features && std::all_of(values.begin(), values.end(), good));
  };
  const auto finite = [](double value) { return std::isfinite(value); };
  const auto positive = [](double value) { return std::isfinite(value) && value > 0; };
  return scale.mean.size() == scale.deviation.size() && fits(scale.mean, finite) && fits(scale.deviation, positive) &&
         fits(scale.fill, finite);
}

/// What the parts say of each other.
bool consistent(const TrainedModel& trained) {
  const auto& [features, classes, image, loss, unused] = trained.setup;
  if (features < 1 || classes < 0 || image.channels < 0 || image.height < 0 || image.width < 0) return false;
  const double pixels = static_cast<double>(image.channels) * image.height * image.width;
  if (image.channels > 0 && pixels != features) return false;
  if (trained.scale && !usable(*trained.scale, static_cast<std::size_t>(features))) return false;
  if (trained.target.has_value() != is_regression(loss)) return false;
  const auto& names = trained.schema.classes;
  if (!names.empty() && names.size() != static_cast<std::size_t>(classes)) return false;
  return trained.schema.inputs.empty() || encoded_size(trained.schema.inputs) == static_cast<std::size_t>(features);
}

TrainedModel read_json(const std::string& path) {
  const Bytes text = read_file(path, "a run leaves it in the model/ of its --out DIR");
  const auto fail = [&](const std::string& what) -> Error {
    return Error("'" + path + "' " + what + "; it is damaged, or of another version of ecl", Exit::io);
  };
  try {
    const Json json = Json::parse(text.begin(), text.end());
    if (json.at("format") != kFormat) throw fail("has the format " + json.at("format").dump());
    TrainedModel trained = to_model(json);
    if (!consistent(trained)) throw fail("has parts that do not fit each other");
    return trained;
  } catch (const Json::exception&) {
    throw fail("is not what ecl writes there");
  }
}

std::vector<Tensor> to_tensors(const std::vector<Slice>& slices, std::size_t parameters) {
  if (slices.empty()) return {{"parameters", {parameters}}};
  std::vector<Tensor> tensors;
  for (const Slice& slice : slices) tensors.push_back({slice.name, {slice.shape.begin(), slice.shape.end()}});
  return tensors;
}

}  // namespace

std::vector<Column> input_columns(const Schema& schema) {
  if (!schema.inputs.empty()) return schema.inputs;
  std::vector<Column> columns;  // each feature is one, a number
  for (const std::string& name : schema.features) columns.push_back({name});
  return columns;
}

std::string model_json(const TrainedModel& trained) {
  const auto& [features, classes, image, loss, unused] = trained.setup;
  Json inputs = Json::array(), pixels = Json::array();
  for (const Column& column : trained.schema.inputs) inputs.push_back(to_json(column));
  for (const auto [mean, deviation] : trained.channels) pixels.push_back({{"mean", mean}, {"deviation", deviation}});
  const auto scaled = [&](std::vector<double> Scale::*values) {
    return trained.scale ? Json((*trained.scale).*values) : Json(nullptr);
  };
  const Origin& origin = trained.origin;
  Json json = {
      {"format", kFormat},
      {"model", trained.model},
      {"dataset", trained.dataset},
      {"inputs", inputs},
      {"missing", kMissing[static_cast<std::size_t>(trained.schema.missing)]},
      {"feature_count", features},
      {"features", trained.schema.features},
      {"mean", scaled(&Scale::mean)},
      {"deviation", scaled(&Scale::deviation)},
      {"fill", scaled(&Scale::fill)},
      {"image", image.channels == 0 ? Json(nullptr) : Json{image.channels, image.height, image.width}},
      {"pixels", pixels},
      {"label", trained.schema.label},
      {"loss", name_of(loss)},
      {"target",
       trained.target ? Json{{"mean", trained.target->mean}, {"deviation", trained.target->deviation}} : Json(nullptr)},
      {"class_count", classes},
      {"classes", trained.schema.classes},
      {"trained",
       {{"command", origin.command},
        {"nodes", origin.nodes},
        {"train_samples", origin.train_samples},
        {"version", origin.version}}},
  };
  if (!trained.schema.weight.empty()) json["weight"] = trained.schema.weight;
  if (trained.schema.column_count > 0) json["column_count"] = trained.schema.column_count;
  return json.dump(1) + "\n";
}

void write_model_json(const std::string& folder, const TrainedModel& trained, std::optional<NodeId> node) {
  write_atomically(file_of(folder, node, kJson), model_json(trained));
}

void write_tensors(const std::string& path, const std::string& model, CVec x, const std::vector<Slice>& slices) {
  const auto values = std::as_bytes(x);
  const std::string header = safetensors_header(to_tensors(slices, x.size()), {{"format", "pt"}, {"ecl", model}});
  const std::string_view pieces[] = {header, {reinterpret_cast<const char*>(values.data()), values.size()}};
  write_atomically(path, pieces);
}

void write_parameters(const std::string& folder, const std::string& model, CVec x, const std::vector<Slice>& slices,
                      std::optional<NodeId> node) {
  make_folder(folder);
  write_tensors(file_of(folder, node, kParameters), model, x, slices);
}

std::string model_folder(const std::string& run) {
  std::error_code ignored;
  if (!fs::is_directory(run, ignored))
    throw Error("there is no directory '" + run + "'; name that of a run, its --out");
  std::string folder = fs::exists(file_of(run, std::nullopt, kJson), ignored) ? run : run + "/model";
  if (!fs::exists(file_of(folder, std::nullopt, kJson), ignored))
    throw Error("'" + run + "' holds no model yet; name the directory of a run that has begun to train, its --out");
  return folder;
}

bool has_parameters(const std::string& folder, std::optional<NodeId> node) {
  std::error_code ignored;
  return fs::exists(file_of(folder, node, kParameters), ignored);
}

TrainedModel read_model_json(const std::string& folder, std::optional<NodeId> scaling_of) {
  TrainedModel trained = read_json(file_of(folder, std::nullopt, kJson));
  if (!trained.scale && scaling_of) trained = read_json(file_of(folder, scaling_of, kJson));
  return trained;
}

TrainedModel read_model(const std::string& folder, std::optional<NodeId> scaling_of) {
  TrainedModel trained = read_model_json(folder, scaling_of);
  if (!has_parameters(folder))
    throw Error("'" + folder + "' holds no model yet: a run writes it when it ends, or is stopped by a signal");
  read_parameters(trained, folder);
  return trained;
}

void read_parameters(TrainedModel& trained, const std::string& folder, std::optional<NodeId> node) {
  const std::string path = file_of(folder, node, kParameters);
  const Safetensors file = read_safetensors(path);
  const auto model = make_model(trained.model, trained.setup);
  const std::vector<Tensor> expected = to_tensors(model->slices(), model->dim());
  const bool same = std::equal(expected.begin(), expected.end(), file.tensors.begin(), file.tensors.end(),
                               [](const Tensor& a, const Tensor& b) { return a.name == b.name && a.shape == b.shape; });
  if (!same)
    throw Error("'" + path + "' holds other arrays than model " + trained.model +
                    " of its model.json has; the two belong to different runs",
                Exit::io);
  trained.parameters.assign(file.values.begin(), file.values.end());
}

std::unique_ptr<Model> make_model(const std::string& model, const ModelSetup& setup) {
  const Choice choice = Choice::parse(model);
  Params params = models().params(choice);
  auto made = models().find(choice.name).make(setup, params);
  params.finish();
  return made;
}

}  // namespace ecl
