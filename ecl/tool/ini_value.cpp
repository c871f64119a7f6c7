#include "ecl/tool/ini_value.hpp"

#include <algorithm>
#include <charconv>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

bool is_special(char letter) {
  const auto byte = static_cast<unsigned char>(letter);
  return byte < ' ' || byte == 0x7f || letter == '#';
}

bool is_plain(std::string_view text) {
  if (text.empty()) return true;
  const auto ends_well = [](char letter) { return letter != ' ' && letter != '"'; };
  return ends_well(text.front()) && ends_well(text.back()) && std::none_of(text.begin(), text.end(), is_special);
}

}  // namespace

std::string to_ini_value(std::string_view text) {
  if (is_plain(text)) return std::string(text);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string written = "\"";
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (is_special(letter))
      written.append("\\x").append(1, kDigits[byte / 16]).append(1, kDigits[byte % 16]);
    else if (letter == '"' || letter == '\\')
      written.append("\\").append(1, letter);
    else
      written += letter;
  }
  return written + '"';
}

std::string from_ini_value(std::string_view written, const std::string& where) {
  if (!written.starts_with('"')) return std::string(written);
  const auto fail = [&](const char* what) -> Error {
    return Error(where + std::string(written) + ": " + what + R"(; inside quotes write \\ \" and, for a '#', \x23)");
  };
  std::string text;
  std::size_t at = 1;
  for (; at < written.size() && written[at] != '"'; ++at) {
    if (written[at] != '\\') {
      text += written[at];
      continue;
    }
    const std::string_view code = written.substr(std::min(at + 1, written.size()));
    if (code.starts_with('\\') || code.starts_with('"')) {
      text += code[0];
      ++at;
      continue;
    }
    unsigned char byte = 0;
    const char* digits = code.data() + 1;
    if (!code.starts_with('x') || code.size() < 3 || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2)
      throw fail("a backslash begins nothing that is known");
    text += static_cast<char>(byte);
    at += 3;
  }
  if (at + 1 != written.size())
    throw fail(at < written.size() ? "text follows the quotes" : "the quotes are not closed");
  return text;
}

}  // namespace ecl
