#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "ecl/base/params.hpp"
#include "ecl/base/text_table.hpp"
#include "ecl/contracts/dataset.hpp"

/// Which columns of a table in text are what.
namespace ecl {

/// What the parameters say, as the user wrote it.
struct ColumnWishes {
  std::string label, group, weight;
  std::vector<std::string> ignore, features, categorical;
  bool text_is_categorical = false;  ///< categorical=auto
  Missing missing = Missing::refuse;
  LabelKind labels = LabelKind::any;
  bool numbers_only = false;  ///< a file of numbers is made of it: no levels can be kept

  bool grouped() const;
  /// The label's column; of labels that are 0 or 1 all.
  std::vector<std::string> label_columns() const;
  /// The columns that are named.
  std::vector<std::string> named() const;
};
/// Reads the parameter `missing`. Throws Error.
Missing read_missing(Params& params);
/// Throws Error for wishes that exclude each other.
ColumnWishes read_column_wishes(Params& params, const DatasetRequest& request);

/// The columns of a file.
struct TableColumns {
  struct Feature {
    std::size_t at;                     ///< column of the file, from 0
    std::string name;                   ///< of the header, or its number from 1
    bool categorical;                   ///< because the user, or the file, says so
    std::vector<std::string> declared;  ///< levels that the file says it has
    bool dates_are_levels;              ///< the user names the column as categorical: whatever it holds

    /// What to write for it in a list a|b|c: its number where the name would be cut.
    std::string handle() const;
  };
  std::size_t columns = 0;
  std::vector<std::size_t> labels_at;  ///< one; of labels that are 0 or 1 any number
  std::optional<std::size_t> group_at, weight_at;
  std::vector<Feature> features;
  std::vector<std::string> header;  ///< all names; empty without a header
  std::string doubt;                ///< TextTable::doubt()

  bool is_label(std::size_t at) const { return std::ranges::find(labels_at, at) != labels_at.end(); }
  /// What a column is called: its name, or its number from 1.
  std::string name(std::size_t at) const { return header.empty() ? std::to_string(at + 1) : header[at]; }
};
/// Throws Error for a column that is not there, or is asked for what it cannot be.
TableColumns find_columns(const ColumnWishes& wishes, const TextTable& table);

}  // namespace ecl
