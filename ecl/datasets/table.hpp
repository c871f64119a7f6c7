#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ecl/contracts/dataset.hpp"
#include "ecl/datasets/gzip.hpp"

/// What the loaders of text tables share.
namespace ecl {

/// A text file line by line; its errors name file, line and column. Keeps a view: `content` must outlive it.
class TextLines {
 public:
  TextLines(std::string path, std::span<const std::uint8_t> content);

  /// Goes to the next line that is not blank; false at the end. Call once before the first line.
  bool next();
  std::string_view line() const { return line_; }      ///< without its end
  std::size_t line_number() const { return number_; }  ///< of line(), from 1, blank lines counted
  const std::string& path() const { return path_; }

  /// The value of `cell`, a part of line(). Throws Error (io) unless it is a number and finite as a float.
  float number(std::string_view cell) const;
  std::int64_t integer(std::string_view cell) const;

  /// Throws Error (io): "path:line:column: what", the column (from 1) where `cell`, a part of line(), starts.
  [[noreturn]] void fail(std::string_view cell, const std::string& what) const;

 private:
  std::string path_;
  std::string_view rest_, line_;
  std::size_t number_ = 0;
};

/// `text` for a message: shortened, in quotes, anything unprintable as '?'.
std::string quoted(std::string_view text);

/// True if `text` is a number, infinities and NaN included.
bool is_number(std::string_view text);

/// The cells of the current line, without blanks around them and without the quotes of "quoted cells", in which a
/// separator is text. Throws Error (io) for a quote that is not closed.
std::vector<std::string_view> split_cells(const TextLines& lines, char separator);

/// The file that a table is read from: --data itself, or the only file in it whose name ends as one of `endings`
/// (each also with ".gz"). Throws Error (usage) if there is none, or more than one.
std::string find_table(const DatasetRequest& request, const std::string& dataset, std::span<const std::string> endings);

/// Numbers for names: the distinct names sorted, as numbers if all of them are, else as text; 0 for the first.
struct Numbered {
  std::vector<std::int32_t> numbers;  ///< one per name given
  std::int32_t count = 0;             ///< distinct names
};
Numbered number_names(std::span<const std::string_view> names);

/// A whole table in memory, before it is split.
struct Table {
  std::size_t features = 0;
  std::vector<float> values;                                     ///< rows * features, row-major
  std::vector<std::string_view> labels;                          ///< as written, one per row
  std::map<std::string, std::vector<std::string_view>> columns;  ///< see Dataset::columns
};

/// The largest table in memory: values, of 4 bytes each.
inline constexpr std::uint64_t kMostValues = std::uint64_t{1} << 31;
inline constexpr std::int64_t kMostFeatures = 1'000'000;

/// Sample numbers, ascending.
struct RowSplit {
  std::vector<std::int32_t> train, test;
};

/// `fraction` of the rows, chosen by the seed, at least one, is for the test. Throws Error (io) below two rows.
RowSplit split_rows(std::size_t rows, double fraction, std::uint64_t seed, const std::string& path);

/// Table to data sets: labels are numbered, features (if `standardise`) shifted and scaled to mean 0 and deviation 1
/// over the training rows; a feature that is constant there is only shifted. Throws Error (io) for a label column that
/// cannot be classes.
TrainTest finish_table(Table table, const RowSplit& split, bool standardise, const std::string& path);

}  // namespace ecl
