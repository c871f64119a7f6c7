#include "ecl/data/agreed_columns.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ecl/base/archive.hpp"
#include "ecl/base/check.hpp"
#include "ecl/base/memory.hpp"
#include "ecl/base/text_table.hpp"
#include "ecl/data/datasets/table.hpp"
#include "ecl/data/encoding.hpp"

namespace ecl {
namespace {

constexpr char kCategorical = 1, kIndicator = 2;  // bits of a letter

bool any(std::string_view letters, char bit) {
  return std::any_of(letters.begin(), letters.end(), [bit](char letter) { return (letter & bit) != 0; });
}

/// What is true of each column at some site. Throws Error where one has other columns.
std::string joined(std::span<const std::string> said) {
  std::string letters = said[0];
  for (const std::string& site : said) {
    if (site.size() != letters.size())
      throw Error("sites make features of " + std::to_string(site.size()) + " and of " +
                  std::to_string(letters.size()) + " columns; all need the same");
    for (std::size_t c = 0; c < letters.size(); ++c) letters[c] = static_cast<char>(letters[c] | site[c]);
  }
  return letters;
}

std::string too_many(const std::string& column) {
  return "column '" + column + "' holds text, at some site, and more than " + std::to_string(kMostLevels) +
         " different values in all, too many to make a feature of each; leave it out with ignore=" + column;
}

constexpr float kExact = 1 << 24;  ///< whole numbers that a float holds go up to there

Error too_long(const std::string& place, const std::string& column) {
  return Error(place + ": column '" + column +
               "' holds numbers of more digits than features keep, and text in other training rows; name it: "
               "categorical=" +
               column);
}

/// The values of column c, numbers, as levels. Throws Error, which does not tell them, for too many.
std::vector<std::string> levels_of_numbers(const Dataset& data, std::size_t c, const std::string& place) {
  std::set<float> values;
  std::vector<float> row(data.features());
  for (std::size_t r = 0; r < data.size() && values.size() <= kMostLevels; ++r) {
    data.gather(r, 1, row.data());
    if (!std::isnan(row[c])) values.insert(row[c]);
  }
  const std::string& column = data.schema.inputs[c].name;
  if (values.size() > kMostLevels) throw Error(place + ": " + too_many(column));
  if (!values.empty() && std::max(std::abs(*values.begin()), std::abs(*values.rbegin())) > kExact)
    throw too_long(place, column);
  std::vector<std::string> levels;
  for (const float value : values) levels.push_back(level_name(value));
  return levels;
}

/// The levels of a site's training rows, of each categorical column, as bytes, after the site's name.
std::string tell_levels(const TrainTest& data, const std::string& letters, const std::string& place) {
  Archive archive;
  std::string named = place + (data.source.empty() ? "" : " ('" + data.source + "')");
  archive(named);
  for (std::size_t c = 0; c < letters.size(); ++c) {
    if (!(letters[c] & kCategorical)) continue;
    std::vector<std::string> levels = data.train.schema.inputs[c].levels;
    if (levels.size() > kMostLevels) throw Error(place + ": " + too_many(data.train.schema.inputs[c].name));
    bool numbers = levels.empty();
    if (numbers) levels = levels_of_numbers(data.train, c, named);
    archive(numbers);
    archive.list(levels);
  }
  return archive.bytes();
}

/// A column that is numbers at one site is rarely meant to be texts because of another's.
std::string numbers_and_texts(const std::string& column, const std::string& numbers, const std::string& texts) {
  if (numbers.empty() || texts.empty()) return "";
  return "column '" + column + "' holds numbers alone at " + numbers + " and text at " + texts +
         ", which makes a feature of each of its values; is it a number, and the text a unit or a missing value?";
}

/// Texts that differ in case or blanks alone are rarely meant to be two.
std::string spelt_twice(const Column& column) {
  std::map<std::string, std::string> spellings;
  for (const std::string& level : column.levels)
    if (const auto [first, added] = spellings.emplace(folded(level), level); !added)
      return "column '" + column.name + "' holds " + quoted(first->second) + " and " + quoted(level) +
             ", which differ in case or blanks alone and are two features; spell them alike at all sites";
  return "";
}

/// `columns` with the levels that any site tells, sorted. Returns what is odd about them, in words.
std::vector<std::string> join_levels(std::vector<Column>& columns, const std::string& letters,
                                     std::span<const std::string> told) {
  std::vector<std::set<std::string>> levels(columns.size());
  std::vector<std::string> all_numbers(columns.size()), some_text(columns.size());  // the first such site
  for (const std::string& bytes : told) {
    Archive archive(bytes, "what a site said");
    std::string site;
    archive(site);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      if (!(letters[c] & kCategorical)) continue;
      bool numbers = false;
      std::vector<std::string> of_site;
      archive(numbers);
      archive.list(of_site);
      const auto text = std::ranges::find_if(of_site, [](const auto& level) { return !cell_value(level); });
      if (numbers && !of_site.empty() && all_numbers[c].empty()) all_numbers[c] = site;
      if (text != of_site.end() && some_text[c].empty()) some_text[c] = site + ", as " + quoted(*text);
      levels[c].insert(of_site.begin(), of_site.end());
      if (levels[c].size() > kMostLevels) throw Error(too_many(columns[c].name));
    }
    archive.finish();
  }
  std::vector<std::string> notes;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    columns[c].levels.assign(levels[c].begin(), levels[c].end());
    for (const std::string& note :
         {numbers_and_texts(columns[c].name, all_numbers[c], some_text[c]), spelt_twice(columns[c])})
      if (!note.empty()) notes.push_back(note);
  }
  return notes;
}

/// From a cell of one half's column to the number of the agreed level.
class Translation {
 public:
  /// `own`: the half's column, whose cells are numbers of its levels, or values.
  /// `place`: of the half, for errors.
  Translation(const Column& own, const Column& agreed, const std::string& place)
      : agreed_(agreed), place_(place), by_value_(own.levels.empty()) {
    for (const std::string& level : own.levels) of_level_.push_back(find(level));
  }
  float operator()(float cell) {
    if (std::isnan(cell)) return cell;
    if (agreed_.levels.empty()) return std::numeric_limits<float>::quiet_NaN();  // no training row has the cell
    if (!by_value_) return of_level_[static_cast<std::size_t>(cell)];
    if (std::abs(cell) > kExact) throw too_long(place_, agreed_.name);
    const auto [found, added] = of_value_.emplace(cell, 0.0f);
    if (added) found->second = find(level_name(cell));
    return found->second;
  }

 private:
  float find(const std::string& level) const {
    const auto at = std::lower_bound(agreed_.levels.begin(), agreed_.levels.end(), level);
    return at != agreed_.levels.end() && *at == level ? static_cast<float>(at - agreed_.levels.begin()) : kUnknownLevel;
  }

  const Column& agreed_;
  const std::string& place_;
  bool by_value_;
  std::vector<float> of_level_;
  std::unordered_map<float, float> of_value_;
};

/// `unknown`: of each column so many cells more hold a value that is none of its levels.
void encode_half(Dataset& half, const std::vector<Column>& columns, const std::string& letters,
                 const std::string& place, std::vector<std::uint64_t>& unknown) {
  const std::size_t features = encoded_size(columns);
  const std::string what = place + " as " + std::to_string(half.size()) + " rows of " + std::to_string(features) +
                           " numbers, one for each text of a column,";
  const std::string advice = "leave out columns of many texts with ignore=";
  if (half.size() * static_cast<std::uint64_t>(features) > kMostValues)
    throw Error(what + " is too much to keep in memory, at most " + std::to_string(kMostValues) + " values; " + advice,
                Exit::io);
  require_memory(static_cast<double>(half.size()) * static_cast<double>(features) * sizeof(float), what, advice);
  std::vector<std::pair<std::size_t, Translation>> translations;
  for (std::size_t c = 0; c < columns.size(); ++c)
    if (letters[c] & kCategorical) translations.emplace_back(c, Translation(half.schema.inputs[c], columns[c], place));
  FloatRows rows{static_cast<int>(features), std::vector<float>(half.size() * features)};
  std::vector<float> cells(columns.size());
  for (std::size_t r = 0; r < half.size(); ++r) {
    half.gather(r, 1, cells.data());
    for (auto& [c, translate] : translations) unknown[c] += (cells[c] = translate(cells[c])) == kUnknownLevel;
    encode(columns, cells.data(), rows.values.data() + r * features);
  }
  half.replace_features(std::move(rows));
}

/// Those of an earlier model. Throws Error where the sites' are others.
std::vector<Column> columns_as_before(const Schema& earlier, const std::vector<Column>& now, std::string& letters) {
  const auto fail = [](const std::string& what) -> Error {
    return Error(what + "; a model goes on with the columns that it has, in their order");
  };
  const auto plain = [](const Column& column) { return column.levels.empty() && !column.indicator; };
  if ((now.empty() || earlier.inputs.empty()) && std::ranges::all_of(earlier.inputs, plain) &&
      !any(letters, kCategorical | kIndicator)) {
    letters.assign(earlier.inputs.size(), 0);  // arrays name columns only where gaps are filled in
    return earlier.inputs;
  }
  if (now.size() != earlier.inputs.size())
    throw fail("features are made of " + std::to_string(now.size()) + " columns, and the earlier model's of " +
               std::to_string(earlier.inputs.size()));
  for (std::size_t c = 0; c < now.size(); ++c) {
    const Column& before = earlier.inputs[c];
    if (now[c].name != before.name)
      throw fail("the column '" + now[c].name + "' stands where the earlier model has '" + before.name + "'");
    if ((letters[c] & kCategorical) && before.levels.empty())
      throw fail("column '" + before.name + "' holds text, and the earlier model takes it for a number");
    letters[c] = static_cast<char>((before.levels.empty() ? 0 : kCategorical) | (before.indicator ? kIndicator : 0));
  }
  return earlier.inputs;
}

/// In words: what `rows` of all sites hold that `who` knows not. `own`: the cells of this process's rows, by column.
std::vector<std::string> unknown_levels(Sites& sites, std::size_t held, const std::vector<Column>& columns,
                                        const std::vector<std::uint64_t>& own, const std::string& rows,
                                        const std::string& who) {
  std::vector<std::string> mine(held);  // all of them are in the first
  for (const std::uint64_t count : own) mine[0] += std::to_string(count) + ' ';
  std::vector<std::uint64_t> counts(columns.size(), 0);
  for (const std::string& site : sites.gather(std::move(mine))) {
    std::istringstream numbers(site);
    std::uint64_t count = 0;
    for (std::size_t c = 0; numbers >> count; ++c) counts[c] += count;
  }
  std::vector<std::string> notes;
  for (std::size_t c = 0; c < columns.size(); ++c)
    if (counts[c] > 0)
      notes.push_back(std::to_string(counts[c]) + (counts[c] == 1 ? " cell" : " cells") + " of column '" +
                      columns[c].name + "' in the " + rows + " rows with a value that " + who + ": taken for none");
  return notes;
}

}  // namespace

std::string describe_columns(const TrainTest& data) {
  std::string letters;
  const auto &train = data.train.schema.inputs, &test = data.test.schema.inputs;
  for (std::size_t c = 0; c < train.size(); ++c) {
    const bool levels = !train[c].levels.empty() || (c < test.size() && !test[c].levels.empty());
    letters += static_cast<char>((levels ? kCategorical : 0) | (train[c].indicator ? kIndicator : 0));
  }
  return letters;
}

std::vector<std::string> agree_on_columns(Sites& sites, std::span<TrainTest> held, std::span<const std::string> places,
                                          std::span<const std::string> said, const Schema* earlier) {
  std::string letters = joined(said);
  std::vector<Column> columns;
  if (earlier) columns = columns_as_before(*earlier, held[0].train.schema.inputs, letters);
  if (!any(letters, kCategorical | kIndicator)) {
    if (earlier)
      for (TrainTest& data : held) data.train.schema.inputs = data.test.schema.inputs = columns;
    return {};
  }
  for (std::size_t c = columns.size(); c < letters.size(); ++c)
    columns.push_back({held[0].train.schema.inputs[c].name, {}, (letters[c] & kIndicator) != 0});
  std::vector<std::string> notes;
  if (!earlier && any(letters, kCategorical)) {
    std::vector<std::string> mine;
    sites.together([&] {
      for (std::size_t h = 0; h < held.size(); ++h) mine.push_back(tell_levels(held[h], letters, places[h]));
    });
    notes = join_levels(columns, letters, sites.gather(std::move(mine)));
  }
  const bool named = !held[0].train.schema.columns.empty();
  const std::vector<std::string> names = named ? encoded_names(columns) : std::vector<std::string>();
  std::vector<std::uint64_t> unknown(columns.size(), 0), untrained(columns.size(), 0);
  sites.together([&] {  // memory may be short at one of them
    for (TrainTest& data : held)
      for (Dataset* half : {&data.train, &data.test})
        within_memory("'" + data.source + "'", [&] {
          const bool test = half == &data.test;
          encode_half(*half, columns, letters, (test ? "test rows of '" : "'") + data.source + "'",
                      test ? untrained : unknown);
          half->schema.inputs = columns, half->schema.features = names;
          return 0;
        });
  });
  const std::string who = earlier ? "the earlier model does not know" : "no training row has";
  for (const auto& [cells, rows] : {std::pair{&unknown, "training"}, {&untrained, "test"}})
    for (const std::string& note : unknown_levels(sites, held.size(), columns, *cells, rows, who))
      notes.push_back(note);
  return notes;
}

}  // namespace ecl
