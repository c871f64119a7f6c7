// Rows of a text table, whose columns are found by name: what a file has besides the model's columns does not matter.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "ecl/base/byte_stream.hpp"
#include "ecl/base/check.hpp"
#include "ecl/base/text_table.hpp"
#include "ecl/data/datasets/table.hpp"
#include "ecl/data/encoding.hpp"
#include "ecl/inference/samples.hpp"

namespace ecl {
namespace {

constexpr std::size_t kBlock = 4096;  // rows: little enough for the cache
constexpr float kMissingCell = std::numeric_limits<float>::quiet_NaN();

/// A column of the model, and where it is in the file.
struct Place {
  Column column;
  std::size_t at;
  std::unordered_map<std::string, float> codes;  ///< of the levels, by each of their spellings
  std::uint64_t unknown = 0;                     ///< cells with another level
};

class TableSamples final : public Samples {
 public:
  TableSamples(const Predictor& predictor, const std::string& path, bool labelled)
      : predictor_(predictor),
        schema_(predictor.trained().schema),
        table_(path, open_file(path, "name the table of rows with --data"), names_of(schema_)) {
    find_places();
    if (labelled) find_label();
    cells_.resize(places_.size());
  }

  bool next(Block& block) override {
    const auto features = static_cast<std::size_t>(predictor_.features());
    FloatRows rows{.features = predictor_.features(), .values = {}};
    block.rows.clear(), labels_.clear(), targets_.clear(), weights_.clear();
    bool more = false;
    while (block.rows.size() < kBlock && (more = table_.next())) {
      ++rows_;
      if (!read_cells() || (!labels_at_.empty() && !read_label())) continue;
      if (weight_at_) weights_.push_back(read_weight(table_.cells()[*weight_at_], table_.lines()));
      rows.values.resize(rows.values.size() + features);
      encode(columns_, cells_.data(), rows.values.data() + rows.values.size() - features);
      block.rows.push_back(rows_);
    }
    labels_.resize(block.rows.size(), 0);  // where there are none
    block.data = Dataset(predictor_.classes(), std::move(rows), labels_);
    if (predictor_.trained().target && !targets_.empty()) block.data.set_targets(targets_);
    if (predictor_.multi_label() && !labels_at_.empty()) block.data.set_multi_label(targets_);
    if (weight_at_) block.data.set_weights(weights_);
    if (!more && rows_ == 0 && schema_.features.empty() && !table_.header().empty())
      throw Error("'" + path() +
                      "' has a header and no rows; the model's columns have no names, so perhaps the first row "
                      "was taken for one",
                  Exit::io);
    return more || !block.rows.empty();
  }

  std::vector<std::string> notes() const override {
    std::vector<std::string> lines = gap_notes(gaps_, filled_, unlabelled_);
    if (!first_line_.empty()) lines.push_back("the first line was taken for " + first_line_);
    for (const Place& place : places_)
      if (place.unknown > 0)
        lines.push_back(std::to_string(place.unknown) + (place.unknown == 1 ? " cell" : " cells") + " of column " +
                        ecl::quoted(place.column.name) + " with a value that no training row had: taken for none");
    return lines;
  }

 private:
  /// The model's columns, by which a header is known as one.
  static std::vector<std::string> names_of(const Schema& schema) {
    std::vector<std::string> names;
    if (!schema.features.empty())
      for (const Column& column : input_columns(schema)) names.push_back(column.name);
    return names;
  }

  void find_places() {
    columns_ = input_columns(schema_);
    const bool named = !schema_.features.empty();
    if (named && table_.header().empty())
      throw Error("'" + path() + "' has no header, and the model's columns are found by name: " +
                  ecl::quoted(columns_[0].name) + " and the others");
    // A first line of names alone is a header; one that holds a value is a row. Either is told.
    const bool guessed = table_.guessed_header(), names = std::ranges::all_of(table_.header(), is_name);
    if (!named && (guessed ? !names : !table_.doubt().empty())) {
      first_line_ = "a row, as the model's columns have no names and it holds a value";
      if (guessed) table_.take_header_for_row();
    } else if (!named && guessed) {
      first_line_ = "the names of columns: " + ecl::quoted(table_.header()[0]) + " ...";
    }
    // Numbered columns: all of them are there, or the features alone, in their order.
    features_alone_ = !named && table_.columns() == columns_.size();
    if (!named && !features_alone_) refuse_other_count();
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const auto at = features_alone_ ? c : find_column(columns_[c].name, table_.header(), table_.columns());
      if (!at)
        throw Error("'" + path() + "' has no column " + ecl::quoted(columns_[c].name) + ", which the model needs" +
                    suggestion(columns_[c].name, table_.header()));
      if (named && std::count(table_.header().begin(), table_.header().end(), columns_[c].name) > 1)
        throw Error("'" + path() + "' has two columns " + ecl::quoted(columns_[c].name) + "; rename one");
      Place place{columns_[c], *at, {}};
      for (std::size_t level = 0; level < columns_[c].levels.size(); ++level)
        place.codes.emplace(columns_[c].levels[level], static_cast<float>(level));
      places_.push_back(std::move(place));
    }
  }

  /// Where columns go by their numbers, one more or less makes them others.
  void refuse_other_count() const {
    const auto trained =
        static_cast<std::size_t>(schema_.column_count);  // 0 too in models of earlier versions, which did not keep it
    if (trained == 0 || table_.columns() == trained) return;
    throw Error("'" + path() + "' has " + std::to_string(table_.columns()) + " columns; the model was trained on a " +
                "table of " + std::to_string(trained) + " columns without names, of which " +
                std::to_string(columns_.size()) +
                " are features: which these are is known only of all of them, or of the features alone");
  }

  /// And the weight, which may be missing.
  void find_label() {
    for (const std::string& label : predictor_.multi_label() ? schema_.classes : std::vector{schema_.label}) {
      const auto at = features_alone_ ? std::nullopt : find_column(label, table_.header(), table_.columns());
      if (!at)
        throw Error("'" + path() + "' has no column " + ecl::quoted(label) +
                    ", the label: there is nothing to compare with; ecl predict needs none");
      if (std::count(table_.header().begin(), table_.header().end(), label) > 1)
        throw Error("'" + path() + "' has two columns " + ecl::quoted(label) + ", the label; rename one");
      labels_at_.push_back(*at);
    }
    if (!schema_.weight.empty()) weight_at_ = find_column(schema_.weight, table_.header(), table_.columns());
  }

  /// Keeps the row's label; false if the cell is empty.
  bool read_label() {
    for (const std::size_t at : labels_at_)
      if (const auto cell = table_.cells()[at]; is_missing(cell) && predictor_.class_number(cell) < 0)
        return ++unlabelled_, false;
    if (predictor_.multi_label()) {
      for (const std::size_t at : labels_at_) targets_.push_back(read_binary(table_.cells()[at], table_.lines()));
      return true;
    }
    const std::string_view cell = table_.cells()[labels_at_[0]];
    if (predictor_.trained().target) {
      targets_.push_back(table_.lines().number(cell));
      return true;
    }
    const std::string text = unescaped(cell);
    const auto [known, added] = numbers_.try_emplace(text, 0);
    if (added) known->second = predictor_.class_number(text);
    if (known->second < 0) table_.lines().fail(cell, quoted(cell) + " is none of the model's classes");
    labels_.push_back(known->second);
    return true;
  }

  /// Fills cells_; false if one is missing and the row is left out.
  bool read_cells() {
    for (std::size_t c = 0; c < places_.size(); ++c) {
      Place& place = places_[c];
      const std::string_view cell = table_.cells()[place.at];
      if (is_missing(cell) && !place.codes.contains(std::string(cell))) {
        if (schema_.missing == Missing::refuse)
          table_.lines().fail(cell, "a value of column " + quoted(place.column.name) +
                                        " is missing, and the model was trained without gaps; leave such rows out");
        if (schema_.missing == Missing::drop) return ++gaps_, false;
        ++filled_;
        cells_[c] = kMissingCell;
      } else {
        cells_[c] = place.column.levels.empty() ? number(cell) : level(place, cell);
      }
    }
    return true;
  }

  float number(std::string_view cell) const {
    if (const auto value = cell_value(cell); value && std::abs(*value) <= std::numeric_limits<float>::max())
      return static_cast<float>(*value);
    return table_.lines().number(cell);  // which says what is wrong with it
  }

  static float level(Place& place, std::string_view cell) {
    const std::string text = unescaped(cell);
    if (const auto known = place.codes.find(text); known != place.codes.end()) return known->second;
    const auto spelt = place.codes.find(level_name(text));
    if (spelt == place.codes.end()) return ++place.unknown, kUnknownLevel;
    const float code = spelt->second;
    return place.codes[text] = code;
  }

  const std::string& path() const { return table_.lines().path(); }

  const Predictor& predictor_;
  const Schema& schema_;
  TextTable table_;
  std::vector<Column> columns_;
  std::vector<Place> places_;
  std::vector<float> cells_;
  std::string first_line_;              ///< what it was taken for, where that was not clear
  bool features_alone_ = false;         ///< numbered columns, and nothing else is in the file
  std::vector<std::size_t> labels_at_;  ///< empty where labels are not wanted
  std::optional<std::size_t> weight_at_;
  std::unordered_map<std::string, std::int32_t> numbers_;  ///< of classes
  std::vector<std::int32_t> labels_;                       ///< of the block's samples
  std::vector<float> targets_, weights_;                   ///< as Dataset's
  std::uint64_t gaps_ = 0, filled_ = 0, unlabelled_ = 0;
};

}  // namespace

std::unique_ptr<Samples> open_table(const Predictor& predictor, const std::string& path, bool labelled) {
  return std::make_unique<TableSamples>(predictor, path, labelled);
}

}  // namespace ecl
