#include "ecl/base/text_lines.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

#include "ecl/base/params.hpp"

namespace ecl {
namespace {

constexpr std::string_view kBlanks = " \t\r";                // next_word's default too
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // of some spreadsheets
constexpr std::size_t kChunk = std::size_t{1} << 20;

/// The whole of `text` as a number; std::from_chars knows no plus sign, which LIBSVM files write.
template <class Number>
std::optional<Number> parse(std::string_view text) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

TextLines::TextLines(std::string path, std::span<const std::uint8_t> content)
    : path_(std::move(path)), rest_(reinterpret_cast<const char*>(content.data()), content.size()) {
  skip_mark();
}

TextLines::TextLines(std::string path, std::unique_ptr<ByteStream> stream)
    : path_(std::move(path)), stream_(std::move(stream)), buffer_(kChunk) {
  while (rest_.size() < kByteOrderMark.size() && read_on()) continue;
  skip_mark();
}

void TextLines::skip_mark() {
  if (rest_.starts_with("\xFF\xFE") || rest_.starts_with("\xFE\xFF"))
    throw Error("'" + path_ + "' is UTF-16; iconv -f utf-16 -t utf-8 turns such files into what is read", Exit::io);
  if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
}

/// Puts more of the stream behind rest_; false at its end. `keep_line`: line_ stays too, before it.
bool TextLines::read_on(bool keep_line) {
  if (!stream_) return false;
  const char* const from = keep_line ? line_.data() : rest_.data();
  const auto before = static_cast<std::size_t>(rest_.data() - from), kept = before + rest_.size();
  if (kept > 0) std::memmove(buffer_.data(), from, kept);
  if (kept == buffer_.size()) buffer_.resize(2 * kept);
  const std::size_t got =
      stream_->read({reinterpret_cast<std::uint8_t*>(buffer_.data()) + kept, buffer_.size() - kept});
  rest_ = {buffer_.data() + before, kept - before + got};
  if (keep_line) line_ = {buffer_.data(), line_.size()};
  if (got == 0) stream_.reset();
  return got > 0;
}

bool TextLines::next() {
  while (true) {
    std::size_t end = rest_.find('\n');
    for (std::size_t seen = rest_.size(); end == std::string_view::npos && read_on(); seen = rest_.size())
      end = rest_.find('\n', seen);
    if (rest_.empty()) return false;
    line_ = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    ++number_;
    while (line_.ends_with('\r')) line_.remove_suffix(1);
    if (const std::size_t at = line_.find('\r'); number_ == 1 && at != std::string_view::npos)
      fail(line_.substr(at, 1), "a carriage return within a line; where it ends all lines, tr '\\r' '\\n' mends that");
    if (line_.find_first_not_of(blanks_) != std::string_view::npos) return true;
  }
}

std::vector<std::string_view> TextLines::ahead(std::size_t most) {
  constexpr std::size_t kEnough = 4 * kChunk;
  const auto ends = [&] { return static_cast<std::size_t>(std::count(rest_.begin(), rest_.end(), '\n')); };
  // Reading moves what is there, so the lines are cut when all have been read.
  for (std::size_t found = ends(); found < most && (found == 0 || rest_.size() < kEnough); found = ends())
    if (!read_on(true)) break;
  std::vector<std::string_view> lines;
  for (std::string_view rest = rest_; lines.size() < most && !rest.empty();) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos && stream_) break;  // its end is yet to be read
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    while (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(blanks_) != std::string_view::npos) lines.push_back(line);
  }
  return lines;
}

float TextLines::number(std::string_view cell) const {
  if (cell.empty()) fail(cell, "a value is missing");
  const std::optional<double> value = parse_number(cell);
  if (!value) fail(cell, quoted(cell) + " is not a number, or beyond the range of one" + decimal_comma(cell));
  if (!(std::abs(*value) <= std::numeric_limits<float>::max())) fail(cell, quoted(cell) + " is not a finite number");
  return static_cast<float>(*value);
}

std::int64_t TextLines::integer(std::string_view cell) const {
  const std::optional<std::int64_t> value = parse<std::int64_t>(cell);
  if (!value) fail(cell, quoted(cell) + " is not a whole number");
  return *value;
}

std::string TextLines::place(std::string_view cell) const {
  return path_ + ":" + std::to_string(number_) + ":" + std::to_string(cell.data() - line_.data() + 1);
}

void TextLines::fail(std::string_view cell, const std::string& what, Exit code) const {
  throw Error(place(cell) + ": " + what, code);
}

void TextLines::require_utf8(std::string_view cell) const {
  if (!is_utf8(cell))
    fail(cell, "the name " + quoted(cell) + " is not UTF-8; iconv -f latin1 -t utf-8 turns such files into it");
}

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = [&](std::size_t n) { return static_cast<unsigned char>(text[at + n]); };
    const unsigned first = byte(0);
    if (first < 0x80) {
      ++at;
      continue;
    }
    const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.size() - at < length) return false;
    for (std::size_t n = 1; n < length; ++n)
      if ((byte(n) & 0xC0) != 0x80) return false;
    if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) || (first == 0xF0 && byte(1) < 0x90) ||
        (first == 0xF4 && byte(1) > 0x8F))
      return false;
    at += length;
  }
  return true;
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string cell = "\"";
  for (const char letter : text) cell += letter == '"' ? "\"\"" : std::string(1, letter);
  return cell + '"';
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kLongest = 40;
  std::string shown;
  for (const char letter : text.substr(0, kLongest)) shown += letter >= ' ' && letter <= '~' ? letter : '?';
  return "'" + shown + (text.size() > kLongest ? "..." : "") + "'";
}

std::string shell_quoted(std::string_view text) {
  constexpr std::string_view kPlain = "-_./:=,+@%";
  const auto plain = [&](unsigned char letter) { return std::isalnum(letter) || kPlain.find(letter) != kPlain.npos; };
  const auto control = [](unsigned char letter) { return letter < ' '; };
  if (!text.empty() && std::ranges::all_of(text, plain)) return std::string(text);
  const bool escapes = std::ranges::any_of(text, control);  // $'...' knows them, '...' does not
  std::string word = escapes ? "$'" : "'";
  for (const char letter : text) {
    char octal[8];
    std::snprintf(octal, sizeof octal, "\\%03o", static_cast<unsigned char>(letter));
    if (escapes && (control(letter) || letter == '\'' || letter == '\\'))
      word += octal;
    else if (letter == '\'')
      word += "'\\''";
    else
      word += letter;
  }
  word += '\'';
  return word;
}

std::optional<double> parse_number(std::string_view text) { return parse<double>(text); }

std::string_view next_word(std::string_view& rest, std::string_view separators) {
  rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(separators)));
  const std::string_view word = rest.substr(0, rest.find_first_of(separators));
  rest.remove_prefix(word.size());
  return word;
}

/// Of a cell that begins with a quote: behind the closing one, or null. Neither "" nor ARFF's \\' closes.
static const char* behind_quotes(const char* at, const char* end) {
  const char quote = *at++;
  for (; at < end; ++at) {
    const bool escaped = quote == '"' ? *at == quote && at + 1 < end && at[1] == quote : *at == '\\';
    if (escaped)
      ++at;
    else if (*at == quote)
      return at + 1;
  }
  return nullptr;
}

std::string_view cut_cells(std::string_view line, char separator, std::string_view quotes,
                           std::vector<std::string_view>& cells) {
  cells.clear();
  const bool runs = separator == ' ';
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  const auto quotes_cell = [one = quotes.front(), other = quotes.back()](char c) { return c == one || c == other; };
  const auto separates = [=](char c) { return c == separator || (runs && blank(c)); };
  const char *at = line.data(), *const end = at + line.size();
  while (true) {
    while (at < end && blank(*at) && *at != separator) ++at;
    if (runs)
      while (at < end && blank(*at)) ++at;
    if (runs && at == end) return {};
    const char *const first = at, *last = at;
    const bool quoted_cell = at < end && quotes_cell(*at);
    if (quoted_cell && !(at = behind_quotes(at, end))) return {first, static_cast<std::size_t>(end - first)};
    while (at < end && !separates(*at)) ++at;
    for (last = at; last > first && blank(last[-1]);) --last;
    const bool enclosed = quoted_cell && last - first >= 2 && last[-1] == *first;
    cells.emplace_back(first + enclosed, last - first - 2 * enclosed);
    if (at == end) return {};
    ++at;
  }
}

std::string unescaped(std::string_view cell) {
  std::string text(cell);
  for (std::size_t at = text.find("\"\""); at != std::string::npos; at = text.find("\"\"", at + 1)) text.erase(at, 1);
  return text;
}

std::vector<std::string_view> split_cells(const TextLines& lines, char separator) {
  std::vector<std::string_view> cells;
  split_cells(lines, separator, cells);
  return cells;
}

void split_cells(const TextLines& lines, char separator, std::vector<std::string_view>& cells,
                 std::string_view quotes) {
  const std::string_view open = cut_cells(lines.line(), separator, quotes, cells);
  if (!open.empty()) lines.fail(open, "a quote is not closed on its line");
}

}  // namespace ecl
