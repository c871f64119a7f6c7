#pragma once

#include <boost/program_options.hpp>
#include <string>
#include <vector>

/// Command lines through Boost, with ecl's messages.
namespace ecl {

/// Stores `arguments` into `values`, which is not yet notified. `positional` names what may come without an option.
/// `command` is for messages: "ecl train". Throws Error.
void parse_arguments(const std::vector<std::string>& arguments,
                     const boost::program_options::options_description& options,
                     const std::vector<std::string>& positional, const std::string& command,
                     boost::program_options::variables_map& values);

/// Throws Error, in ecl's words, unless the option takes no number or its value is one. `where` begins the message.
void check_number(const boost::program_options::option& option,
                  const boost::program_options::options_description& options, const std::string& where = "");

/// Turns Boost's complaint into an Error, with a suggestion for an unknown option. `where` begins the message.
[[noreturn]] void fail(const boost::program_options::error& error,
                       const boost::program_options::options_description& options, const std::string& command,
                       const std::string& where = "");

/// Throws Error if `text` holds %word%. Boost replaces such words in its messages by what the user wrote, again and
/// again until none is left: with `--lr %value%` it would not end. `where` begins the message.
void refuse_placeholders(const std::string& text, const std::string& where);

std::vector<std::string> long_names(const boost::program_options::options_description& options);

}  // namespace ecl
