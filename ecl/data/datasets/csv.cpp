// Tables of numbers with a label column: comma (or semicolon, or tab) separated, plain or gzip.
#include <algorithm>
#include <array>
#include <optional>

#include "ecl/base/check.hpp"
#include "ecl/base/gzip.hpp"
#include "ecl/base/text_lines.hpp"
#include "ecl/data/datasets/table.hpp"

namespace ecl {
namespace {

constexpr const char *kLast = "last", *kNone = "none";  // unless columns have these names

using Cells = std::vector<std::string_view>;

/// The separator of the file, told from its first line.
char separator_of(std::string_view line) {
  for (const char candidate : {',', ';', '\t'})
    if (line.find(candidate) != std::string_view::npos) return candidate;
  return ',';
}

/// Could be the name of a column: not a number, and not one of the ways to write "no value".
bool is_name(std::string_view cell) {
  constexpr std::array<std::string_view, 6> kMissing = {"", "?", "NA", "N/A", "null", "NULL"};
  return !is_number(cell) && std::find(kMissing.begin(), kMissing.end(), cell) == kMissing.end();
}

/// The first line is a header if some column has a name there and a number below it: a label column may hold text.
bool is_header(const Cells& first, const std::optional<Cells>& second) {
  for (std::size_t c = 0; c < first.size(); ++c)
    if (is_name(first[c]) && (!second || (c < second->size() && is_number((*second)[c])))) return true;
  return false;
}

/// What to read, and where the columns are once the first line is known.
struct Layout {
  std::string label, group;  ///< as the user wrote them
  char separator = ',';
  std::size_t columns = 0, label_at = 0;
  std::optional<std::size_t> group_at;
};

/// A column by the name in the header, or by its number from 1; none if there is no such column.
std::optional<std::size_t> find_column(const std::string& wanted, const Cells& header, std::size_t columns) {
  const auto at = std::find(header.begin(), header.end(), wanted);
  if (at != header.end()) return static_cast<std::size_t>(at - header.begin());
  for (std::size_t c = 0; c < columns; ++c)
    if (wanted == std::to_string(c + 1)) return c;
  return std::nullopt;
}

[[noreturn]] void no_column(const std::string& wanted, const Cells& header, std::size_t columns,
                            const std::string& path) {
  const std::vector<std::string> known(header.begin(), header.end());
  throw Error("dataset csv: '" + path + "' has no column '" + wanted + "'" + suggestion(wanted, known) +
              (known.empty() ? " (it has no header; its columns are" : " (use a name of its header, or") + " 1 .. " +
              std::to_string(columns) + ")");
}

void resolve(Layout& layout, const Cells& header, std::size_t columns, const std::string& path) {
  if (columns < 2) throw Error("'" + path + "' has one column; it needs features and a label", Exit::io);
  layout.columns = columns;
  const auto label = find_column(layout.label, header, columns);
  if (!label && layout.label != kLast) no_column(layout.label, header, columns, path);
  layout.label_at = label.value_or(columns - 1);
  layout.group_at = find_column(layout.group, header, columns);
  if (!layout.group_at && layout.group != kNone) no_column(layout.group, header, columns, path);
  if (layout.group_at == layout.label_at)
    throw Error("dataset csv: label and group are the same column; by-column:label needs no group");
}

void add_row(Table& table, const Layout& layout, const TextLines& lines, const Cells& cells) {
  if (cells.size() != layout.columns)
    lines.fail(lines.line(), "this line has " + std::to_string(cells.size()) + " columns and the first line has " +
                                 std::to_string(layout.columns));
  for (std::size_t c = 0; c < cells.size(); ++c) {
    const bool is_text = c == layout.label_at || c == layout.group_at;
    if (!is_text) {
      table.values.push_back(lines.number(cells[c]));
    } else {
      if (cells[c].empty()) lines.fail(cells[c], "a label or group is missing");
      if (is_number(cells[c])) lines.number(cells[c]);  // rejects NaN and infinities
      (c == layout.label_at ? table.labels : table.columns[layout.group]).push_back(cells[c]);
    }
  }
}

Table parse_csv(Layout& layout, TextLines lines) {
  const auto next_cells = [&]() -> std::optional<Cells> {
    if (!lines.next()) return std::nullopt;
    return split_cells(lines, layout.separator);
  };
  TextLines look_ahead = lines;
  if (!look_ahead.next()) throw Error("'" + lines.path() + "' is empty", Exit::io);
  layout.separator = separator_of(look_ahead.line());
  const Cells first = split_cells(look_ahead, layout.separator);
  std::optional<Cells> second;
  if (look_ahead.next()) second = split_cells(look_ahead, layout.separator);

  const bool header = is_header(first, second);
  resolve(layout, header ? first : Cells{}, first.size(), lines.path());
  Table table;
  table.features = layout.columns - 1 - layout.group_at.has_value();
  if (table.features == 0) throw Error("'" + lines.path() + "' has no column left for features", Exit::io);
  if (header) lines.next();
  while (const auto cells = next_cells()) add_row(table, layout, lines, *cells);
  if (table.labels.empty()) throw Error("'" + lines.path() + "' has a header and no samples", Exit::io);
  return table;
}

}  // namespace

TrainTest make_csv(const DatasetRequest& request, Params& params) {
  Layout layout;
  layout.label = params.text("label", kLast, "label column, a name of the header or a number from 1");
  layout.group = params.text("group", kNone, "column for by-column partitions, not a feature");
  const double test = params.number("test", 0.2, 0.001, 0.9, "fraction of the samples for the test");
  const bool standardise = params.integer("standardise", 1, 0, 1, "1: features to mean 0, deviation 1; 0: as they are");
  const std::string endings[] = {".csv"};
  const std::string path = find_table(request, "csv", endings);
  const Bytes content = read_file(path, "name the .csv file, or a directory that holds one, with --data");
  Table table = parse_csv(layout, TextLines(path, content));
  const RowSplit split = split_rows(table.labels.size(), test, request.seed, path);
  return finish_table(std::move(table), split, standardise, path);
}

}  // namespace ecl
