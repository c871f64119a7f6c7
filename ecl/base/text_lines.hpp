#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ecl/base/byte_stream.hpp"
#include "ecl/base/check.hpp"

/// Reading text that a user wrote: lines, words, cells, numbers.
namespace ecl {

/// A text file line by line; its errors name file, line and column.
class TextLines {
 public:
  /// Keeps a view: `content` must outlive it.
  TextLines(std::string path, std::span<const std::uint8_t> content);
  /// Keeps a megabyte of the stream at a time, and a whole line if that is longer.
  TextLines(std::string path, std::unique_ptr<ByteStream> stream);

  /// Goes to the next line that is not blank; false at the end. Call once before the first line. Views of the line
  /// before are no longer good.
  bool next();
  /// From the next line on one of tabs alone is not blank: its cells are empty.
  void tabs_separate() { blanks_ = " \r"; }
  /// Up to `most` of the lines that follow line(), those that are not blank, without their ends; fewer where they are
  /// megabytes long. Views of the line taken before are no longer good, line() itself is. Call after next().
  std::vector<std::string_view> ahead(std::size_t most);
  std::string_view line() const { return line_; }      ///< without its end
  std::size_t line_number() const { return number_; }  ///< of line(), from 1, blank lines counted
  const std::string& path() const { return path_; }

  /// The value of `cell`, a part of line(). Throws Error (io) unless it is a number and finite as a float.
  float number(std::string_view cell) const;
  std::int64_t integer(std::string_view cell) const;

  /// Throws Error (io) unless `cell` is UTF-8: names go into files that others read.
  void require_utf8(std::string_view cell) const;

  /// "path:line:column", the column (from 1) where `cell`, a part of line(), starts.
  std::string place(std::string_view cell) const;
  /// Throws Error: "place: what". `code`: io for text that makes no sense, usage for what does not fit the rest of the
  /// user's request.
  [[noreturn]] void fail(std::string_view cell, const std::string& what, Exit code = Exit::io) const;

 private:
  bool read_on(bool keep_line = false);
  void skip_mark();

  std::string path_;
  std::unique_ptr<ByteStream> stream_;
  std::vector<char> buffer_;  ///< of the stream
  std::string_view rest_, line_;
  std::string_view blanks_ = " \t\r";
  std::size_t number_ = 0;
};

/// Whether `text` is UTF-8, overlong forms and surrogates excluded.
bool is_utf8(std::string_view text);

/// `text` for a message: shortened, in quotes, anything unprintable as '?'.
std::string quoted(std::string_view text);

/// `text` as a shell takes it for one word, on one line: as it is, or in quotes.
std::string shell_quoted(std::string_view text);

/// The whole of `text` as a number, infinities and NaN included, or nothing.
std::optional<double> parse_number(std::string_view text);
inline bool is_number(std::string_view text) { return parse_number(text).has_value(); }

/// Cuts the first word, between `separators`, off `rest`; empty if there is none.
std::string_view next_word(std::string_view& rest, std::string_view separators = " \t\r");

/// The cells of `line`, without blanks around them and without the quotes of "quoted cells", in which a separator is
/// text and "" a quote (it stays doubled: unescaped() mends it). The separator ' ' stands for any blanks in a row.
/// `quotes`: the one or two signs that may enclose a cell. Returns where a quote is that is not closed; empty if all
/// are.
std::string_view cut_cells(std::string_view line, char separator, std::string_view quotes,
                           std::vector<std::string_view>& cells);

/// A cell's text with "" as one quote.
std::string unescaped(std::string_view cell);

/// A text as a cell of a csv file: in quotes where it needs them.
std::string csv_cell(const std::string& text);

/// The cells of the current line. Throws Error (io) for a quote that is not closed.
std::vector<std::string_view> split_cells(const TextLines& lines, char separator);
/// The same into `cells`, whose memory is used again.
void split_cells(const TextLines& lines, char separator, std::vector<std::string_view>& cells,
                 std::string_view quotes = "\"");

}  // namespace ecl
