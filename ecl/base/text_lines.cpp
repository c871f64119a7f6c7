#include "ecl/base/text_lines.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "ecl/base/params.hpp"

namespace ecl {
namespace {

constexpr std::string_view kBlanks = " \t\r";                // next_word's default too
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // of some spreadsheets
constexpr std::size_t kChunk = std::size_t{1} << 20;

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return text.substr(0, 0);
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

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
  if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
}

TextLines::TextLines(std::string path, std::unique_ptr<ByteStream> stream)
    : path_(std::move(path)), stream_(std::move(stream)), buffer_(kChunk) {
  while (rest_.size() < kByteOrderMark.size() && read_on()) continue;
  if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
}

/// Puts more of the stream behind rest_; false at its end.
bool TextLines::read_on() {
  if (!stream_) return false;
  const std::size_t kept = rest_.size();
  if (kept > 0) std::memmove(buffer_.data(), rest_.data(), kept);
  if (kept == buffer_.size()) buffer_.resize(2 * kept);
  const std::size_t got =
      stream_->read({reinterpret_cast<std::uint8_t*>(buffer_.data()) + kept, buffer_.size() - kept});
  rest_ = {buffer_.data(), kept + got};
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
    if (line_.ends_with('\r')) line_.remove_suffix(1);
    if (!trimmed(line_).empty()) return true;
  }
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

void TextLines::fail(std::string_view cell, const std::string& what, Exit code) const {
  const auto column = cell.data() - line_.data() + 1;
  throw Error(path_ + ":" + std::to_string(number_) + ":" + std::to_string(column) + ": " + what, code);
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

std::string quoted(std::string_view text) {
  constexpr std::size_t kLongest = 40;
  std::string shown;
  for (const char letter : text.substr(0, kLongest)) shown += letter >= ' ' && letter <= '~' ? letter : '?';
  return "'" + shown + (text.size() > kLongest ? "..." : "") + "'";
}

std::optional<double> parse_number(std::string_view text) { return parse<double>(text); }

std::string_view next_word(std::string_view& rest, std::string_view separators) {
  rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(separators)));
  const std::string_view word = rest.substr(0, rest.find_first_of(separators));
  rest.remove_prefix(word.size());
  return word;
}

std::vector<std::string_view> split_cells(const TextLines& lines, char separator) {
  std::vector<std::string_view> cells;
  split_cells(lines, separator, cells);
  return cells;
}

void split_cells(const TextLines& lines, char separator, std::vector<std::string_view>& cells) {
  cells.clear();
  std::string_view rest = lines.line();
  for (bool more = true; more;) {
    std::size_t end = rest.find(separator);
    if (const std::string_view ahead = rest.substr(std::min(rest.size(), rest.find_first_not_of(' ')));
        ahead.starts_with('"')) {
      const std::size_t close = ahead.find('"', 1);
      if (close == std::string_view::npos) lines.fail(ahead, "a quote is not closed on its line");
      end = rest.find(separator, static_cast<std::size_t>(ahead.data() - rest.data()) + close);
    }
    more = end != std::string_view::npos;
    std::string_view cell = trimmed(rest.substr(0, end));
    if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"') cell = cell.substr(1, cell.size() - 2);
    cells.push_back(cell);
    if (more) rest.remove_prefix(end + 1);
  }
}

}  // namespace ecl
