#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ecl/base/text_table.hpp"
#include "ecl/data/datasets/table.hpp"
#include "ecl/data/datasets/table_columns.hpp"

/// A table in text with a label column, as the data set csv reads it.
namespace ecl {

/// What a first look at the rows finds.
struct Survey {
  TableIndex index;                  ///< of the rows that are not dropped
  std::vector<std::size_t> dropped;  ///< rows of the file, from 0, ascending
  std::vector<bool> categorical;     ///< by feature
  Gaps gaps;
  /// Of a feature the cells that are text, where text makes it categorical; and where the first is.
  struct Texts {
    std::size_t cells = 0;
    std::string first = {};
  };
  std::vector<Texts> texts;        ///< by feature
  std::size_t rounded_labels = 0;  ///< numbers of more digits than a float keeps
};

/// A half of the table while it is read: each feature's number, the number of its level, or NaN.
struct Half {
  RowStore rows;
  std::vector<Names> levels;         ///< by feature
  std::vector<bool> gap;             ///< by feature: a cell is missing
  std::vector<std::size_t> rounded;  ///< by feature: cells of more digits than a float keeps
  std::size_t read = 0;              ///< rows
};

/// A table's file: its columns at once, its rows when they are asked for.
class CsvFile {
 public:
  /// `wishes` and `request` must outlive it. `advice`: what to do where the file is not there. `expected`: names of
  /// columns, as TextTable's. Throws Error.
  CsvFile(std::string path, const ColumnWishes& wishes, const DatasetRequest& request, std::string advice,
          std::vector<std::string> expected);

  const std::string& path() const { return path_; }
  const TableColumns& columns() const { return columns_; }

  /// Labels and groups of all rows, and what the cells are; the number of cells of each row is checked.
  Survey survey() const;
  /// For so many of its rows.
  Half half(std::size_t rows, const std::string& folder = "") const;
  /// Appends the features of the survey's rows that `train` and `test` name, ascending; a row in neither is not looked
  /// at.
  void read(const Survey& survey, const std::vector<std::int32_t>& train, const std::vector<std::int32_t>& test,
            Half& to_train, Half& to_test) const;
  /// What people should know of such rows, in words.
  std::vector<std::string> notes(const Survey& survey, const Half& half) const;
  /// What the parts of such rows are called.
  void name_columns(const Half& half, Schema& schema) const;

 private:
  TextTable open() const { return {path_, request_.open(path_, advice_), expected_}; }
  void add_label(const TextTable& table, Survey& survey) const;
  std::string_view name(const TextTable& table, std::size_t column, std::string& unquoted) const;
  std::size_t gaps_in(const std::vector<std::string_view>& cells) const;
  bool drops(const std::vector<std::string_view>& cells) const;
  void look_for_text(const TextTable& table, Survey& survey) const;
  float number(const TextTable& table, std::size_t f, Half& to) const;
  float gap(std::size_t f, Half& to) const;
  float unusual_number(const TextTable& table, std::size_t f, Half& to) const;
  float level(const TextTable& table, std::size_t f, Half& to) const;
  void check_new_level(const TextTable& table, std::size_t f, const Names& levels) const;
  [[noreturn]] void refuse_text(const TextTable& table, std::size_t f) const;
  [[noreturn]] void refuse_gaps() const;

  std::string path_;
  const ColumnWishes& wishes_;
  std::vector<std::string> expected_;
  const DatasetRequest& request_;
  std::string advice_;
  TableColumns columns_;
};

}  // namespace ecl
