// ecl_predictor of ecl.h: rows as people have them, in memory, through a run's model.
#include "ecl/inference/predictor.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ecl/base/text_table.hpp"
#include "ecl/c/guarded.hpp"
#include "ecl/data/encoding.hpp"
#include "ecl/run/directory/stored_models.hpp"

struct ecl_predictor {
  ecl::Predictor model;
  std::vector<ecl::Column> inputs = ecl::input_columns(model.trained().schema);  ///< empty: features without names
  std::vector<std::string> classes = {};

  std::size_t width() const { return inputs.empty() ? model.features() : inputs.size(); }
  std::string column(std::size_t input) const {
    return inputs.empty() ? "column " + std::to_string(input + 1) : "column " + ecl::quoted(inputs[input].name);
  }
};

namespace ecl::c {
namespace {

constexpr std::size_t kBlock = 4096;  // rows: little enough for the cache
constexpr int kTakesNumbers = -2;

/// Whether a row can be predicted; throws Error where it is not to be left out in silence. `number`: from 1.
bool fits(const ecl_predictor& predictor, const float* row, std::size_t number) {
  const bool bytes = !predictor.model.trained().channels.empty();
  const Missing missing = !bytes ? predictor.model.trained().schema.missing : Missing::refuse;
  for (std::size_t input = 0; input < predictor.width(); ++input) {
    const auto fail = [&](const char* what) {
      return Error("row " + std::to_string(number) + ", " + predictor.column(input) + ": " + what);
    };
    const bool pixel = row[input] >= 0 && row[input] <= 255 && row[input] == std::floor(row[input]);
    if (bytes && !pixel) throw fail("a pixel is a whole number from 0 to 255");
    if (std::isinf(row[input])) throw fail("the value is infinite, or no float holds it");
    const std::size_t levels = predictor.inputs.empty() ? 0 : predictor.inputs[input].levels.size();
    const bool whole = row[input] == std::floor(row[input]);
    if (levels > 0 && !std::isnan(row[input]) &&
        !(whole && row[input] >= -1 && row[input] < static_cast<float>(levels)))
      throw fail("no level has this number; ecl_predictor_level() tells them");
    if (!std::isnan(row[input])) continue;
    if (missing == Missing::refuse)
      throw fail("a value is missing, and the model was trained without gaps; leave such rows out");
    if (missing == Missing::drop) return false;
  }
  return true;
}

/// That `node` is to be given where each node has a scaling of its own, and only there. Throws Error.
void require_scaling(const std::string& run, int node) {
  if (node < -1) throw Error(std::string("node ") + std::to_string(node) + " is none: nodes are numbered from 0");
  const bool common = read_model_json(model_folder(run)).scale.has_value();
  if (common && node >= 0)
    throw Error(std::string("node=") + std::to_string(node) + ": the nodes of '" + run +
                "' all have the same scaling; leave it out");
  if (!common && node < 0)
    throw Error("each node of '" + run +
                "' scaled the features by itself (standardise=own), and the average model has no scaling; say whose "
                "rows these are like, as in node=0");
}

/// Pictures are bytes.
Dataset pictures(const Predictor& model, const float* rows, std::size_t count) {
  std::vector<std::uint8_t> bytes(rows, rows + count * model.features());
  return {model.features(), model.classes(), std::move(bytes), model.trained().channels,
          std::vector<std::int32_t>(count, 0)};
}

/// Rows that fit, as the model's features.
Dataset samples(const ecl_predictor& predictor, const float* rows, std::size_t count) {
  if (!predictor.model.trained().channels.empty()) return pictures(predictor.model, rows, count);
  const std::size_t features = predictor.model.features();
  FloatRows encoded{.features = predictor.model.features(), .values = std::vector<float>(count * features)};
  for (std::size_t r = 0; r < count; ++r) {
    const float* row = rows + r * predictor.width();
    if (predictor.inputs.empty())
      std::copy_n(row, features, encoded.values.data() + r * features);
    else
      encode(predictor.inputs, row, encoded.values.data() + r * features);
  }
  return {predictor.model.classes(), std::move(encoded), std::vector<std::int32_t>(count, 0)};
}

/// What is said of a row, from the model's outputs; null: nothing is.
void say(const Predictor& model, const float* found, float* outputs, int* chosen) {
  const int classes = model.classes(), width = std::max(1, classes);
  const bool one = found && classes > 0 && !model.multi_label();
  if (chosen) *chosen = one ? static_cast<int>(std::max_element(found, found + classes) - found) : -1;
  if (!found) {
    std::fill_n(outputs, width, std::numeric_limits<float>::quiet_NaN());
  } else if (classes == 0) {
    *outputs = model.value(*found);
  } else if (model.multi_label()) {
    std::transform(found, found + classes, outputs, sigmoid);
  } else {
    std::copy_n(found, classes, outputs);
    softmax(outputs, classes);
  }
}

void predict(ecl_predictor& predictor, const float* rows, std::size_t count, float* outputs, int* chosen) {
  const std::size_t inputs = predictor.width(), width = std::max(1, predictor.model.classes());
  std::vector<float> kept;
  for (std::size_t first = 0; first < count; first += kBlock) {
    const std::size_t end = std::min(count, first + kBlock);
    std::vector<bool> fit;
    kept.clear();
    for (std::size_t r = first; r < end; ++r) {
      fit.push_back(fits(predictor, rows + r * inputs, r + 1));
      if (fit.back()) kept.insert(kept.end(), rows + r * inputs, rows + (r + 1) * inputs);
    }
    const float* found = predictor.model.outputs(samples(predictor, kept.data(), kept.size() / inputs));
    for (std::size_t r = first; r < end; ++r) {
      const bool any = fit[r - first];
      say(predictor.model, any ? found : nullptr, outputs + r * width, chosen ? chosen + r : nullptr);
      if (any) found += width;
    }
  }
}

}  // namespace
}  // namespace ecl::c

using ecl::c::given;
using ecl::c::guarded;

int ecl_predictor_open(const char* run, int node, ecl_predictor** predictor) {
  return guarded([&] {
    given(predictor, "predictor") = nullptr;
    ecl::c::require_scaling(&given(run, "run"), node);
    ecl::ModelChoice choice;
    if (node >= 0) choice.scaling_of = node;
    ecl::StoredModel stored = ecl::read_stored_model(&given(run, "run"), choice);
    if (!stored.note.empty()) std::cerr << "ecl: note: " + stored.note + "\n";
    auto opened = std::unique_ptr<ecl_predictor>(new ecl_predictor{ecl::Predictor(std::move(stored.trained))});
    for (int c = 0; c < opened->model.classes(); ++c) opened->classes.push_back(opened->model.class_name(c));
    *predictor = opened.release();
  });
}

void ecl_predictor_close(ecl_predictor* predictor) { delete predictor; }

int ecl_predictor_inputs(const ecl_predictor* predictor) {
  return predictor ? static_cast<int>(predictor->width()) : 0;
}

const char* ecl_predictor_input(const ecl_predictor* predictor, int input) {
  const bool known = predictor && input >= 0 && static_cast<std::size_t>(input) < predictor->inputs.size();
  return known ? predictor->inputs[input].name.c_str() : nullptr;
}

int ecl_predictor_level(const ecl_predictor* predictor, int input, const char* text) {
  if (!ecl_predictor_input(predictor, input) || !text) return -1;
  const auto& levels = predictor->inputs[input].levels;
  if (levels.empty()) return ecl::c::kTakesNumbers;
  auto level = std::ranges::find(levels, text);
  if (level == levels.end()) level = std::ranges::find(levels, ecl::level_name(std::string_view(text)));
  return level == levels.end() ? static_cast<int>(ecl::kUnknownLevel) : static_cast<int>(level - levels.begin());
}

int ecl_predictor_classes(const ecl_predictor* predictor) { return predictor ? predictor->model.classes() : 0; }

const char* ecl_predictor_class(const ecl_predictor* predictor, int number) {
  const bool known = predictor && number >= 0 && static_cast<std::size_t>(number) < predictor->classes.size();
  return known ? predictor->classes[number].c_str() : nullptr;
}

int ecl_predictor_multi_label(const ecl_predictor* predictor) { return predictor && predictor->model.multi_label(); }

int ecl_predict(ecl_predictor* predictor, const float* rows, size_t count, float* outputs, int* classes) {
  return guarded([&] {
    given(predictor, "predictor");
    if (count > 0) ecl::c::predict(*predictor, &given(rows, "rows"), count, &given(outputs, "outputs"), classes);
  });
}
