#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ecl/base/text_lines.hpp"

/// Tables in text as people have them.
namespace ecl {

/// A table, row by row. Whether commas, semicolons, tabs or blanks separate its cells or it is ARFF, and whether its
/// first line is a header, is told from the content.
class TextTable {
 public:
  /// What an ARFF file declares a column to be.
  struct Declared {
    std::string kind = {};                 ///< numeric, nominal, string, date or relational; empty: nothing is declared
    std::vector<std::string> levels = {};  ///< of a nominal one, as level_name() spells them
  };

  /// Reads up to the first row. `expected`: names of columns: a first line with one of them is a header also where no
  /// number below it says so. Throws Error where there is no line.
  TextTable(std::string path, std::unique_ptr<ByteStream> stream, std::span<const std::string> expected = {});

  /// The header is a first line that looks like one, not ARFF's.
  bool guessed_header() const { return !is_arff_ && !header_.empty(); }
  /// What the first line was taken for, in words that show nothing of it, where one may doubt; else empty.
  const std::string& doubt() const { return doubt_; }
  /// A guessed_header() is a row: the caller knows. Before next().
  void take_header_for_row();
  /// Goes to the next row; false at the end. Call once before the first. Cells of the row before are no longer good.
  /// Throws Error unless it has as many cells as there are columns.
  bool next();
  /// The same without a look at its cells, which are not there then.
  bool skip() { return next_line(); }
  /// Of the row, without blanks and quotes around them.
  const std::vector<std::string_view>& cells() const { return cells_; }

  std::size_t columns() const { return columns_; }
  const std::vector<std::string>& header() const { return header_; }  ///< names of columns; empty if there is none
  /// What a column is called: its name in the header, or its number from 1.
  std::string name(std::size_t column) const { return header_.empty() ? std::to_string(column + 1) : header_[column]; }
  const Declared& declared(std::size_t column) const;
  /// Where the row is, for errors.
  const TextLines& lines() const { return lines_; }

 private:
  void read_first_lines(std::span<const std::string> expected);
  void read_arff_header();
  void add_attribute(std::string_view rest);
  bool next_line();
  void split() { split_cells(lines_, separator_, cells_, is_arff_ ? "\"'" : "\""); }

  TextLines lines_;
  char separator_ = ',';
  bool is_arff_ = false, at_first_row_ = false;
  std::size_t columns_ = 0;
  std::vector<std::string> header_;
  std::string doubt_;
  std::vector<Declared> declared_;
  std::vector<std::string_view> cells_;
};

/// A column by the name in the header, or by its number from 1; none if there is no such column.
std::optional<std::size_t> find_column(const std::string& wanted, std::span<const std::string> header,
                                       std::size_t columns);

/// Says that there is no value: an empty cell, ?, NA, N/A, NaN, null, None and the like.
bool is_missing(std::string_view cell);

/// The value of a cell: a number, infinities included, or true and false as 1 and 0; none for other text.
std::optional<double> cell_value(std::string_view cell);

/// Could be the name of a column: no value, and not one of the ways to write that there is none.
bool is_name(std::string_view cell);

/// How a level of a categorical column is spelt: a cell with a value by that, so that 1, 1.0 and true are one level;
/// any other as it is. Values are floats, as features are.
std::string level_name(std::string_view cell);
std::string level_name(float value);
/// Without its case and its blanks.
std::string folded(std::string_view name);

/// A day, as 2024-01-31, 31/01/2024 or 31.01.2024, and what may follow it: the time.
bool looks_like_date(std::string_view cell);

}  // namespace ecl
