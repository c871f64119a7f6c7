// The samples as people have them become what the layers see: encoded, filled, scaled, as encode() and Dataset::scale()
// do it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "ecl/base/build.hpp"
#include "ecl/base/check.hpp"
#include "ecl/base/files.hpp"
#include "ecl/data/encoding.hpp"
#include "ecl/inference/exports.hpp"
#include "ecl/inference/onnx_layers.hpp"
#include "ecl/models/network.hpp"

namespace ecl {
namespace {

using Json = nlohmann::ordered_json;
constexpr float kNone = std::numeric_limits<float>::quiet_NaN();  // a missing value; a level that equals no other

// --- samples ---

std::vector<float> to_floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

onnx::Shape row_of(std::size_t features) { return {static_cast<std::int64_t>(features)}; }

bool only_numbers(const std::vector<Column>& columns) {
  return std::ranges::all_of(columns, [](const Column& c) { return c.levels.empty() && !c.indicator; });
}

/// So many values has a sample, as the model's user gives it.
std::int64_t given_values(const TrainedModel& trained) {
  const auto columns = input_columns(trained.schema);
  return columns.empty() ? trained.setup.features : static_cast<std::int64_t>(columns.size());
}

/// How each feature comes from its column.
struct Encoding {
  onnx::Shape column;
  std::vector<bool> number;   ///< it is the cell; else 1 where the cell is `level`
  std::vector<float> level;   ///< that of an indicator equals no cell:
  std::vector<float> filled;  ///< it is 1 where the cell is missing
};

Encoding encoding_of(const std::vector<Column>& columns, const Scale& scale) {
  Encoding all;
  const auto feature = [&](std::size_t column, bool number, float level, bool indicator) {
    const std::size_t f = all.column.size();
    all.column.push_back(static_cast<std::int64_t>(column));
    all.number.push_back(number), all.level.push_back(level);
    all.filled.push_back(indicator ? 1.0f : scale.fill.empty() ? kNone : static_cast<float>(scale.fill[f]));
  };
  for (std::size_t c = 0; c < columns.size(); ++c) {
    if (columns[c].levels.empty()) feature(c, true, kNone, false);
    for (std::size_t l = 0; l < columns[c].levels.size(); ++l) feature(c, false, static_cast<float>(l), false);
    if (columns[c].indicator) feature(c, false, kNone, true);
  }
  return all;
}

/// A cell for each feature, then what each feature makes of its cell. Without anything to fill, what is missing stays
/// so, and so do the probabilities.
std::string encoded(const std::vector<Column>& columns, const Scale& scale, const std::string& rows,
                    onnx::Graph& graph) {
  const Encoding all = encoding_of(columns, scale);
  const onnx::Shape features = row_of(all.column.size());
  const std::string cells =
      graph.add("Gather", {rows, graph.constant("column", all.column)}, {{"axis", std::int64_t{1}}});
  const std::string same = graph.add("Equal", {cells, graph.constant("level", features, all.level)});
  const std::string hot = graph.add("Cast", {same}, {{"to", static_cast<std::int64_t>(onnx::Type::number)}});
  const std::string values = graph.add("Where", {graph.constant("number", all.number), cells, hot});
  return graph.add("Where", {graph.add("IsNaN", {cells}), graph.constant("fill", features, all.filled), values});
}

/// (value - mean) / deviation. The mean is taken away in two steps where a float does not hold enough of its digits.
std::string scaled(const Scale& scale, std::string value, onnx::Graph& graph) {
  const std::vector<float> mean = to_floats(scale.mean);
  std::vector<float> rest;
  bool matters = false;
  for (std::size_t f = 0; f < mean.size(); ++f) {
    const double left = scale.mean[f] - mean[f];
    rest.push_back(static_cast<float>(left));
    matters |= std::abs(left) > 1e-6 * scale.deviation[f];
  }
  const onnx::Shape shape = row_of(mean.size());
  value = graph.add("Sub", {value, graph.constant("mean", shape, mean)});
  if (matters) value = graph.add("Sub", {value, graph.constant("mean_rest", shape, rest)});
  return graph.add("Div", {value, graph.constant("deviation", shape, to_floats(scale.deviation))});
}

/// Rows of numbers.
std::string read_features(const TrainedModel& trained, onnx::Graph& graph) {
  std::string value = "features";
  const Scale scale = trained.scale.value_or(Scale{});
  if (const auto columns = input_columns(trained.schema); !only_numbers(columns)) {
    value = encoded(columns, scale, value, graph);
  } else if (!scale.fill.empty()) {
    const std::string fill = graph.constant("fill", row_of(scale.fill.size()), to_floats(scale.fill));
    value = graph.add("Where", {graph.add("IsNaN", {value}), fill, value});
  }
  return scale.mean.empty() ? value : scaled(scale, value, graph);
}

/// Bytes of pictures.
std::string read_pixels(const TrainedModel& trained, onnx::Graph& graph) {
  std::vector<float> means, deviations;
  for (const auto [mean, deviation] : trained.channels) means.push_back(mean), deviations.push_back(deviation);
  const onnx::Shape shape = {static_cast<std::int64_t>(means.size()), 1, 1};
  const std::vector<float> white = {255.0f};
  std::string value = graph.add("Cast", {"pixels"}, {{"to", static_cast<std::int64_t>(onnx::Type::number)}});
  value = graph.add("Div", {value, graph.constant("white", {}, white)});
  value = graph.add("Sub", {value, graph.constant("mean", shape, means)});
  return graph.add("Div", {value, graph.constant("deviation", shape, deviations)});
}

bool takes_pictures(const TrainedModel& trained) {
  return trained.setup.image.channels > 0 && !trained.channels.empty();
}

onnx::Value read_samples(const Predictor& predictor, onnx::Graph& graph) {
  const TrainedModel& trained = predictor.trained();
  const auto& [channels, height, width] = trained.setup.image;
  const layers::Shape shape =
      channels > 0 ? layers::Shape{height, width, channels} : layers::Shape{1, 1, trained.setup.features};
  if (takes_pictures(trained)) {
    graph.input("pixels", onnx::Type::byte, {channels, height, width}, onnx_use(predictor));
    return {read_pixels(trained, graph), shape, onnx::Value::Order::stored};
  }
  graph.input("features", onnx::Type::number, {given_values(trained)}, onnx_use(predictor));
  return {read_features(trained, graph), shape, onnx::Value::Order::rows};
}

// --- outputs ---

void add_classes(int classes, const std::string& logits, onnx::Graph& graph) {
  graph.add("Softmax", {logits}, {{"axis", std::int64_t{1}}}, "probabilities");
  graph.add("ArgMax", {"probabilities"}, {{"axis", std::int64_t{1}}, {"keepdims", std::int64_t{0}}}, "label");
  graph.output("label", onnx::Type::integer, {}, "the number of the most probable class");
  graph.output("probabilities", onnx::Type::number, {classes}, "of each class");
}

void add_labels(int labels, const std::string& logits, onnx::Graph& graph) {
  const std::vector<float> none = {0.0f};
  graph.add("Sigmoid", {logits}, {}, "probabilities");
  const std::string there = graph.add("Greater", {logits, graph.constant("even_odds", {}, none)});
  graph.add("Cast", {there}, {{"to", static_cast<std::int64_t>(onnx::Type::integer)}}, "labels");
  graph.output("labels", onnx::Type::integer, {labels}, "1 where the label is more probable than not");
  graph.output("probabilities", onnx::Type::number, {labels}, "of each label");
}

/// Back to the label's own unit.
void add_number(const TargetScale& target, const std::string& output, onnx::Graph& graph) {
  const std::vector<float> deviation = {static_cast<float>(target.deviation)}, mean = {static_cast<float>(target.mean)};
  const std::string wide = graph.add("Mul", {output, graph.constant("target_deviation", {}, deviation)});
  graph.add("Add", {wide, graph.constant("target_mean", {}, mean)}, {}, "prediction");
  graph.output("prediction", onnx::Type::number, {1}, "in the label's own unit");
}

// --- what is said of it ---

std::string column_text(const Column& column) {
  std::string text = column.name;
  for (std::size_t l = 0; l < column.levels.size(); ++l)
    ((text += l == 0 ? " (" : ", ") += std::to_string(l)) += " = " + column.levels[l];
  return column.levels.empty() ? text : text + ", anything else = none of them)";
}

std::vector<std::string> class_names(const Predictor& predictor) {
  std::vector<std::string> names;
  for (int c = 0; c < predictor.classes(); ++c) names.push_back(predictor.class_name(c));
  return names;
}

/// For people who have the file alone.
std::string text_of(const Predictor& predictor) {
  const TrainedModel& trained = predictor.trained();
  std::string text = trained.target ? "A regression (" : "A classifier (";
  text += trained.model + ") that ecl trained. It " + onnx_use(predictor) + ".\n";
  if (const auto columns = input_columns(trained.schema); !columns.empty()) {
    text += trained.scale && !trained.scale->fill.empty() ? "NaN is a missing value, and is filled in. "
                                                          : "No value may be missing: the outputs are NaN then. ";
    text += "The columns:\n";
    for (const Column& column : columns) text += "- " + column_text(column) + "\n";
  }
  if (predictor.multi_label()) text += "The labels, each there or not, in the order of the outputs:\n";
  if (!trained.target && !predictor.multi_label()) text += "The classes, by number:\n";
  int number = 0;
  for (const std::string& name : class_names(predictor)) text += std::to_string(number++) + " = " + name + "\n";
  return text + "metadata_props say the same as JSON, and where the model comes from.\n";
}

/// What model.json says, but for what is in the graph.
onnx::About about(const Predictor& predictor) {
  TrainedModel told = predictor.trained();
  told.schema.inputs = input_columns(told.schema);
  told.schema.classes = class_names(predictor);
  onnx::About about{version(), text_of(predictor), {}};
  const Json json = Json::parse(model_json(told));
  for (const auto& [key, value] : json.items())
    if (key != "mean" && key != "deviation" && key != "fill" && key != "pixels")
      about.properties.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
  return about;
}

// --- the model ---

onnx::Parameters parameters_of(const Predictor& predictor) {
  onnx::Parameters all;
  std::span<const float> rest(predictor.trained().parameters);
  for (const Slice& slice : predictor.model().slices()) {
    all[slice.name] = {{slice.shape.begin(), slice.shape.end()}, rest.first(slice.size())};
    rest = rest.subspan(slice.size());
  }
  return all;
}

const Network& layers_of(const Predictor& predictor) {
  const auto* network = dynamic_cast<const Network*>(&predictor.model());
  if (!network)
    throw Error("model " + predictor.trained().model +
                " is no list of layers, of which an ONNX file is made; --format npz takes any model");
  constexpr std::size_t kLimit = (std::size_t{1} << 31) - (std::size_t{1} << 24);  // less what is not parameters
  if (network->dim() > kLimit / sizeof(float))
    throw Error("an ONNX file holds no more than 2 GB, and the model's " + std::to_string(network->dim()) +
                " parameters are more; use --format npz");
  return *network;
}

}  // namespace

std::string onnx_use(const Predictor& predictor) {
  const TrainedModel& trained = predictor.trained();
  const auto& [channels, height, width] = trained.setup.image;
  std::string text = "takes ";
  if (takes_pictures(trained))
    text += "'pixels', uint8 [N, " + std::to_string(channels) + ", " + std::to_string(height) + ", " +
            std::to_string(width) + "], 0 .. 255";
  else
    text += "'features', float [N, " + std::to_string(given_values(trained)) + "], as they are, not scaled";
  if (!input_columns(trained.schema).empty()) text += ", in the order of columns that its doc_string tells";
  if (trained.target) return text + "; gives 'prediction', float [N, 1], in the label's own unit";
  const std::string classes = std::to_string(predictor.classes());
  return text + "; gives " + (predictor.multi_label() ? "'labels', int64 [N, " + classes + "]" : "'label', int64 [N]") +
         ", and 'probabilities', float [N, " + classes + "]";
}

void write_onnx(const Predictor& predictor, const std::string& path) {
  const Network& network = layers_of(predictor);
  onnx::Graph graph;
  onnx::Value value = read_samples(predictor, graph);
  value = onnx::through(network.architecture(), value, parameters_of(predictor), graph);
  if (predictor.trained().target)
    add_number(*predictor.trained().target, value.name, graph);
  else
    (predictor.multi_label() ? add_labels : add_classes)(predictor.classes(), value.name, graph);
  write_atomically(path, graph.model(about(predictor)));
}

}  // namespace ecl
