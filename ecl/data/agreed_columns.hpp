#pragma once

#include <span>
#include <string>
#include <vector>

#include "ecl/contracts/dataset.hpp"
#include "ecl/contracts/sites.hpp"

/// How sites whose tables hold text, or have gaps, come to the same features.
namespace ecl {

/// What a site says of its table's columns: of each a letter, whether it holds levels and needs an indicator.
std::string describe_columns(const TrainTest& data);

/// A column is categorical if it is at any site, and its levels are those of all sites' training rows: their names are
/// told to all. It has an indicator if it needs one anywhere. Encodes the rows of `held` so; where no column is either,
/// they stay as they are. `said`: describe_columns() of all sites. `earlier`: as in agree_on_tables(). Returns what
/// people should know of that, the same in all processes. Collective; throws Error, the same in all processes.
std::vector<std::string> agree_on_columns(Sites& sites, std::span<TrainTest> held, std::span<const std::string> places,
                                          std::span<const std::string> said, const Schema* earlier = nullptr);

}  // namespace ecl
