#pragma once

#include <string>
#include <string_view>

/// Values of config.ini. A plain one stands as it is. One with a '#', which would begin a comment, a control character,
/// or a blank or a quote at an end stands in quotes, in which \\, \" and \xHH are what they are in C; so nothing in the
/// line can be mistaken, whoever reads it.
namespace ecl {

std::string to_ini_value(std::string_view text);
/// Throws Error for a value that begins with a quote and is not as above. `where` begins the message.
std::string from_ini_value(std::string_view written, const std::string& where);

}  // namespace ecl
