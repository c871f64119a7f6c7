#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ecl/contracts/dataset.hpp"

/// Tables in arrays, as npy and hdf5 have them: features n x d, n labels, n groups, n weights.
namespace ecl {

/// Labels, groups or weights as a file has them: whole numbers, others or text, a value for each row.
struct ArrayColumn {
  std::string place;  ///< file and array, for messages
  std::vector<std::int64_t> whole;
  std::vector<double> real;
  std::vector<std::string> text;        ///< UTF-8
  std::vector<std::string> known = {};  ///< what the numbers stand for, where the file says so

  std::size_t size() const;
  bool missing(std::size_t row) const;
  /// Of a class or a group. Throws Error (io) for an infinity, or a number that stands for nothing.
  std::string name(std::size_t row) const;
  /// Of a quantity. Throws Error (io) where it is no finite float.
  float number(std::size_t row) const;
  /// Of a sample's loss and measures. Throws Error (io) where it is missing, below 0 or not finite.
  float weight(std::size_t row) const;
};

/// Features in a file, a row for each sample, which are read when they are asked for.
class ArrayRows {
 public:
  /// Throws Error (io) for sizes that cannot be numbered.
  ArrayRows(std::string place, std::uint64_t rows, std::uint64_t features);
  virtual ~ArrayRows() = default;

  const std::string& place() const { return place_; }  ///< file and array, for messages
  std::size_t size() const { return size_; }
  int features() const { return features_; }
  /// Rows first .. first+count-1 as floats, row-major. Throws Error (io).
  virtual void read(std::size_t first, std::size_t count, float* out) const = 0;
  /// Rows so far apart, or less, are rather read at once, with those between them.
  virtual int stride() const { return 1; }
  /// All of them where they can stay in their file: floats in the order of memory.
  virtual std::optional<MappedRows> mapped() const { return std::nullopt; }

 private:
  std::string place_;
  std::size_t size_;
  int features_;
};

struct ArrayTable {
  std::string source;  ///< file or folder
  std::unique_ptr<ArrayRows> rows;
  std::optional<ArrayColumn> labels, groups, weights;  ///< as many as there are rows
  Schema schema;                                       ///< what the files say of columns
  std::string group = "group";                         ///< what the groups are called
};

/// What is wanted of a table, each with those before; with the labels come the weights.
enum class ArrayParts { features, labels, groups };

/// A folder with features.npy, labels.npy, weights.npy and groups.npy where there are such, and table.json where ecl
/// convert wrote it; or features.npy itself, where nothing else is wanted. Throws Error.
ArrayTable open_npy_table(const std::string& path, ArrayParts parts);

/// Names of the data sets in a file, as the parameters say them.
struct Hdf5Names {
  std::string features, labels, groups, weights;
  bool grouped, weighted;  ///< those were asked for: else they may be missing
};
Hdf5Names read_hdf5_names(Params& params);
/// The same of an HDF5 file.
ArrayTable open_hdf5_table(const std::string& path, const Hdf5Names& names, ArrayParts parts);

/// What a data set of such tables is. `open`: --data, with groups, or --test. Throws Error.
TrainTest make_from_arrays(const DatasetRequest& request, Params& params,
                           const std::function<ArrayTable(const std::string&, ArrayParts)>& open);

/// "3 cells in 2 rows", for messages: the values that are missing in all of `rows`.
std::string count_gaps(const ArrayRows& rows);

}  // namespace ecl
