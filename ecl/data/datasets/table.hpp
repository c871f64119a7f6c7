#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ecl/contracts/dataset.hpp"

/// What the loaders of text tables share.
namespace ecl {

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
