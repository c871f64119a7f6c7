// Rows of arrays, npy and hdf5: read block by block, their gaps and labels dealt with as in training.
#include <algorithm>
#include <cmath>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/text_lines.hpp"
#include "ecl/data/datasets/array_table.hpp"
#include "ecl/data/encoding.hpp"
#include "ecl/inference/samples.hpp"

namespace ecl {
namespace {

class ArraySamples final : public Samples {
 public:
  ArraySamples(const Predictor& predictor, ArrayTable table)
      : predictor_(predictor), schema_(predictor.trained().schema), table_(std::move(table)) {
    const int features = predictor.features(), found = table_.rows->features();
    columns_ = schema_.inputs;
    const int wanted = columns_.empty() ? features : static_cast<int>(columns_.size());
    if (found != wanted)
      throw Error(table_.rows->place() + " has samples of " + std::to_string(found) +
                  " features, and the model takes " + std::to_string(wanted) + "; is it of the same kind of data?");
    const auto& theirs = table_.schema.inputs;
    for (std::size_t c = 0; c < std::min(theirs.size(), schema_.features.empty() ? 0 : columns_.size()); ++c)
      if (theirs[c].name != columns_[c].name)
        throw Error(table_.rows->place() + ": column " + std::to_string(c + 1) + " is " + ecl::quoted(theirs[c].name) +
                    ", and the model's is " + ecl::quoted(columns_[c].name) +
                    "; the columns of arrays are taken in their order");
    block_ = std::clamp<std::size_t>(kValues / found, 1, kRows);
    cells_.resize(block_ * found);
  }

  bool next(Block& block) override {
    const std::size_t count = std::min(block_, table_.rows->size() - rows_), first = rows_;
    if (count == 0) return false;
    table_.rows->read(first, count, cells_.data());
    FloatRows rows{.features = predictor_.features(), .values = {}};
    block.rows.clear();
    std::vector<std::int32_t> labels;
    std::vector<float> targets, weights;
    const bool weighted = table_.weights && !schema_.weight.empty();
    for (std::size_t n = 0; n < count; ++n, ++rows_) {
      const float* cells = cells_.data() + n * table_.rows->features();
      if (!takes(cells) || (table_.labels && !add_label(labels, targets))) continue;
      rows.values.resize(rows.values.size() + rows.features);
      add(cells, rows.values.data() + rows.values.size() - rows.features);
      if (weighted) weights.push_back(table_.weights->weight(rows_));
      block.rows.push_back(rows_ + 1);
    }
    labels.resize(block.rows.size(), 0);  // where there are none
    block.data = Dataset(predictor_.classes(), std::move(rows), std::move(labels));
    if (!targets.empty()) block.data.set_targets(std::move(targets));
    if (weighted) block.data.set_weights(std::move(weights));
    return true;
  }

  std::vector<std::string> notes() const override { return gap_notes(dropped_, filled_, unlabelled_); }

 private:
  /// Whether the row at rows_ is used, as gaps were dealt with in training.
  bool takes(const float* cells) {
    std::size_t gaps = 0;
    for (int f = 0; f < table_.rows->features(); ++f) {
      if (std::isfinite(cells[f])) continue;
      if (!std::isnan(cells[f]) || schema_.missing == Missing::refuse)
        throw Error(
            table_.rows->place() + "[" + std::to_string(rows_) + ", " + std::to_string(f) + "]: " +
                (std::isnan(cells[f]) ? "a value is missing, NaN, and the model was trained without gaps; leave "
                                        "such rows out"
                                      : "an infinity, or beyond the range of a float"),
            Exit::io);
      ++gaps;
    }
    if (gaps > 0 && schema_.missing == Missing::drop) return ++dropped_, false;
    filled_ += gaps;
    return true;
  }

  void add(const float* cells, float* features) const {
    if (columns_.empty())
      std::copy_n(cells, predictor_.features(), features);
    else
      encode(columns_, cells, features);
  }

  /// Keeps the label of the row at rows_; false if there is none.
  bool add_label(std::vector<std::int32_t>& labels, std::vector<float>& targets) {
    const ArrayColumn& column = *table_.labels;
    if (column.missing(rows_)) return ++unlabelled_, false;
    if (predictor_.trained().target) {
      targets.push_back(column.number(rows_));
      return true;
    }
    const std::string name = column.name(rows_);
    labels.push_back(predictor_.class_number(name));
    if (labels.back() < 0)
      throw Error(
          column.place + "[" + std::to_string(rows_) + "]: " + ecl::quoted(name) + " is none of the model's classes",
          Exit::io);
    return true;
  }

  static constexpr std::size_t kRows = 4096, kValues = std::size_t{1} << 22;

  const Predictor& predictor_;
  const Schema& schema_;
  ArrayTable table_;
  std::vector<Column> columns_;  ///< none: the cells are the features
  std::size_t block_ = 1;
  std::vector<float> cells_;
  std::uint64_t dropped_ = 0, filled_ = 0, unlabelled_ = 0;
};

}  // namespace

std::unique_ptr<Samples> open_arrays(const Predictor& predictor, const std::string& path, bool labelled) {
  const Choice trained = Choice::parse(predictor.trained().dataset);
  const ArrayParts parts = labelled ? ArrayParts::labels : ArrayParts::features;
  if (trained.name == "npy") return std::make_unique<ArraySamples>(predictor, open_npy_table(path, parts));
  Params params = datasets().params(trained);
  Hdf5Names names = read_hdf5_names(params);
  names.weighted = false;  // they may be missing here
  return std::make_unique<ArraySamples>(predictor, open_hdf5_table(path, names, parts));
}

}  // namespace ecl
