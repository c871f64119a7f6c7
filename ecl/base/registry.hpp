#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/base/params.hpp"

namespace ecl {

/// The plug-ins of one kind, by name. Filled from the kind's registry.def, one line per plug-in.
template <class Factory>
class Registry {
 public:
  struct Entry {
    std::string name;
    std::string description;  ///< one line, then the source
    Factory* make;
  };

  /// `kind` is for messages: "solver". Names are shown with `joint` where they have an underscore: "fashion-mnist".
  Registry(std::string kind, char joint, std::vector<Entry> entries)
      : kind_(std::move(kind)), entries_(std::move(entries)) {
    for (Entry& entry : entries_) std::replace(entry.name.begin(), entry.name.end(), '_', joint);
  }

  const std::string& kind() const { return kind_; }
  const std::vector<Entry>& entries() const { return entries_; }

  /// `-` and `_` in a name are the same. Throws Error with a suggestion for an unknown name.
  const Entry& find(std::string_view name) const {
    const std::string wanted = canonical(name);
    std::vector<std::string> known;
    for (const Entry& entry : entries_) {
      if (canonical(entry.name) == wanted) return entry;
      known.push_back(entry.name);
    }
    std::string list;
    for (const std::string& candidate : known) list += (list.empty() ? "" : ", ") + candidate;
    throw Error("unknown " + kind_ + " '" + std::string(name) + "'" + suggestion(name, known) + " (known: " + list +
                ")");
  }

  /// Parameters for `choice`, whose errors name this plug-in as the user wrote it.
  Params params(const Choice& choice, std::span<const std::string> settings = {}) const {
    find(choice.name);
    return Params(kind_ + " " + choice.name, choice.arguments, settings);
  }

 private:
  static std::string canonical(std::string_view name) {
    std::string text(name);
    std::replace(text.begin(), text.end(), '-', '_');
    return text;
  }

  std::string kind_;
  std::vector<Entry> entries_;
};

}  // namespace ecl
