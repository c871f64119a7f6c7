#include "ecl/base/text_table.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

using Cells = std::vector<std::string_view>;

bool same_letters(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() && std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) == b;
         });
}

bool begins_with(std::string_view text, std::string_view lower) {
  return same_letters(text.substr(0, lower.size()), lower);
}

/// The line without blanks before and behind it.
std::string_view trimmed(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\r";
  const std::size_t first = std::min(line.size(), line.find_first_not_of(kBlanks));
  return line.substr(first, line.find_last_not_of(kBlanks) + 1 - first);
}

/// What separates the cells of both lines into as many, two at least: a decimal comma is in a semicolon's cells, and
/// not the other way round. Where nothing does, what separates the first into most: a later line is then named.
char separator_of(std::string_view first, std::string_view second) {
  Cells ours, theirs;
  char most = ',';
  std::size_t parts = 1;
  for (const char candidate : {'\t', ';', ','}) {
    cut_cells(first, candidate, "\"", ours);
    cut_cells(second.empty() ? first : second, candidate, "\"", theirs);
    if (ours.size() >= 2 && ours.size() == theirs.size()) return candidate;
    if (ours.size() > parts) most = candidate, parts = ours.size();
  }
  if (parts > 1) return most;
  cut_cells(first, ' ', "\"", ours);
  cut_cells(second.empty() ? first : second, ' ', "\"", theirs);
  return ours.size() == theirs.size() ? ' ' : ',';
}

/// The cells of a column in the first rows.
std::vector<std::string_view> column_of(const std::vector<Cells>& rows, std::size_t column) {
  std::vector<std::string_view> cells;
  for (const Cells& row : rows)
    if (column < row.size() && !is_missing(row[column])) cells.push_back(row[column]);
  return cells;
}

constexpr std::size_t kFew = 10;  // fewer rows say little

/// Text that repeats itself, but for what stands in the first line.
bool names_its_levels(std::string_view first, std::vector<std::string_view> below) {
  if (below.size() < kFew || std::find(below.begin(), below.end(), first) != below.end()) return false;
  std::sort(below.begin(), below.end());
  return static_cast<std::size_t>(std::unique(below.begin(), below.end()) - below.begin()) <= below.size() / 2;
}

std::vector<double> values_of(const std::vector<std::string_view>& cells) {
  std::vector<double> values;
  for (const std::string_view cell : cells)
    if (const auto value = cell_value(cell)) values.push_back(*value);
  return values;
}

constexpr std::size_t kCounted = 3;  // numbers that make a header's; fewer come about by chance

/// Numbers that count up or down: 0 1 2 3, 2019 2020 2021, 400.5 401 401.5.
bool counts(const Cells& cells) {
  const std::vector<double> values = values_of(cells);
  if (values.size() < kCounted) return false;
  const double step = values[1] - values[0];
  for (std::size_t n = 1; n < values.size(); ++n)
    if (!(std::abs(values[n] - values[n - 1] - step) <= 1e-6 * std::abs(step))) return false;
  return step != 0;
}

/// Columns that go by their numbers: 0 1 2, or 1 2 3.
bool number_columns(const Cells& first) {
  const std::vector<double> values = values_of(first);
  for (std::size_t n = 0; n < values.size(); ++n)
    if ((values[0] != 0 && values[0] != 1) || values[n] != values[0] + static_cast<double>(n)) return false;
  return values.size() >= 2;
}

/// Each number is beyond all numbers below it.
bool is_beyond_columns(const Cells& first, const std::vector<Cells>& rows) {
  if (values_of(first).size() < kCounted) return false;
  for (std::size_t c = 0; c < first.size(); ++c) {
    const auto value = cell_value(first[c]);
    if (!value) continue;
    const std::vector<double> below = values_of(column_of(rows, c));
    if (below.size() < kFew) return false;
    const auto [least, most] = std::ranges::minmax_element(below);
    if (*value >= *least && *value <= *most) return false;
  }
  return true;
}

/// A first line that holds numbers is rather a row, unless they are such as rows do not have in those columns.
bool could_name_columns(const Cells& first, const std::vector<Cells>& rows) {
  if (values_of(first).empty()) return true;
  const auto below = [&](const Cells& row) {
    Cells cells;
    for (std::size_t c = 0; c < std::min(first.size(), row.size()); ++c)
      if (cell_value(first[c])) cells.push_back(row[c]);
    return cells;
  };
  const auto row_counts = [&](const Cells& row) { return counts(below(row)); };
  const auto row_is_same = [&](const Cells& row) { return values_of(below(row)) == values_of(first); };
  return is_beyond_columns(first, rows) || (counts(first) && std::ranges::none_of(rows, row_counts)) ||
         (number_columns(first) && std::ranges::none_of(rows, row_is_same));
}

/// What tells that a first line holds the names of columns.
enum class Sign {
  none,
  levels,  ///< its texts are above texts that repeat, and not among them; no mark of a missing cell is beside them
  value,   ///< a name is above a number, or there is no row
  asked,   ///< one of the names is expected
};

Sign sign_of_header(const Cells& first, const std::vector<Cells>& rows, std::span<const std::string> expected) {
  Sign sign = Sign::none;
  bool levels = true;
  for (std::size_t c = 0; c < first.size(); ++c) {
    levels &= first[c].empty() || !is_missing(first[c]);
    if (!is_name(first[c])) continue;
    if (std::find(expected.begin(), expected.end(), unescaped(first[c])) != expected.end()) return Sign::asked;
    const auto below = column_of(rows, c);
    if (rows.empty() || (!below.empty() && cell_value(below[0]))) sign = Sign::value;
    levels &= names_its_levels(first[c], below);
  }
  if (sign == Sign::value) return sign;
  return levels && std::ranges::any_of(first, is_name) ? Sign::levels : Sign::none;
}

}  // namespace

TextTable::TextTable(std::string path, std::unique_ptr<ByteStream> stream, std::span<const std::string> expected)
    : lines_(std::move(path), std::move(stream)) {
  if (!lines_.next()) throw Error("'" + lines_.path() + "' is empty", Exit::io);
  const std::string_view line = trimmed(lines_.line());
  is_arff_ = begins_with(line, "@relation");
  if (line.starts_with('%')) {  // a comment of ARFF, or a column's name
    const auto second = lines_.ahead(1);
    is_arff_ = !second.empty() && trimmed(second[0]).find_first_of("%@") == 0;
  }
  if (is_arff_)
    read_arff_header();
  else
    read_first_lines(expected);
}

void TextTable::read_first_lines(std::span<const std::string> expected) {
  constexpr std::size_t kLookedAt = 100;
  const auto ahead = lines_.ahead(kLookedAt);
  separator_ = separator_of(lines_.line(), ahead.empty() ? "" : ahead[0]);
  if (separator_ == '\t') lines_.tabs_separate();
  split();
  columns_ = cells_.size();
  for (const std::string_view cell : cells_) lines_.require_utf8(cell);
  std::vector<Cells> rows(ahead.size());
  for (std::size_t r = 0; r < rows.size(); ++r) cut_cells(ahead[r], separator_, "\"", rows[r]);
  const Sign sign = sign_of_header(cells_, rows, expected);
  const bool header = sign == Sign::asked || (sign != Sign::none && could_name_columns(cells_, rows));
  const bool numbers = !values_of(cells_).empty();
  if (header)
    for (const std::string_view cell : cells_) header_.push_back(unescaped(cell));
  if (header && sign != Sign::asked && (numbers || sign == Sign::levels))
    doubt_ = std::string("the first line was taken for the names of columns") +
             (numbers ? ", though it holds numbers: no row below has such" : ": its texts are none of those below");
  if (!header && sign != Sign::none)
    doubt_ =
        "the first line was taken for a row, as it holds numbers; if it is a header, label=NAME, a name in it, "
        "says so";
  at_first_row_ = header_.empty();
}

void TextTable::read_arff_header() {
  do {
    std::string_view line = trimmed(lines_.line());
    if (line.starts_with('%') || begins_with(line, "@relation")) continue;
    if (begins_with(line, "@data")) {
      columns_ = header_.size();
      if (columns_ == 0) lines_.fail(line, "no @attribute line is above @data");
      return;
    }
    if (!begins_with(line, "@attribute"))
      lines_.fail(line, quoted(line) +
                            " is no line of an ARFF header, which a table that begins with % or @relation "
                            "has: @attribute NAME KIND, @data");
    lines_.require_utf8(line);
    add_attribute(line.substr(std::string_view("@attribute").size()));
  } while (lines_.next());
  throw Error("'" + lines_.path() + "' begins as ARFF and has no @data line", Exit::io);
}

/// `rest`: what follows @attribute: NAME KIND, or NAME {level, level}, the name and the levels perhaps in quotes.
void TextTable::add_attribute(std::string_view rest) {
  const std::string_view whole = rest;
  Cells words;
  if (!cut_cells(rest, ' ', "\"'", words).empty()) words.clear();
  if (words.size() < 2) {  // NAME{a,b}, or a quote that is no quote: don't
    const std::size_t brace = rest.find('{');
    if (words.empty() || brace == std::string_view::npos)
      lines_.fail(whole, "an @attribute line is NAME KIND, the name in quotes if it holds blanks");
    words = {words[0].substr(0, words[0].find('{')), rest.substr(brace)};
  }
  header_.emplace_back(words[0]);
  Declared& declared = declared_.emplace_back();
  if (!words[1].starts_with('{')) {
    for (const char* number : {"numeric", "real", "integer"})
      if (same_letters(words[1], number)) declared.kind = "numeric";
    for (const char* kind : {"string", "date", "relational"})
      if (same_letters(words[1], kind)) declared.kind = kind;
    if (declared.kind.empty())
      lines_.fail(words[1], quoted(words[1]) + " is no kind of attribute: numeric, real, integer, {a,b}, string, date");
    if (declared.kind == "relational")  // the attributes of its inner table
      while (lines_.next() && !begins_with(trimmed(lines_.line()), "@end")) continue;
    return;
  }
  declared.kind = "nominal";
  const std::size_t open = static_cast<std::size_t>(words[1].data() - rest.data()), close = rest.rfind('}');
  if (close == std::string_view::npos || close < open) lines_.fail(words[1], "the levels have no closing }");
  Cells levels;
  if (const auto bad = cut_cells(rest.substr(open + 1, close - open - 1), ',', "\"'", levels); !bad.empty())
    lines_.fail(bad, "a quote is not closed on its line");
  for (const std::string_view level : levels) declared.levels.push_back(level_name(level));
}

void TextTable::take_header_for_row() {
  header_.clear();
  at_first_row_ = true;
}

/// A line that holds a row.
bool TextTable::next_line() {
  if (std::exchange(at_first_row_, false)) return true;
  while (lines_.next()) {
    if (!is_arff_) return true;
    const std::string_view line = trimmed(lines_.line());
    if (line.starts_with('{'))
      lines_.fail(line,
                  "sparse ARFF rows, {index value, ...}, are not read; write all values (Weka's filter "
                  "SparseToNonSparse), or LIBSVM text for --dataset libsvm");
    if (!line.starts_with('%')) return true;
  }
  return false;
}

bool TextTable::next() {
  if (!next_line()) return false;
  split();
  if (cells_.size() != columns_)
    lines_.fail(lines_.line(), "this line has " + std::to_string(cells_.size()) + " columns and " +
                                   (is_arff_ ? "the header" : "the first line") + " has " + std::to_string(columns_));
  return true;
}

const TextTable::Declared& TextTable::declared(std::size_t column) const {
  static const Declared none;
  return declared_.empty() ? none : declared_[column];
}

std::optional<std::size_t> find_column(const std::string& wanted, std::span<const std::string> header,
                                       std::size_t columns) {
  const auto at = std::find(header.begin(), header.end(), wanted);
  if (at != header.end()) return static_cast<std::size_t>(at - header.begin());
  for (std::size_t c = 0; c < columns; ++c)
    if (wanted == std::to_string(c + 1)) return c;
  return std::nullopt;
}

bool is_missing(std::string_view cell) {
  constexpr std::array<std::string_view, 13> kWays = {"",    "?",   "NA",   "N/A",  "n/a",  "#N/A", "<NA>",
                                                      "NaN", "nan", "null", "NULL", "None", "\\N"};
  return cell.size() <= 4 && std::find(kWays.begin(), kWays.end(), cell) != kWays.end();
}

std::optional<double> cell_value(std::string_view cell) {
  if (const auto number = parse_number(cell)) return number;
  if (same_letters(cell, "true")) return 1;
  if (same_letters(cell, "false")) return 0;
  return std::nullopt;
}

bool is_name(std::string_view cell) { return !cell_value(cell) && !is_missing(cell); }

std::string level_name(float value) {
  char text[64];  // a whole float has 39 digits at most
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15f;
  value += 0.0f;  // no -0
  const auto [end, error] = whole ? std::to_chars(text, text + sizeof text, value, std::chars_format::fixed)
                                  : std::to_chars(text, text + sizeof text, value);
  return {text, end};
}

std::string folded(std::string_view name) {
  std::string letters;
  for (const unsigned char letter : name)
    if (!std::isspace(letter)) letters += static_cast<char>(std::tolower(letter));
  return letters;
}

std::string level_name(std::string_view cell) {
  constexpr double kExactFloat = 1 << 24,
                   kExact = 9007199254740992;  // whole numbers up to there: codes have many digits
  const std::optional<double> value = cell_value(cell);
  if (!value || std::abs(*value) > kExact) return unescaped(cell);
  if (*value == std::floor(*value) && std::abs(*value) > kExactFloat)
    return std::to_string(static_cast<std::int64_t>(*value));
  return level_name(static_cast<float>(*value));
}

bool looks_like_date(std::string_view cell) {
  std::array<int, 3> digits = {};
  char mark = 0;
  std::size_t at = 0;
  for (std::size_t part = 0; part < 3; ++part) {
    while (at < cell.size() && cell[at] >= '0' && cell[at] <= '9') ++at, ++digits[part];
    if (part == 2) break;
    if (at == cell.size() || (mark && cell[at] != mark) || std::string_view("-/.").find(cell[at]) == cell.npos)
      return false;
    mark = cell[at++];
  }
  const auto [first, middle, last] = digits;
  const bool year_first = first == 4 && last >= 1 && last <= 2;
  const bool year_last = first >= 1 && first <= 2 && (last == 4 || last == 2);
  return middle >= 1 && middle <= 2 && (year_first || year_last) &&
         (at == cell.size() || cell[at] == 'T' || cell[at] == ' ');
}

}  // namespace ecl
