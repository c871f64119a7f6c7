#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "ecl/contracts/dataset.hpp"

/// How the cells of a table's row become features: numbers as they are, each level of a categorical column a feature.
namespace ecl {

/// A categorical cell that is none of the levels.
inline constexpr float kUnknownLevel = -1;

/// So many features has a row.
std::size_t encoded_size(std::span<const Column> columns);

/// Their names: the column's, "column=level", "column missing".
std::vector<std::string> encoded_names(std::span<const Column> columns);

/// `cells`: one for each column, a number or the number of a level, from 0; NaN where it is missing. `features`:
/// encoded_size() values; those of a missing cell are NaN (to be filled: Scale::fill), of an unknown level 0.
void encode(std::span<const Column> columns, const float* cells, float* features);

}  // namespace ecl
