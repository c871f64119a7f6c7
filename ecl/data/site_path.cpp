#include "ecl/data/site_path.hpp"

#include <algorithm>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/base/params.hpp"

namespace ecl {
namespace {

constexpr const char *kNode = "{node}", *kHost = "{host}";

bool is_word(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

}  // namespace

bool is_pattern(const std::string& path, const std::string& option) {
  bool found = false;
  for (std::size_t open = path.find('{'); open != std::string::npos; open = path.find('{', open + 1)) {
    const std::size_t close = path.find('}', open);
    if (close == std::string::npos) break;
    const std::string word = path.substr(open + 1, close - open - 1);
    if (word == "node" || word == "host")
      found = true;
    else if (is_word(word))
      throw Error(option + " " + path + ": unknown {" + word + "} (known: {node}, {host})");
  }
  return found;
}

bool names_host(const std::string& path) { return path.find(kHost) != std::string::npos; }

std::string site_path(const std::string& pattern, NodeId node, const std::string& host) {
  std::string path = pattern;
  replace_all(path, kNode, std::to_string(node));
  replace_all(path, kHost, host);
  return path;
}

}  // namespace ecl
