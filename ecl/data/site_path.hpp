#pragma once

#include <string>

#include "ecl/base/types.hpp"

/// Paths that name each site's own files: `visits-{node}.csv`, `/data/{host}.csv`.
namespace ecl {

/// Whether `path` is such a pattern. Throws Error for a {word} that is neither {node} nor {host}; `option` is where the
/// path comes from.
bool is_pattern(const std::string& path, const std::string& option);
bool names_host(const std::string& path);

/// The path of site `node`, on host `host`.
std::string site_path(const std::string& pattern, NodeId node, const std::string& host);

}  // namespace ecl
