#include "ecl/tool/parse.hpp"

#include <cstdint>

#include "ecl/base/check.hpp"
#include "ecl/base/params.hpp"
#include "ecl/base/text_lines.hpp"

namespace ecl {
namespace {

namespace po = boost::program_options;

template <class T>
bool takes(const po::option_description& option) {
  return dynamic_cast<const po::typed_value<T>*>(option.semantic().get()) != nullptr;
}

}  // namespace

void check_number(const po::option& option, const po::options_description& options, const std::string& where) {
  const po::option_description* known = options.find_nothrow(option.string_key, false);
  if (!known || option.value.empty()) return;
  const std::string& text = option.value[0];
  const std::string what = where + "--" + option.string_key;
  if (takes<double>(*known)) {
    // An infinity or a NaN is a number that no option takes: check() says so.
    if (!is_number(text)) throw Error(what + ": " + quoted(text) + " is not a number" + decimal_comma(text));
  } else if (takes<std::uint64_t>(*known)) {
    if (!text.empty() && text[0] == '-') throw Error(what + " " + text + " is not a whole number from 0 up");
    to_integer(text, what);
  } else if (takes<std::int32_t>(*known)) {
    if (const std::int64_t value = to_integer(text, what); value != static_cast<std::int32_t>(value))
      throw Error(what + ": '" + text + "' is beyond what a whole number can be here");
  }
}

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
      check_number(option, options);
    }
    po::store(parsed, values);
  } catch (const po::error& error) {
    fail(error, options, command);
  }
}

}  // namespace ecl
