#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ecl/base/files.hpp"
#include "ecl/base/text_lines.hpp"
#include "ecl/contracts/dataset.hpp"

/// What the loaders of text tables share.
namespace ecl {

/// The file that a table is read from: --data itself, or the only file in it whose name ends as one of `endings`
/// (each also with ".gz"). Throws Error (usage) if there is none, or more than one, or it is no regular file: tables
/// are read twice.
std::string find_table(const DatasetRequest& request, const std::string& dataset, std::span<const std::string> endings);

/// Throws Error for a pipe and the like.
void require_regular(const std::string& path);

/// For a data set that reads no file. Throws Error if --data or --test names one.
void refuse_files(const DatasetRequest& request, const std::string& dataset);

/// The largest table in memory: values, of 4 bytes each.
inline constexpr std::uint64_t kMostValues = std::uint64_t{1} << 31;
inline constexpr std::int64_t kMostFeatures = 1'000'000;

/// Of a categorical column, over all sites: what has more values is rather a name or a number.
inline constexpr std::size_t kMostLevels = 1000;

/// Distinct texts, numbered as they come.
class Names {
 public:
  std::int32_t add(std::string_view name);
  const std::vector<std::string>& all() const { return names_; }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> numbers_;
  std::vector<std::string> names_;
};

/// Sorted distinct names, by value if all are numbers that a double keeps apart, or true and false (as 1 and 0, in any
/// case), and which of them each of `names` is: the numbering of classes.
struct NameTable {
  std::vector<std::string> names;
  std::vector<std::int32_t> numbers;
};
NameTable tabulate(const std::vector<std::string>& names);

/// Of each row the labels that it has: those of row r are numbers[ends[r - 1]] .. numbers[ends[r] - 1].
struct LabelSets {
  std::vector<std::size_t> ends;
  std::vector<std::int32_t> numbers;
};

/// What a first look at a table finds: of each row its label, and the group that it belongs to.
struct TableIndex {
  std::vector<std::int32_t> labels, groups;  ///< by row, into the names; no groups without a group column
  Names label_names, group_names;
  std::vector<float> targets;  ///< by row, where labels are numbers to be predicted; those above are then all 0
  std::vector<float> weights;  ///< by row, where rows have weights
  /// Where a row has any number of labels: those that it has, into the names; those above are then all 0.
  std::optional<LabelSets> sets;

  /// `numbers`: it is one to be predicted. Throws Error where it is none, or there are more than can be numbered.
  void add_label(std::string_view label, const TextLines& lines, bool numbers);
  /// A row of `sets`, that `lines` is at.
  void add_set(std::span<const std::int32_t> numbers, const TextLines& lines);

 private:
  void add_row(std::int32_t label, const TextLines& lines);
};

/// What a cell says. Throw Error (io), with its place, where it is none.
float read_weight(std::string_view cell, const TextLines& lines);
bool read_binary(std::string_view cell, const TextLines& lines);

/// Reads the parameter `label-kind`, which --loss may say too. Throws Error where they differ.
LabelKind read_label_kind(Params& params, const DatasetRequest& request);
/// Of labels of any kind: throws Error where the labels look like a quantity: numbers, many of them, few of them alike;
/// of whole ones hardly any.
void refuse_quantities(const TableIndex& index, const std::string& path);

/// What the groups are called, as in by-column:group, where no column of the file has a name for them.
inline constexpr const char* kGroup = "group";
/// Reads the parameter `groups`: a text file that names the group of each row, one a line, in their order; empty: none.
std::string read_groups_path(Params& params);
/// Adds that file's groups, if there is one, to the index of the rows of `table`. Throws Error where they are not as
/// many as its labels.
void add_groups(const std::string& path, const std::string& table, const DatasetRequest& request, TableIndex& index);

/// The same for samples of which only the labels are there, as a column of them.
void name_groups(const std::string& path, const std::string& table, const DatasetRequest& request, Dataset& labels);

/// How the test rows are drawn, as `test` and `test-by` of a data set say.
struct TestDraw {
  double fraction = 0.2;
  bool by_group = false;
};
/// Reads the parameters; `grouped`: there is a group column. Throws Error if both they and --test name the test rows.
TestDraw read_test_draw(Params& params, const DatasetRequest& request, bool grouped);

/// Row numbers of the file, ascending.
struct RowSplit {
  std::vector<std::int32_t> train, test;
  std::size_t groups_to_test = 0;
};

/// A part of the rows for the test, chosen by the seed (and the site): of all rows, or of all groups where they stay
/// together. A group goes where it goes at all sites. Of everybody's data at least one and not all; a site's own may be
/// too few for a test. Throws Error.
RowSplit draw_test(const TableIndex& index, const TestDraw& draw, const DatasetRequest& request,
                   const std::string& path);

/// What to do with the rows of a table once they are known, but for their features.
struct TablePlan {
  std::vector<std::int32_t> train, test;  ///< row numbers to read, ascending
  std::vector<std::int32_t> kept;         ///< where request.deal kept some: which of the training rows
  std::size_t train_samples = 0;          ///< all
  std::size_t groups_to_test = 0;
};
TablePlan plan_rows(const TableIndex& index, RowSplit split, const DatasetRequest& request,
                    const std::string& group_column);
/// What the plan says of `data`, whose rows have been read.
void note_plan(TrainTest& data, TablePlan plan, const TableIndex& index, const DatasetRequest& request);

/// Where a reader puts the values of the rows that it keeps, one after the other: into memory, or with
/// DatasetRequest::store into that folder's features.npy, where they stay.
class RowStore {
 public:
  /// `what` is for the message if memory has no room. Throws Error.
  RowStore(std::size_t rows, std::size_t features, const std::string& folder, const std::string& what);
  void add(float value) {
    values_.push_back(value);
    if (file_ && values_.size() == kBuffer) flush();
  }
  Rows finish();

 private:
  static constexpr std::size_t kBuffer = std::size_t{1} << 18;
  void flush();

  std::string what_;
  std::size_t rows_;
  int features_;
  std::uint64_t written_ = 0;
  std::string path_;
  std::unique_ptr<AtomicFile> file_;
  std::vector<float> values_;
};

/// The rows of a folder's features.npy. Throws Error.
MappedRows map_rows(const std::string& path);

/// The group of each of the rows, by number, as Dataset::columns has it. Groups are numbered in the order of their
/// names.
std::vector<std::int32_t> groups_of(const TableIndex& index, const std::vector<std::int32_t>& rows);

/// A half of the table as a Dataset: the index's rows `rows`, `stored` as they are. Classes, or labels, are numbered by
/// all their spellings, in the order of the text.
Dataset make_half(const TableIndex& index, const std::vector<std::int32_t>& rows, Rows stored,
                  const std::string& group_column);

/// Whether rows that hold so many values in all are kept as these values and their places: less than a tenth of them.
inline bool is_sparse(std::uint64_t values, std::uint64_t rows, std::int64_t features) {
  return 10.0 * static_cast<double>(values) < static_cast<double>(rows) * static_cast<double>(features);
}

/// Reads the parameter `standardise` into `data`. Throws Error.
void read_scaling(Params& params, const DatasetRequest& request, TrainTest& data);

}  // namespace ecl
