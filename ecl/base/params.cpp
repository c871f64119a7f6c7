#include "ecl/base/params.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <sstream>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row.back();
}

std::string format(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

/// `text` cut at each comma that does not stand in quotes.
std::vector<std::string> split_arguments(std::string_view text, const std::string& owner) {
  std::vector<std::string> parts(text.empty() ? 0 : 1);
  bool quoted = false;
  for (const char letter : text) {
    quoted ^= letter == '"';
    if (letter == ',' && !quoted)
      parts.emplace_back();
    else
      parts.back() += letter;
  }
  if (quoted) throw Error(owner + ": a quote is not closed in " + std::string(text));
  return parts;
}

/// What the quotes around a value hold; "" in it is one quote.
std::string unquoted(const std::string& text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return text;
  std::string inner;
  for (std::size_t at = 1; at + 1 < text.size(); ++at) {
    inner += text[at];
    if (text[at] == '"' && text[at + 1] == '"') ++at;
  }
  return inner;
}

/// Where the key of `key=value` ends; npos if `part` is a value alone.
std::size_t end_of_key(const std::string& part) {
  const std::size_t equals = part.find('=');
  return equals < part.find('"') ? equals : std::string::npos;
}

template <class Number>
Number parse_whole(std::string_view text, std::string_view what, const char* kind) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range)
    throw Error(std::string(what) + ": '" + std::string(text) + "' is beyond what " + kind + " can be here");
  if (error != std::errc{} || end != text.data() + text.size())
    throw Error(std::string(what) + ": '" + std::string(text) + "' is not " + kind + decimal_comma(text));
  return value;
}

}  // namespace

std::string suggestion(std::string_view name, std::span<const std::string> known) {
  const std::string* best = nullptr;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) best = &candidate, best_distance = distance;
  }
  return best ? ", did you mean '" + *best + "'?" : "";
}

std::string decimal_comma(std::string_view text) {
  if (std::count(text.begin(), text.end(), ',') != 1 || text.find_first_not_of("+-0123456789.,eE") != text.npos)
    return "";
  const std::string_view whole = text.substr(text.find_first_not_of("+-"));
  const bool maybe_thousands = whole.find('.') == whole.npos && whole[0] != '0' && whole.size() >= 5 &&
                               whole.size() <= 7 && whole[whole.size() - 4] == ',' &&
                               std::isdigit(static_cast<unsigned char>(whole.back()));
  std::string written(text);  // 1.000,5: points between the thousands
  std::erase(written, '.');
  std::replace(written.begin(), written.end(), ',', '.');
  double value = 0;
  const auto [end, error] = std::from_chars(written.data(), written.data() + written.size(), value);
  if (error != std::errc{} || end != written.data() + written.size()) return "";
  std::string plain(text);
  std::erase(plain, ',');
  return "; a decimal point is meant: " + written +
         (maybe_thousands ? ", or, between thousands, nothing: " + plain : "");
}

double to_number(std::string_view text, std::string_view what) {
  const double value = parse_whole<double>(text, what, "a number");
  if (!std::isfinite(value)) throw Error(std::string(what) + ": '" + std::string(text) + "' is not a finite number");
  return value;
}

std::int64_t to_integer(std::string_view text, std::string_view what) {
  return parse_whole<std::int64_t>(text, what, "a whole number");
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) break;
    text.remove_prefix(at + 1);
    if (text.empty()) parts.emplace_back();
  }
  return parts;
}

Choice Choice::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return {std::string(text), {}};
  return {std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

Params::Params(std::string owner, std::string_view arguments, std::span<const std::string> settings)
    : owner_(std::move(owner)) {
  const auto add_keyed = [this](const std::string& part, std::size_t equals) {
    const std::string key = part.substr(0, equals);
    for (const auto& given : keyed_)
      if (given.first == key) throw Error(owner_ + ": parameter '" + key + "' is given twice; give it once");
    keyed_.emplace_back(key, unquoted(part.substr(equals + 1)));
  };
  for (const std::string& part : split_arguments(arguments, owner_)) {
    const std::size_t equals = end_of_key(part);
    if (equals != std::string::npos)
      add_keyed(part, equals);
    else if (keyed_.empty())
      positional_.push_back(part);
    else  // ignore=a,b: b would be taken for a parameter that nobody named
      throw Error(owner_ + ": '" + part + "' follows " + keyed_.back().first + "=" + keyed_.back().second +
                  " without a name; write NAME=" + part + ", or, where several values are meant, " +
                  keyed_.back().first + "=" + keyed_.back().second + "|" + part + " (columns), a / (numbers)");
  }
  for (const std::string& part : settings) {
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos || equals == 0)
      throw Error(owner_ + ": setting '" + part + "' is not of the form key=value");
    add_keyed(part, equals);
  }
}

std::optional<std::string> Params::claim(const std::string& key, bool all_the_rest) {
  for (const auto& [name, value] : keyed_)
    if (name == key) return last_ = value;
  if (positional_.empty()) return std::nullopt;
  std::string value = unquoted(positional_.front());
  if (all_the_rest)
    for (std::size_t i = 1; i < positional_.size(); ++i) (value += ',') += unquoted(positional_[i]);
  positional_.erase(positional_.begin(), all_the_rest ? positional_.end() : positional_.begin() + 1);
  return last_ = value;
}

std::string Params::required(const std::string& key, const std::string& help) const {
  const std::string name = owner_.substr(owner_.rfind(' ') + 1);
  return owner_ + " needs " + key + " (" + help + "): write " + name + ":VALUE or " + name + ":" + key + "=VALUE";
}

void Params::declare(const std::string& key, const std::string& fallback, const std::string& help) {
  declared_.push_back({key, fallback, help});
}

double Params::number(const std::string& key, std::optional<double> fallback, double low, double high,
                      const std::string& help) {
  declare(key, fallback ? format(*fallback) : "", help);
  const auto given = claim(key, false);
  if (!given && !fallback) throw Error(required(key, help));
  const double value = given ? to_number(*given, owner_ + ": " + key) : *fallback;
  if (value < low || value > high)
    throw Error(owner_ + ": " + key + " = " + format(value) + " is outside " + format(low) + " .. " + format(high));
  return value;
}

std::int64_t Params::integer(const std::string& key, std::optional<std::int64_t> fallback, std::int64_t low,
                             std::int64_t high, const std::string& help) {
  declare(key, fallback ? std::to_string(*fallback) : "", help);
  const auto given = claim(key, false);
  if (!given && !fallback) throw Error(required(key, help));
  const std::int64_t value = given ? to_integer(*given, owner_ + ": " + key) : *fallback;
  if (value < low || value > high)
    throw Error(owner_ + ": " + key + " = " + std::to_string(value) + " is outside " + std::to_string(low) + " .. " +
                std::to_string(high));
  return value;
}

std::string Params::text(const std::string& key, std::optional<std::string> fallback, const std::string& help) {
  declare(key, fallback.value_or(""), help);
  const auto given = claim(key, true);
  if (!given && !fallback) throw Error(required(key, help));
  return given ? *given : *fallback;
}

bool Params::given(const std::string& key) const {
  return std::any_of(keyed_.begin(), keyed_.end(), [&](const auto& pair) { return pair.first == key; });
}

void Params::finish() const {
  if (!positional_.empty()) {
    std::string what = owner_ + ": value '" + positional_.front() + "' is one too many; it takes ";
    what += std::to_string(declared_.size()) + " parameter(s)";
    const std::string point = last_ + "," + positional_.front();
    what += decimal_comma(point);
    throw Error(what);
  }
  std::vector<std::string> known;
  std::string list;
  for (const Declared& parameter : declared_) {
    known.push_back(parameter.key);
    list += (list.empty() ? "" : ", ") + parameter.key;
  }
  for (const auto& [key, value] : keyed_) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    throw Error(owner_ + ": unknown parameter '" + key + "'" + suggestion(key, known) +
                (list.empty() ? " (it has none)" : " (known: " + list + ")"));
  }
}

}  // namespace ecl
