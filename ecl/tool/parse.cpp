#include "ecl/tool/parse.hpp"

#include <cstdint>

#include "ecl/base/check.hpp"
#include "ecl/base/params.hpp"

namespace ecl {
namespace {

namespace po = boost::program_options;

/// Boost reads -3 as a huge unsigned number.
void refuse_negative(const po::option& option, const po::options_description& options) {
  const po::option_description* known = options.find_nothrow(option.string_key, false);
  if (!known || option.value.empty() || option.value[0].empty() || option.value[0][0] != '-') return;
  if (dynamic_cast<const po::typed_value<std::uint64_t>*>(known->semantic().get()))
    throw Error("--" + option.string_key + " " + option.value[0] + " is not a whole number from 0 up");
}

}  // namespace

std::vector<std::string> long_names(const po::options_description& options) {
  std::vector<std::string> names;
  for (const auto& option : options.options()) names.push_back("--" + option->long_name());
  return names;
}

void fail(const po::error& error, const po::options_description& options, const std::string& command,
          const std::string& where) {
  if (const auto* unknown = dynamic_cast<const po::unknown_option*>(&error)) {
    std::string name = unknown->get_option_name();
    name.erase(0, name.find_first_not_of('-'));
    throw Error(where + "unknown option --" + name + suggestion("--" + name, long_names(options)) + " (see " + command +
                " --help)");
  }
  if (dynamic_cast<const po::invalid_config_file_syntax*>(&error))
    throw Error(where + "not a config.ini: every line is OPTION = VALUE, or a comment after #");
  throw Error(where + error.what() + " (see " + command + " --help)");
}

void refuse_placeholders(const std::string& text, const std::string& where) {
  for (std::size_t at = text.find('%'); at != std::string::npos; at = text.find('%', at + 1)) {
    const std::size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", at + 1);
    if (end != std::string::npos && end > at + 1 && text[end] == '%')
      throw Error(where + ": options cannot hold " + text.substr(at, end - at + 1) + "; write it without the '%'");
  }
}

void parse_arguments(const std::vector<std::string>& arguments, const po::options_description& options,
                     const std::vector<std::string>& positional, const std::string& command,
                     po::variables_map& values) {
  using po::command_line_style::allow_guessing;
  for (const std::string& argument : arguments) refuse_placeholders(argument, command);
  try {
    po::command_line_parser parser(arguments);
    parser.options(options).style(po::command_line_style::unix_style & ~allow_guessing);
    po::parsed_options parsed = parser.run();
    std::size_t bare = 0;
    for (po::option& option : parsed.options) {
      if (option.string_key.empty()) {
        if (bare == positional.size())
          throw Error("'" + option.value[0] + "' is not an option; options begin with -- (see " + command + " --help)");
        option.string_key = positional[bare++];
      }
      refuse_negative(option, options);
    }
    po::store(parsed, values);
  } catch (const po::error& error) {
    fail(error, options, command);
  }
}

}  // namespace ecl
