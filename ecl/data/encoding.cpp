#include "ecl/data/encoding.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ecl {

std::size_t encoded_size(std::span<const Column> columns) {
  std::size_t size = 0;
  for (const Column& column : columns) size += std::max<std::size_t>(1, column.levels.size()) + column.indicator;
  return size;
}

std::vector<std::string> encoded_names(std::span<const Column> columns) {
  std::vector<std::string> names;
  for (const Column& column : columns) {
    if (column.levels.empty()) names.push_back(column.name);
    for (const std::string& level : column.levels) names.push_back(column.name + "=" + level);
    if (column.indicator) names.push_back(column.name + " missing");
  }
  return names;
}

void encode(std::span<const Column> columns, const float* cells, float* features) {
  for (const Column& column : columns) {
    const float cell = *cells++;
    const bool missing = std::isnan(cell);
    if (column.levels.empty()) {
      *features++ = cell;
    } else {
      std::fill_n(features, column.levels.size(), missing ? std::numeric_limits<float>::quiet_NaN() : 0.0f);
      if (cell >= 0) features[static_cast<std::size_t>(cell)] = 1;
      features += column.levels.size();
    }
    if (column.indicator) *features++ = missing ? 1.0f : 0.0f;
  }
}

}  // namespace ecl
