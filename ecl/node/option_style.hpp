#pragma once

#include <algorithm>
#include <string>

namespace ecl {

/// Where options are given, so that errors write them as their user does.
enum class OptionStyle {
  command_line,  ///< --local-steps 8
  key_value      ///< local_steps=8
};

/// `name` as in --local-steps.
inline std::string written(OptionStyle style, std::string name, const std::string& value = "") {
  if (style == OptionStyle::command_line) return "--" + name + (value.empty() ? "" : " " + value);
  std::replace(name.begin(), name.end(), '-', '_');
  return name + (value.empty() ? "" : "=" + value);
}

}  // namespace ecl
