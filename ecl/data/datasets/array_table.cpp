#include "ecl/data/datasets/array_table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <tuple>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/text_table.hpp"
#include "ecl/data/datasets/table.hpp"
#include "ecl/data/datasets/table_columns.hpp"

namespace ecl {
namespace {

std::string at(std::size_t row) { return std::string("[") += std::to_string(row) + "]"; }

std::string count_of(std::size_t number, const char* thing) {
  return std::to_string(number) + " " + thing + (number == 1 ? "" : "s");
}

constexpr const char* kWaysOut =
    "; missing=drop leaves such rows out, missing=mean fills in a feature's mean, missing=indicator also adds a "
    "feature that says where";

/// Calls use(n, values) for each row wanted[n]; they ascend. They are read in pieces.
template <class Use>
void each_row(const ArrayRows& rows, std::span<const std::int32_t> wanted, Use use) {
  const auto features = static_cast<std::size_t>(rows.features());
  const std::size_t block = std::max<std::size_t>(1, (std::size_t{1} << 20) / features);
  std::vector<float> values(std::min(block, rows.size()) * features);
  for (std::size_t n = 0; n < wanted.size();) {
    const auto first = static_cast<std::size_t>(wanted[n]);
    std::size_t end = n + 1;
    while (end < wanted.size() && wanted[end] - wanted[end - 1] <= rows.stride() && wanted[end] - first < block) ++end;
    rows.read(first, wanted[end - 1] - first + 1, values.data());
    for (; n < end; ++n) use(n, values.data() + (wanted[n] - first) * features);
  }
}

std::size_t gaps_in(const float* values, int features) {
  return static_cast<std::size_t>(std::count_if(values, values + features, [](float x) { return std::isnan(x); }));
}

/// The samples of a table: its rows, but for those that are left out.
struct ArraySamples {
  TableIndex index;
  std::vector<std::int32_t> rows;  ///< of the file, of each sample
  Gaps gaps;
};

/// Of each row whether it is kept. Features are looked through only where that says which rows are.
std::vector<bool> look_for_gaps(const ArrayTable& table, Missing missing, Gaps& gaps) {
  std::vector<bool> kept(table.rows->size(), true);
  for (const auto* column : {&table.labels, &table.groups})
    for (std::size_t row = 0; *column && row < kept.size(); ++row)
      if ((*column)->missing(row)) kept[row] = false;
  const auto unlabelled = static_cast<std::size_t>(std::count(kept.begin(), kept.end(), false));
  if (missing == Missing::refuse) {
    if (unlabelled == 0) return kept;
    const std::size_t row = std::find(kept.begin(), kept.end(), false) - kept.begin();
    const bool label = table.labels->missing(row);
    throw Error((label ? table.labels : table.groups)->place + at(row) + ": a " + (label ? "label" : "group") +
                    " is missing (" + count_of(unlabelled, "row") + " of the file); missing=drop leaves such rows out",
                Exit::io);
  }
  each_row(*table.rows, all_rows(kept.size()), [&](std::size_t row, const float* values) {
    const std::size_t cells = kept[row] ? gaps_in(values, table.rows->features()) : 0;
    if (cells == 0) return;
    if (missing == Missing::drop)
      kept[row] = false;
    else
      gaps.filled_cells += cells;
  });
  gaps.dropped_rows = static_cast<std::uint64_t>(std::count(kept.begin(), kept.end(), false));
  return kept;
}

ArraySamples find_samples(const ArrayTable& table, bool numbers, Missing missing) {
  ArraySamples samples;
  const std::vector<bool> kept = look_for_gaps(table, missing, samples.gaps);
  TableIndex& index = samples.index;
  for (std::size_t row = 0; row < kept.size(); ++row) {
    if (!kept[row]) continue;
    samples.rows.push_back(static_cast<std::int32_t>(row));
    index.labels.push_back(numbers ? 0 : index.label_names.add(table.labels->name(row)));
    if (numbers) index.targets.push_back(table.labels->number(row));
    if (table.groups) index.groups.push_back(index.group_names.add(table.groups->name(row)));
    if (table.weights) index.weights.push_back(table.weights->weight(row));
  }
  if (samples.rows.empty())
    throw Error(table.rows->place() + " has " + (kept.empty() ? "no rows" : "missing values in every row"), Exit::io);
  return samples;
}

/// A half of the table while it is read.
struct ArrayHalf {
  std::optional<RowStore> store;       ///< none: the rows stay where they are
  std::vector<bool> gap;               ///< by feature
  std::vector<std::int32_t> of_index;  ///< which samples they are
};

/// Reads what the halves want, and checks it: the file is gone through once.
class ArrayReader {
 public:
  ArrayReader(const ArrayTable& table, const ArraySamples& samples, Missing missing, const std::string& folder)
      : table_(table),
        samples_(samples),
        missing_(missing),
        fills_(missing == Missing::mean || missing == Missing::indicator),
        folder_(folder) {
    if (missing != Missing::indicator && folder.empty()) mapped_ = table.rows->mapped();
  }

  std::pair<Dataset, Dataset> read(std::vector<std::int32_t> train, std::vector<std::int32_t> test) {
    ArrayHalf halves[] = {half(std::move(train), folder_), half(std::move(test), "")};
    std::vector<std::pair<std::int32_t, int>> wanted;  // row of the file, half
    for (const int h : {0, 1})
      for (const std::int32_t sample : halves[h].of_index) wanted.emplace_back(samples_.rows[sample], h);
    std::sort(wanted.begin(), wanted.end());
    std::vector<std::int32_t> rows;
    for (const auto& [row, h] : wanted) rows.push_back(row);
    each_row(*table_.rows, rows,
             [&](std::size_t n, const float* values) { add(rows[n], values, halves[wanted[n].second]); });
    return {finish(halves[0]), finish(halves[1])};
  }

 private:
  ArrayHalf half(std::vector<std::int32_t> of_index, const std::string& folder) const {
    ArrayHalf half{{}, std::vector<bool>(table_.rows->features()), std::move(of_index)};
    if (!mapped_) half.store.emplace(half.of_index.size(), table_.rows->features(), folder, table_.rows->place());
    return half;
  }

  void add(std::int32_t row, const float* values, ArrayHalf& half) const {
    for (int f = 0; f < table_.rows->features(); ++f) {
      if (!std::isfinite(values[f])) {
        if (!fills_ || !std::isnan(values[f])) refuse(row, f, values[f]);
        half.gap[f] = true;
      }
      if (half.store) half.store->add(values[f]);
    }
  }

  [[noreturn]] void refuse(std::int32_t row, int f, float value) const {
    const std::string where = table_.rows->place() + "[" + std::to_string(row) + ", " + std::to_string(f) + "]: ";
    if (!std::isnan(value)) throw Error(where + "an infinity, or beyond the range of a float", Exit::io);
    throw Error(where + "a value is missing, NaN (" + count_gaps(*table_.rows) + " of the file)" + kWaysOut, Exit::io);
  }

  Dataset finish(ArrayHalf& half) const {
    Rows rows;
    if (half.store) {
      rows = half.store->finish();
    } else {
      MappedRows mapped = *mapped_;
      for (const std::int32_t sample : half.of_index) mapped.rows.push_back(samples_.rows[sample]);
      rows = std::move(mapped);
    }
    Dataset data = make_half(samples_.index, half.of_index, std::move(rows), table_.group);
    const std::vector<std::string> classes = std::move(data.schema.classes);
    data.schema = table_.schema;
    data.schema.classes = classes, data.schema.missing = missing_;
    if (fills_) name_columns(data.schema.inputs, half.gap);
    return data;
  }

  /// What is filled in is told by column: where these have no names they have numbers.
  void name_columns(std::vector<Column>& inputs, const std::vector<bool>& gap) const {
    for (std::size_t f = inputs.size(); f < gap.size(); ++f) inputs.push_back({std::to_string(f + 1)});
    for (std::size_t f = 0; f < gap.size(); ++f) inputs[f].indicator = missing_ == Missing::indicator && gap[f];
  }

  const ArrayTable& table_;
  const ArraySamples& samples_;
  Missing missing_;
  bool fills_;
  std::string folder_;
  std::optional<MappedRows> mapped_;
};

/// The rows of --test, all of them.
void read_test(const ArrayTable& tested, const ArrayTable& table, bool numbers, Missing missing, TrainTest& data) {
  const Schema &ours = tested.schema, &theirs = table.schema;
  if (ours.columns != theirs.columns || tested.rows->features() != table.rows->features())
    throw Error("'" + tested.source + "', the test samples, has not the columns of '" + table.source +
                "'; both need the same, in the same order");
  if (ours.features != theirs.features || ours.label != theirs.label)
    throw Error("'" + tested.source + "', the test samples, was made with other features, or another label, than '" +
                table.source + "'; convert both with the same ignore=, features= and label=");
  if (tested.weights.has_value() != table.weights.has_value())
    throw Error("one of '" + table.source + "' and '" + tested.source +
                "', the test samples, has weights; both need them, or neither");
  const ArraySamples samples = find_samples(tested, numbers, missing);
  data.test = ArrayReader(tested, samples, missing, "").read({}, all_rows(samples.rows.size())).second;
  data.test_gaps = samples.gaps;
  data.test_source = tested.source;
}

}  // namespace

std::size_t ArrayColumn::size() const { return std::max({whole.size(), real.size(), text.size()}); }

bool ArrayColumn::missing(std::size_t row) const {
  return !real.empty() ? std::isnan(real[row]) : !text.empty() && is_missing(text[row]);
}

std::string ArrayColumn::name(std::size_t row) const {
  if (!text.empty()) return text[row];
  if (!known.empty()) {
    const double number = real.empty() ? static_cast<double>(whole[row]) : real[row];
    if (const auto n = static_cast<std::size_t>(std::max(number, 0.0)); n == number && n < known.size())
      return known[n];
    throw Error(place + at(row) + " is " + level_name(static_cast<float>(number)) + ", outside 0 .. " +
                    std::to_string(known.size() - 1) + ", the names in table.json",
                Exit::io);
  }
  if (!whole.empty()) return std::to_string(whole[row]);
  constexpr double kExact = 9007199254740992;  // whole numbers up to there
  if (std::isinf(real[row])) throw Error(place + at(row) + " is infinite", Exit::io);
  if (real[row] == std::floor(real[row]) && std::abs(real[row]) < kExact)
    return std::to_string(static_cast<std::int64_t>(real[row]));
  return level_name(static_cast<float>(real[row]));
}

float ArrayColumn::number(std::size_t row) const {
  const std::optional<double> value = !text.empty()    ? parse_number(text[row])
                                      : !whole.empty() ? static_cast<double>(whole[row])
                                                       : real[row];
  if (value && std::abs(*value) <= std::numeric_limits<float>::max()) return static_cast<float>(*value);
  throw Error(place + at(row) + " is no number, or beyond the range of one", Exit::io);
}

float ArrayColumn::weight(std::size_t row) const {
  if (missing(row)) throw Error(place + at(row) + ": a weight is missing; leave the row out, or say 0", Exit::io);
  const float weight = number(row);
  if (weight < 0) throw Error(place + at(row) + ": the weight is below 0", Exit::io);
  return weight;
}

ArrayRows::ArrayRows(std::string place, std::uint64_t rows, std::uint64_t features)
    : place_(std::move(place)), size_(rows), features_(static_cast<int>(features)) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (rows > kMost || features > kMost || features == 0)
    throw Error(place_ + " has " + std::to_string(rows) + " rows of " + std::to_string(features) +
                    " features; at least one feature, and at most 2^31 - 1 of each are wanted",
                Exit::io);
}

std::string count_gaps(const ArrayRows& rows) {
  std::size_t cells = 0, with_gaps = 0;
  each_row(rows, all_rows(rows.size()), [&](std::size_t, const float* values) {
    const std::size_t missing = gaps_in(values, rows.features());
    cells += missing, with_gaps += missing > 0;
  });
  return count_of(cells, "cell") + " in " + count_of(with_gaps, "row");
}

TrainTest make_from_arrays(const DatasetRequest& request, Params& params,
                           const std::function<ArrayTable(const std::string&, ArrayParts)>& open) {
  const Missing missing = read_missing(params);
  const LabelKind kind = read_label_kind(params, request);
  if (kind == LabelKind::binary)
    throw Error(
        "--loss logistic reads its labels from a csv (label=a|b) or libsvm file, and not from arrays; one label of 0 "
        "and 1 is learnt by cross-entropy as well");
  TestDraw draw = read_test_draw(params, request, true);
  TrainTest data;
  read_scaling(params, request, data);
  const ArrayTable table = open(request.data, ArrayParts::groups);
  if (!table.groups && draw.by_group && params.given("test-by"))
    throw Error("test-by=group: '" + table.source + "' has no groups");
  draw.by_group = draw.by_group && table.groups;
  data.source = table.source;
  const bool numbers = kind == LabelKind::numbers;
  const ArraySamples samples = find_samples(table, numbers, missing);
  if (kind == LabelKind::any && table.labels->known.empty()) refuse_quantities(samples.index, table.source);
  RowSplit split;
  if (request.test.empty() && request.store.empty())
    split = draw_test(samples.index, draw, request, table.source);
  else
    split.train = all_rows(samples.rows.size());
  TablePlan plan = plan_rows(samples.index, std::move(split), request, table.group);
  std::tie(data.train, data.test) =
      ArrayReader(table, samples, missing, request.store).read(std::move(plan.train), std::move(plan.test));
  data.gaps = samples.gaps;
  if (!request.test.empty()) read_test(open(request.test, ArrayParts::labels), table, numbers, missing, data);
  note_plan(data, std::move(plan), samples.index, request);
  return data;
}

}  // namespace ecl
