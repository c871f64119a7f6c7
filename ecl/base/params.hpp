#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ecl {

/// The name in `known` that a misspelt `name` most likely means, as ", did you mean X?"; empty if none is near.
std::string suggestion(std::string_view name, std::span<const std::string> known);

/// Text to number, the whole text or nothing; `what` names the thing in the error. Throws Error.
double to_number(std::string_view text, std::string_view what);
std::int64_t to_integer(std::string_view text, std::string_view what);

/// What to write instead of a number with a decimal comma, as "; a decimal point is meant: 1.5"; empty if it is none.
std::string decimal_comma(std::string_view text);

/// `text` cut at each `separator`; an empty text has no parts.
std::vector<std::string> split(std::string_view text, char separator);

/// A plug-in as the user wrote it: `name`, `name:value,value`, `name:key=value` or values before keys. A value with a
/// comma, an equals sign or a colon may stand in double quotes (`csv:group="a,b"`), in which "" is one quote.
struct Choice {
  std::string name;
  std::string arguments;  ///< what follows the first colon; empty if there is none

  static Choice parse(std::string_view text);
  std::string text() const { return arguments.empty() ? name : name + ":" + arguments; }
};

/// The parameters of one plug-in.
///
/// A plug-in reads each of its parameters once, by name, with default, range and one line of help; the read declares
/// the parameter. A value given without a key goes to the first parameter, in order of reading, that has none: so
/// `small_world:4,0.1` and `small_world:neighbours=4,rewire=0.1` are the same. After the plug-in is made, `finish()`
/// rejects whatever nobody read. All errors are ecl::Error, and name the owner ("solver ecl").
class Params {
 public:
  static constexpr double kAny = std::numeric_limits<double>::infinity();

  /// `owner` is for messages; `arguments` as in Choice; `settings` are further "key=value" texts (--set).
  explicit Params(std::string owner, std::string_view arguments = {}, std::span<const std::string> settings = {});

  /// A parameter without a fallback must be given. Bounds are inclusive.
  double number(const std::string& key, std::optional<double> fallback, double low, double high,
                const std::string& help);
  std::int64_t integer(const std::string& key, std::optional<std::int64_t> fallback, std::int64_t low,
                       std::int64_t high, const std::string& help);
  /// Takes all the values without a key that are left, commas included: paths and lists ("128,64").
  std::string text(const std::string& key, std::optional<std::string> fallback, const std::string& help);

  /// Whether `key=value` was given.
  bool given(const std::string& key) const;

  /// Throws Error for the first parameter that was given and not read: lists the known ones.
  void finish() const;

  struct Declared {
    std::string key, fallback, help;  ///< fallback is empty for a parameter that must be given
  };
  const std::vector<Declared>& declared() const { return declared_; }

 private:
  std::optional<std::string> claim(const std::string& key, bool all_the_rest);
  std::string required(const std::string& key, const std::string& help) const;
  void declare(const std::string& key, const std::string& fallback, const std::string& help);

  std::string owner_;
  std::vector<std::pair<std::string, std::string>> keyed_;
  std::vector<std::string> positional_;  ///< not yet claimed, in order
  std::string last_;                     ///< the value that was claimed last
  std::vector<Declared> declared_;
};

}  // namespace ecl
