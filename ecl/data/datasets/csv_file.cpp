#include "ecl/data/datasets/csv_file.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "ecl/base/check.hpp"

namespace ecl {

/// As a float it is another number, and so large that whole ones are, too: of seconds since 1970 the last two digits.
static bool is_rounded(double value) {
  constexpr double kExact = 1 << 24;
  return std::abs(value) > kExact && std::abs(value) <= std::numeric_limits<float>::max() &&
         static_cast<double>(static_cast<float>(value)) != value;
}

CsvFile::CsvFile(std::string path, const ColumnWishes& wishes, const DatasetRequest& request, std::string advice,
                 std::vector<std::string> expected)
    : path_(std::move(path)),
      wishes_(wishes),
      expected_(std::move(expected)),
      request_(request),
      advice_(std::move(advice)),
      columns_(find_columns(wishes, open())) {}

/// A label's or group's cell. `unquoted` keeps it where it is not as the file has it.
std::string_view CsvFile::name(const TextTable& table, std::size_t column, std::string& unquoted) const {
  const std::string_view cell = table.cells()[column];
  if (is_missing(cell)) refuse_gaps();
  if (is_number(cell)) table.lines().number(cell);  // rejects infinities
  table.lines().require_utf8(cell);
  if (cell.find('"') == std::string_view::npos) return cell;
  return unquoted = unescaped(cell);
}

/// Features that are missing.
std::size_t CsvFile::gaps_in(const std::vector<std::string_view>& cells) const {
  return static_cast<std::size_t>(std::count_if(columns_.features.begin(), columns_.features.end(),
                                                [&](const auto& feature) { return is_missing(cells[feature.at]); }));
}

/// Whether a row with gaps is left out, where they are not refused.
bool CsvFile::drops(const std::vector<std::string_view>& cells) const {
  return std::ranges::any_of(columns_.labels_at, [&](std::size_t at) { return is_missing(cells[at]); }) ||
         (columns_.group_at && is_missing(cells[*columns_.group_at])) ||
         (wishes_.missing == Missing::drop && gaps_in(cells) > 0);
}

/// A feature with text is categorical, with categorical=auto.
void CsvFile::look_for_text(const TextTable& table, Survey& survey) const {
  for (std::size_t f = 0; f < survey.categorical.size(); ++f) {
    const std::string_view cell = table.cells()[columns_.features[f].at];
    if (cell_value(cell) || is_missing(cell)) continue;
    if (!columns_.features[f].dates_are_levels && (looks_like_date(cell) || !decimal_comma(cell).empty()))
      refuse_text(table, f);
    survey.categorical[f] = true;
    if (++survey.texts[f].cells == 1) survey.texts[f].first = table.lines().place(cell);
  }
}

void CsvFile::add_label(const TextTable& table, Survey& survey) const {
  TableIndex& index = survey.index;
  std::string unquoted;
  if (wishes_.labels == LabelKind::numbers)
    survey.rounded_labels += is_rounded(parse_number(table.cells()[columns_.labels_at[0]]).value_or(0));
  if (wishes_.labels != LabelKind::binary)
    return index.add_label(name(table, columns_.labels_at[0], unquoted), table.lines(),
                           wishes_.labels == LabelKind::numbers);
  std::vector<std::int32_t> present;
  for (std::size_t k = 0; k < columns_.labels_at.size(); ++k) {
    const std::string_view cell = table.cells()[columns_.labels_at[k]];
    if (is_missing(cell)) refuse_gaps();
    if (read_binary(cell, table.lines())) present.push_back(static_cast<std::int32_t>(k));
  }
  index.add_set(present, table.lines());
}

Survey CsvFile::survey() const {
  Survey survey;
  if (wishes_.labels == LabelKind::binary)
    for (const std::size_t at : columns_.labels_at) survey.index.label_names.add(columns_.name(at));
  for (const auto& feature : columns_.features) survey.categorical.push_back(feature.categorical);
  survey.texts.resize(columns_.features.size());
  std::string unquoted;
  TextTable table = open();
  for (std::size_t row = 0; table.next(); ++row) {
    const auto& cells = table.cells();
    if (wishes_.missing != Missing::refuse && drops(cells)) {
      survey.dropped.push_back(row);
      continue;
    }
    if (wishes_.missing == Missing::mean || wishes_.missing == Missing::indicator)
      survey.gaps.filled_cells += gaps_in(cells);
    add_label(table, survey);
    if (columns_.weight_at)
      survey.index.weights.push_back(read_weight(table.cells()[*columns_.weight_at], table.lines()));
    if (columns_.group_at)
      survey.index.groups.push_back(survey.index.group_names.add(name(table, *columns_.group_at, unquoted)));
    if (wishes_.text_is_categorical) look_for_text(table, survey);
  }
  survey.gaps.dropped_rows = survey.dropped.size();
  if (!survey.index.labels.empty()) return survey;
  throw Error("'" + path_ + "' has " +
                  (survey.dropped.empty() ? std::string("a header and no samples") : "missing cells in every row"),
              Exit::io);
}

Half CsvFile::half(std::size_t rows, const std::string& folder) const {
  const std::size_t features = columns_.features.size();
  Half half{{rows, features, folder, "'" + path_ + "'"},
            std::vector<Names>(features),
            std::vector<bool>(features),
            std::vector<std::size_t>(features)};
  for (std::size_t f = 0; f < features; ++f)
    for (const std::string& level : columns_.features[f].declared) half.levels[f].add(level);
  return half;
}

void CsvFile::read(const Survey& survey, const std::vector<std::int32_t>& train, const std::vector<std::int32_t>& test,
                   Half& to_train, Half& to_test) const {
  auto next_train = train.begin(), next_test = test.begin();
  auto next_dropped = survey.dropped.begin();
  TextTable table = open();
  std::int32_t kept = 0;
  for (std::size_t row = 0;; ++row) {
    Half* to = nullptr;
    if (next_dropped != survey.dropped.end() && *next_dropped == row) {
      ++next_dropped;
    } else {
      if (next_train != train.end() && *next_train == kept) to = &to_train, ++next_train;
      if (next_test != test.end() && *next_test == kept) to = &to_test, ++next_test;
      ++kept;
    }
    if (!(to ? table.next() : table.skip())) return;
    if (!to) continue;
    ++to->read;
    for (std::size_t f = 0; f < columns_.features.size(); ++f)
      to->rows.add(survey.categorical[f] ? level(table, f, *to) : number(table, f, *to));
  }
}

/// The cell of feature f as a number.
inline float CsvFile::number(const TextTable& table, std::size_t f, Half& to) const {
  const std::optional<double> value = parse_number(table.cells()[columns_.features[f].at]);
  if (value && std::abs(*value) <= std::numeric_limits<float>::max()) {
    to.rounded[f] += is_rounded(*value);
    return static_cast<float>(*value);
  }
  return unusual_number(table, f, to);
}

float CsvFile::unusual_number(const TextTable& table, std::size_t f, Half& to) const {
  const std::string_view cell = table.cells()[columns_.features[f].at];
  if (is_missing(cell)) return gap(f, to);
  if (is_number(cell)) return table.lines().number(cell);  // which says why not
  const std::optional<double> value = cell_value(cell);
  if (!value) refuse_text(table, f);
  return static_cast<float>(*value);
}

float CsvFile::gap(std::size_t f, Half& to) const {
  if (wishes_.missing == Missing::refuse) refuse_gaps();
  to.gap[f] = true;
  return std::numeric_limits<float>::quiet_NaN();
}

/// The cell of the categorical feature f as the number of its level.
float CsvFile::level(const TextTable& table, std::size_t f, Half& to) const {
  const std::string_view cell = table.cells()[columns_.features[f].at];
  if (is_missing(cell)) return gap(f, to);
  const std::optional<double> value = cell_value(cell);
  if (value && !(std::abs(*value) <= std::numeric_limits<float>::max())) table.lines().number(cell);  // says why not
  Names& levels = to.levels[f];
  const std::size_t before = levels.all().size();
  const bool as_it_is = !value && cell.find('"') == std::string_view::npos;
  const std::int32_t number = as_it_is ? levels.add(cell) : levels.add(level_name(cell));
  if (levels.all().size() > before) check_new_level(table, f, levels);
  return static_cast<float>(number);
}

void CsvFile::check_new_level(const TextTable& table, std::size_t f, const Names& levels) const {
  const TableColumns::Feature& feature = columns_.features[f];
  const std::string_view cell = table.cells()[feature.at];
  table.lines().require_utf8(cell);
  if (!feature.declared.empty())
    table.lines().fail(
        cell, quoted(cell) + " is none of the levels that the @attribute line of '" + feature.name + "' declares");
  if (levels.all().size() > kMostLevels)  // which are not told: they may be the names of people
    table.lines().fail(
        cell, "column '" + feature.name + "' has text, and more than " + std::to_string(kMostLevels) +
                  " different values, too many to make a feature of each; leave it out with ignore=" + feature.name);
}

void CsvFile::refuse_text(const TextTable& table, std::size_t f) const {
  const std::string column = columns_.features[f].handle();
  const std::string_view cell = table.cells()[columns_.features[f].at];
  std::string what = quoted(cell) + " is not a number, or beyond the range of one";
  const std::string comma = decimal_comma(cell);
  if (!comma.empty())
    what += comma;
  else if (looks_like_date(cell))
    what +=
        "; it looks like a date: turn the column into numbers, days since some day perhaps, or leave it out with "
        "ignore=" +
        column;
  else if (wishes_.numbers_only)
    what += "; ignore=" + column + " leaves the column out";
  else
    what += "; categorical=auto makes a feature of each text in such a column, ignore=" + column + " leaves it out";
  if (columns_.header.empty() && table.lines().line_number() == 1)
    what += "; if this line is a header, say so with label=NAME, a name in it";
  table.lines().fail(cell, what);
}

void CsvFile::refuse_gaps() const {
  std::vector<std::size_t> used = columns_.labels_at;
  if (columns_.group_at) used.push_back(*columns_.group_at);
  for (const auto& feature : columns_.features) used.push_back(feature.at);
  std::sort(used.begin(), used.end());
  std::size_t cells = 0, rows = 0, features = 0;
  std::string first;
  for (TextTable table = open(); table.next();) {
    const std::size_t before = cells;
    for (const std::size_t at : used) {
      if (!is_missing(table.cells()[at])) continue;
      const bool feature = !columns_.is_label(at) && at != columns_.group_at;
      features += feature;
      if (++cells == 1)
        first = table.lines().place(table.cells()[at]) +
                (feature ? ": a value is missing" : ": a label or group is missing");
    }
    rows += cells > before;
  }
  const auto count = [](std::size_t n, const char* thing) {
    return std::to_string(n) + " " + thing + (n == 1 ? "" : "s");
  };
  throw Error(first + " (" + count(cells, "cell") + " in " + count(rows, "row") +
                  " of the file); missing=drop leaves such rows out" +
                  (features == 0 ? ""
                                 : ", missing=mean fills in a feature's mean, missing=indicator also adds a "
                                   "feature that says where"),
              Exit::io);
}

std::vector<std::string> CsvFile::notes(const Survey& survey, const Half& half) const {
  constexpr std::size_t kFew = 10, kHalf = 2;  // one of so many
  std::vector<std::string> lines;
  if (!columns_.doubt.empty()) lines.push_back(columns_.doubt);
  const std::size_t rows = survey.index.labels.size();
  const auto rounded = [&](const std::string& column, std::size_t cells, std::size_t of) {
    if (cells * kFew > of)
      lines.push_back(
          "column '" + column +
          "' holds numbers above 2^24, of which 7 digits are kept: subtract an origin if the others matter");
  };
  for (std::size_t f = 0; f < columns_.features.size(); ++f) {
    const auto& [cells, first] = survey.texts[f];
    const std::string& column = columns_.features[f].name;
    if (cells > 0 && cells * kHalf <= rows)
      lines.push_back("column '" + column + "' holds text in " + std::to_string(cells) + " of " + std::to_string(rows) +
                      " rows, first at " + first +
                      ", which makes a feature of each of its values; is it a number, and the text a missing one?");
    rounded(column, half.rounded[f], half.read);
  }
  if (wishes_.labels == LabelKind::numbers) rounded(columns_.name(columns_.labels_at[0]), survey.rounded_labels, rows);
  return lines;
}

void CsvFile::name_columns(const Half& half, Schema& schema) const {
  schema.columns = columns_.header;
  if (columns_.header.empty()) schema.column_count = static_cast<int>(columns_.columns);
  for (const std::size_t at : columns_.labels_at)
    (schema.label += schema.label.empty() ? "" : "|") += columns_.name(at);
  if (columns_.weight_at) schema.weight = columns_.name(*columns_.weight_at);
  schema.missing = wishes_.missing;
  for (std::size_t f = 0; f < columns_.features.size(); ++f) {
    const std::string& column = columns_.features[f].name;
    schema.inputs.push_back({column, half.levels[f].all(), wishes_.missing == Missing::indicator && half.gap[f]});
    if (!columns_.header.empty()) schema.features.push_back(column);
  }
}

}  // namespace ecl
