#include "ecl/data/agreement.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <utility>

#include "ecl/base/archive.hpp"
#include "ecl/base/check.hpp"
#include "ecl/base/gzip.hpp"
#include "ecl/base/memory.hpp"
#include "ecl/base/params.hpp"
#include "ecl/base/text_lines.hpp"
#include "ecl/base/text_table.hpp"
#include "ecl/data/agreed_columns.hpp"
#include "ecl/data/datasets/table.hpp"

namespace ecl {
namespace {

constexpr std::size_t kMostClasses = 10'000;
constexpr std::size_t kColumnsAtOnce = std::size_t{1} << 16;  // of sums that travel together

/// What a site says of its table.
struct Description {
  std::string place, source, test_source;
  std::uint64_t features = 0, train = 0, test = 0, groups_to_test = 0;
  std::uint64_t values = 0, rows = 0;
  bool any_features = false, may_be_sparse = false, weighted = false;
  Gaps gaps, test_gaps;
  std::uint64_t ignored_queries = 0;
  std::vector<std::string> columns, feature_names, classes, tested_classes, notes;
  std::string label;
  std::string inputs;  ///< describe_columns()
  ImageShape image;
  int column_count = 0;

  void archive(Archive& archive) {
    archive(place, source, test_source, features, train, test, groups_to_test, values, rows, any_features,
            may_be_sparse, weighted);
    archive(gaps.dropped_rows, gaps.filled_cells, test_gaps.dropped_rows, test_gaps.filled_cells, ignored_queries);
    archive(label, inputs, column_count, image.channels, image.height, image.width);
    for (auto* list : {&columns, &feature_names, &classes, &tested_classes, &notes}) archive.list(*list);
  }
  std::string named() const { return place + (source.empty() ? "" : " ('" + source + "')"); }
  std::string test_named() const {
    return "the test of " + (test_source.empty() ? named() : place + " ('" + test_source + "')");
  }
};

template <class T>
std::string to_bytes(T& value) {
  Archive archive;
  archive(value);
  return archive.bytes();
}

template <class T>
T from_bytes(const std::string& bytes) {
  Archive archive(bytes, "what a site said");
  T value;
  archive(value);
  archive.finish();
  return value;
}

std::vector<Description> describe(Sites& sites, std::span<const TrainTest> held, std::span<const std::string> places) {
  std::vector<std::string> mine;
  for (std::size_t i = 0; i < held.size(); ++i) {
    const TrainTest& data = held[i];
    Description text{.place = places[i],
                     .source = data.source,
                     .test_source = data.test_source,
                     .features = static_cast<std::uint64_t>(data.train.features()),
                     .train = data.train_samples > 0 ? data.train_samples : data.train.size(),
                     .test = data.test.size(),
                     .groups_to_test = data.groups_to_test,
                     .values = data.values,
                     .rows = data.rows,
                     .any_features = data.any_features,
                     .may_be_sparse = data.may_be_sparse,
                     .weighted = !data.train.weights().empty(),
                     .gaps = data.gaps,
                     .test_gaps = data.test_gaps,
                     .ignored_queries = data.ignored_queries,
                     .columns = data.train.schema.columns,
                     .feature_names = data.train.schema.features,
                     .classes = data.train.schema.classes,
                     .tested_classes = data.test.schema.classes,
                     .notes = data.notes,
                     .label = data.train.schema.label,
                     .inputs = describe_columns(data),
                     .image = data.train.image,
                     .column_count = data.train.schema.column_count};
    mine.push_back(to_bytes(text));
  }
  std::vector<Description> all;
  for (const std::string& bytes : sites.gather(std::move(mine))) all.push_back(from_bytes<Description>(bytes));
  return all;
}

bool equal_but_for(const std::vector<std::string>& longer, const std::vector<std::string>& shorter, std::size_t at) {
  return std::equal(longer.begin() + static_cast<std::ptrdiff_t>(at) + 1, longer.end(),
                    shorter.begin() + static_cast<std::ptrdiff_t>(at), shorter.end());
}

/// How two lists of names, of columns or features, differ; empty if they do not.
std::string difference_of(const char* what, const std::vector<std::string>& ours,
                          const std::vector<std::string>& theirs, const std::string& first) {
  const auto at = static_cast<std::size_t>(std::mismatch(ours.begin(), ours.end(), theirs.begin(), theirs.end()).first -
                                           ours.begin());
  if (at == ours.size() && at == theirs.size()) return "";
  const std::string one = std::string(what) + ' ' + std::to_string(at + 1);
  if (at < ours.size() && equal_but_for(ours, theirs, at))
    return one + ", '" + ours[at] + "', is one that " + first + " does not have";
  if (at < theirs.size() && equal_but_for(theirs, ours, at))
    return "lacks " + one + " of " + first + ", '" + theirs[at] + "'";
  return one + " is " + (at < ours.size() ? "'" + ours[at] + "'" : "missing") + ", and that of " + first + " is " +
         (at < theirs.size() ? "'" + theirs[at] + "'" : "missing");
}

std::string size_of(const ImageShape& image) {
  return std::to_string(image.channels) + (image.channels == 1 ? " channel, " : " channels, ") +
         std::to_string(image.height) + " x " + std::to_string(image.width) + " pixels";
}

/// How the columns differ, or which of them are features and label; empty if neither does.
std::string difference(const Description& site, const Description& first) {
  if (site.columns.empty() != first.columns.empty())
    return std::string("has ") + (site.columns.empty() ? "no header" : "a header") + ", and " + first.named() +
           " has " + (site.columns.empty() ? "one" : "none") + " (a header above text alone is known by label=NAME)";
  if (site.columns.empty() && site.features != first.features && !(site.any_features && first.any_features))
    return "has " + std::to_string(site.features) + " features a sample, and " + first.named() + " has " +
           std::to_string(first.features);
  if (const auto ours = size_of(site.image), theirs = size_of(first.image); ours != theirs)
    return "has pictures of " + ours + ", and " + first.named() + " of " + theirs;
  if (site.column_count != first.column_count)
    return "has " + std::to_string(site.column_count) + " columns, and " + first.named() + " has " +
           std::to_string(first.column_count);
  if (const auto what = difference_of("column", site.columns, first.columns, first.named()); !what.empty()) return what;
  if (const auto what = difference_of("feature", site.feature_names, first.feature_names, first.named()); !what.empty())
    return what;
  if (site.label != first.label)
    return "has the label '" + site.label + "', and " + first.named() + " has '" + first.label + "'";
  return "";
}

void refuse_other_columns(const std::vector<Description>& all) {
  for (const Description& site : all)
    if (site.weighted != all[0].weighted)
      throw Error(site.named() + " has " + (site.weighted ? "weights" : "no weights") + " of its samples, and " +
                  all[0].named() + " has " + (site.weighted ? "none" : "some") + "; all sites need them, or none");
  for (const Description& site : all)
    if (const std::string what = difference(site, all[0]); !what.empty())
      throw Error(site.named() + ": " + what + "; all sites need the same " +
                  (all[0].image.channels > 0 ? "shape" : "columns in the same order"));
}

/// The numbers of `names` among the classes of an earlier model: by name, or by value if they have one. `or_none`: 0
/// beside the only label, 1, is none.
NameTable among(const std::vector<std::string>& names, const std::vector<std::string>& classes, bool or_none) {
  NameTable table{classes, {}};
  for (const std::string& name : names) {
    const auto value = cell_value(name);
    const auto same = [&](const std::string& other) { return other == name || (value && cell_value(other) == value); };
    const auto at = std::find_if(classes.begin(), classes.end(), same);
    const bool none = or_none && classes.size() == 1 && value == 0;
    if (at == classes.end() && !none)
      throw Error("the class " + ecl::quoted(name) +
                  " is none of the earlier model's; a model goes on with the classes "
                  "that it has");
    table.numbers.push_back(at == classes.end() ? -1 : static_cast<std::int32_t>(at - classes.begin()));
  }
  return table;
}

/// Two sites' spellings of one class would be two classes. Who has both in one file tells them apart by intention.
void refuse_spellings(const std::vector<Description>& all, const std::vector<std::string>& classes) {
  std::map<std::string, std::vector<std::string>> alike;
  for (const std::string& name : classes) alike[folded(name)].push_back(name);
  const auto has = [](const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
  };
  for (const auto& [letters, names] : alike) {
    if (names.size() < 2) continue;
    std::string says[2];
    bool both = false;
    for (const Description& site : all)
      for (const auto* of : {&site.classes, &site.tested_classes}) {
        both |= has(*of, names[0]) && has(*of, names[1]);
        for (int n : {0, 1})
          if (says[n].empty() && has(*of, names[n])) says[n] = of == &site.classes ? site.named() : site.test_named();
      }
    if (!both)
      throw Error(says[0] + " has the class " + ecl::quoted(names[0]) + ", and " + says[1] + " has " +
                  ecl::quoted(names[1]) +
                  ": two classes whose names differ in case or blanks alone; spell them alike " +
                  "at all sites, or, if they are two, name them apart");
  }
}

/// 0 and 1 at one site and no and yes at another would be four classes.
void refuse_other_codes(const std::vector<Description>& all) {
  const auto is_value = [](const std::string& name) { return cell_value(name).has_value(); };
  std::string numbers, texts;  // who has them alone, the first one
  for (const Description& site : all)
    for (const auto* names : {&site.classes, &site.tested_classes}) {
      if (names->empty()) continue;
      const std::string who = names == &site.classes ? site.named() : site.test_named();
      const std::string labels = ", as " + ecl::quoted(names->front());
      if (numbers.empty() && std::ranges::all_of(*names, is_value)) numbers = who + " has numbers for labels" + labels;
      if (texts.empty() && std::ranges::none_of(*names, is_value)) texts = who + " has texts" + labels;
    }
  if (!numbers.empty() && !texts.empty())
    throw Error(numbers + ", and " + texts + ", which would be other classes; write them alike everywhere");
}

/// Labels that are 0 and 1 alone say whether a row has one label, 1.
void drop_zero(NameTable& labels) {
  if (labels.names.size() != 2 || parse_number(labels.names[0]) != 0 || parse_number(labels.names[1]) != 1) return;
  labels.names.erase(labels.names.begin());
  for (std::int32_t& number : labels.numbers) --number;
}

/// Numbers the classes of `held` by the names that any site has. Returns those that are in test files alone.
std::vector<std::string> agree_on_classes(std::span<TrainTest> held, const std::vector<Description>& all,
                                          const Schema* earlier) {
  std::vector<std::string> trained, names;
  for (const Description& site : all) {
    trained.insert(trained.end(), site.classes.begin(), site.classes.end());
    names.insert(names.end(), site.tested_classes.begin(), site.tested_classes.end());
  }
  names.insert(names.end(), trained.begin(), trained.end());
  if (names.empty()) return {};  // the format says what the classes are
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const bool labels = held[0].train.multi_label();
  NameTable classes = earlier ? among(names, earlier->classes, labels) : tabulate(names);
  if (labels && all[0].any_features && !earlier) drop_zero(classes);
  if (labels && !all[0].any_features && classes.names.size() > names.size())
    throw Error("the labels are " + std::to_string(names.size()) + " columns, and the earlier model's " +
                std::to_string(classes.names.size()) + "; a model goes on with all of its labels");
  if (!earlier) refuse_spellings(all, classes.names), refuse_other_codes(all);
  const std::size_t count = classes.names.size();
  const std::string where = all.size() == 1 ? "'" + all[0].source + "': " : "";
  if (count < 2 && !labels)
    throw Error(where + "every sample" + (all.size() == 1 ? "" : " of all sites") + " has the same label, " +
                    ecl::quoted(names[0]) + ", and there is nothing to tell apart; is it the right label column?",
                Exit::io);
  if (count > kMostClasses)
    throw Error(where + "the labels have " + std::to_string(count) + " different values, more than " +
                    std::to_string(kMostClasses) + "; a label must be one of a few classes",
                Exit::io);
  const auto number = [&](const std::string& name) {
    return classes.numbers[std::lower_bound(names.begin(), names.end(), name) - names.begin()];
  };
  for (TrainTest& data : held)
    for (Dataset* half : {&data.train, &data.test}) {
      std::vector<std::int32_t> number_of;
      for (const std::string& name : half->schema.classes) number_of.push_back(number(name));
      half->relabel(number_of, static_cast<int>(count));
      half->schema.classes = classes.names;
    }
  std::vector<bool> seen(count, false);
  for (const std::string& name : trained)
    if (number(name) >= 0) seen[number(name)] = true;
  std::vector<std::string> only_tested;
  for (std::size_t c = 0; c < count && !earlier; ++c)
    if (!seen[c]) only_tested.push_back(classes.names[c]);
  return only_tested;
}

/// Where the number of features is but the largest index seen, all get the same number; and sparse rows, or none do.
void agree_on_features(Sites& sites, std::span<TrainTest> held, const std::vector<Description>& all) {
  std::uint64_t features = 0, values = 0, rows = 0;
  bool sparse = true;
  for (const Description& site : all) {
    features = std::max(features, site.features);
    values += site.values, rows += site.rows;
    sparse &= site.may_be_sparse;
  }
  sparse &= is_sparse(values, rows, static_cast<std::int64_t>(features));
  sites.together([&] {  // memory may be short at one of them
    for (TrainTest& data : held) {
      if (!data.any_features) continue;
      within_memory("'" + data.source + "'", [&] {
        for (Dataset* half : {&data.train, &data.test}) {
          half->widen(static_cast<int>(features));
          sparse ? half->make_sparse() : half->make_dense();
        }
        return 0;
      });
      if (sparse) data.scaling = Scaling::none;
    }
  });
}

/// Before names are told: a column of other things, taken for the label by mistake, stays where it is.
void refuse_many_classes(std::span<const TrainTest> held, std::span<const std::string> places) {
  for (std::size_t i = 0; i < held.size(); ++i)
    for (const Dataset* half : {&held[i].train, &held[i].test})
      if (const std::size_t count = half->schema.classes.size(); count > kMostClasses)
        throw Error(places[i] + " ('" + held[i].source + "'): the labels have " + std::to_string(count) +
                        " different values, more than " + std::to_string(kMostClasses) +
                        "; a label must be one of a few classes: name its column",
                    Exit::io);
}

/// Sums over each column: `add(row, sums)` for every training row of a site, added over the sites in their order.
template <class Add>
std::vector<double> sum_over_sites(Sites& sites, std::span<const SiteRows> held, std::size_t features, Add add) {
  std::vector<std::vector<double>> own;
  for (const SiteRows& site : held) {
    std::vector<double>& sums = own.emplace_back(features, 0.0);
    std::vector<float> row(features);
    for (const std::int32_t at : site.rows) {
      site.data->gather({&at, 1}, row.data());
      add(row, sums);
    }
  }
  std::vector<double> total(features, 0.0);
  for (std::size_t first = 0; first < features; first += kColumnsAtOnce) {
    const std::size_t count = std::min(kColumnsAtOnce, features - first);
    std::vector<std::string> mine;
    for (const auto& sums : own)
      mine.emplace_back(reinterpret_cast<const char*>(sums.data() + first), count * sizeof(double));
    for (const std::string& bytes : sites.gather(std::move(mine)))
      for (std::size_t f = 0; f < count; ++f) {
        double value = 0;
        std::memcpy(&value, bytes.data() + f * sizeof value, sizeof value);
        total[first + f] += value;
      }
  }
  return total;
}

std::string no_number(const Dataset& data, std::ptrdiff_t feature) {
  const auto& names = data.schema.features;
  return "feature " + (names.empty() ? std::to_string(feature + 1) : ecl::quoted(names[feature])) +
         " holds an infinity or NaN at some site; leave out such rows, or fill them in";
}

/// scale.deviation: from the sums of squared distances over so many samples.
void deviations_of_squares(Scale& scale, double samples) {
  for (std::size_t f = 0; f < scale.mean.size(); ++f) {
    const double deviation = std::sqrt(scale.deviation[f] / samples);
    // Below this the differences are rounding errors of the mean, not data.
    scale.deviation[f] = deviation > 1e-9 * std::abs(scale.mean[f]) ? deviation : 1.0;
  }
}

bool fills_gaps(const Dataset& data) {
  return data.schema.missing == Missing::mean || data.schema.missing == Missing::indicator;
}

/// agree_on_scale() where values are missing: the mean of those that are there takes their place.
/// `with_deviation`: else it stays empty, and nothing is told of it.
Scale scale_with_gaps(Sites& sites, std::span<const SiteRows> held, std::size_t features, double samples,
                      bool with_deviation = true) {
  /// Sums term(value, feature) over the values that are there.
  const auto sum = [&](auto term) {
    return sum_over_sites(sites, held, features, [&](const std::vector<float>& row, std::vector<double>& sums) {
      for (std::size_t f = 0; f < row.size(); ++f)
        if (!std::isnan(row[f])) sums[f] += term(row[f], f);
    });
  };
  Scale scale;
  scale.mean = sum([](float value, std::size_t) { return value; });
  const std::vector<double> counts = sum([](float, std::size_t) { return 1.0; });
  for (std::size_t f = 0; f < features; ++f) scale.mean[f] = counts[f] > 0 ? scale.mean[f] / counts[f] : 0;
  scale.fill = scale.mean;
  if (!with_deviation) return scale;
  scale.deviation = sum([&](float value, std::size_t f) { return std::pow(value - scale.mean[f], 2); });
  deviations_of_squares(scale, samples);
  return scale;
}

/// The scaling of an earlier run: its model/model.json.
Scale read_scale(const std::string& path, const Dataset& data) {
  const Bytes text = read_file(path, "standardise=FILE names the model/model.json of an earlier run");
  const auto json = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  const auto fail = [&](const std::string& what) -> Error {
    return Error("'" + path + "' " + what + "; standardise=FILE names the model/model.json of an earlier run");
  };
  Scale scale;
  try {
    scale = {json.at("mean").get<std::vector<double>>(), json.at("deviation").get<std::vector<double>>()};
    const auto names = json.at("features").get<std::vector<std::string>>();
    const auto differs =
        std::mismatch(names.begin(), names.end(), data.schema.features.begin(), data.schema.features.end());
    if (!names.empty() && !data.schema.features.empty() && names != data.schema.features)
      throw fail("is of other features: " + (differs.first != names.end() ? ecl::quoted(*differs.first) : "one fewer") +
                 " where the data have " +
                 (differs.second != data.schema.features.end() ? ecl::quoted(*differs.second) : "no more"));
  } catch (const nlohmann::json::exception&) {
    throw fail("holds no table of means and deviations");
  }
  const auto usable = [](const std::vector<double>& values, bool positive) {
    return std::all_of(values.begin(), values.end(),
                       [&](double value) { return std::isfinite(value) && (!positive || value > 0); });
  };
  if (scale.mean.size() != static_cast<std::size_t>(data.features()) || scale.deviation.size() != scale.mean.size())
    throw fail("has means of " + std::to_string(scale.mean.size()) + " features, and the data have " +
               std::to_string(data.features()));
  if (!usable(scale.mean, false) || !usable(scale.deviation, true)) throw fail("holds a value that cannot be used");
  if (fills_gaps(data)) scale.fill = scale.mean;
  return scale;
}

/// Of each site's sum, over the sites.
double sum_over_sites(Sites& sites, const std::vector<double>& own) {
  std::vector<std::string> mine;
  for (double value : own) mine.push_back(to_bytes(value));
  double total = 0;
  for (const std::string& bytes : sites.gather(std::move(mine))) total += from_bytes<double>(bytes);
  return total;
}

}  // namespace

void agree_on_settings(Sites& sites, const std::string& place, const std::string& settings) {
  struct Start {
    std::string place, settings;
    void archive(Archive& archive) { archive(place, settings); }
  } mine{place, settings};
  std::optional<Start> first;
  for (const std::string& bytes : sites.gather({to_bytes(mine)})) {
    const Start start = from_bytes<Start>(bytes);
    if (!first) first = start;
    if (start.settings == first->settings) continue;
    const auto ours = split(start.settings, '\n'), theirs = split(first->settings, '\n');
    const auto [here, there] = std::mismatch(ours.begin(), ours.end(), theirs.begin(), theirs.end());
    const auto said = [](auto line, auto end) { return line == end ? "without it" : "with '" + *line + "'"; };
    const bool other_data = here != ours.end() && here->starts_with("data = ");
    throw Error(start.place + " was started " + said(here, ours.end()) + " and " + first->place + " " +
                said(there, theirs.end()) +
                (other_data ? "; if each has data of its own, name them with {node} in --data, or say --partition own"
                            : "; start all with the same options and the same build of ecl"));
  }
}

SiteSizes agree_on_tables(Sites& sites, std::span<TrainTest> held, std::span<const std::string> places,
                          const Schema* earlier) {
  sites.together([&] { refuse_many_classes(held, places); });
  const std::vector<Description> all = describe(sites, held, places);
  refuse_other_columns(all);
  SiteSizes sizes;
  sizes.only_tested = agree_on_classes(held, all, earlier);
  agree_on_features(sites, held, all);
  std::vector<std::string> columns;
  for (const Description& site : all) columns.push_back(site.inputs);
  sizes.notes_of_all = agree_on_columns(sites, held, places, columns, earlier);
  for (const Description& site : all) {
    sizes.gaps.push_back(site.gaps), sizes.test_gaps.push_back(site.test_gaps);
    sizes.ignored_queries += site.ignored_queries;
    sizes.notes.push_back(site.notes);
    sizes.train.push_back(site.train), sizes.test.push_back(site.test);
    sizes.groups_to_test.push_back(site.groups_to_test);
  }
  if (std::all_of(sizes.test.begin(), sizes.test.end(), [](std::size_t rows) { return rows == 0; }))
    throw Error(
        "no site has a sample to test on: they are too small for the test draw; name test samples with --test, "
        "or let the draw take more with the data set's test=0.5");
  return sizes;
}

Scale agree_on_scale(Sites& sites, std::span<const SiteRows> held) {
  const auto features = static_cast<std::size_t>(held[0].data->features());
  std::vector<std::string> counts;
  for (const SiteRows& site : held) counts.push_back(std::to_string(site.rows.size()));
  double samples = 0;
  for (const std::string& count : sites.gather(std::move(counts))) samples += std::stod(count);

  if (fills_gaps(*held[0].data)) return scale_with_gaps(sites, held, features, samples);
  Scale scale;
  scale.mean = sum_over_sites(sites, held, features, [](const std::vector<float>& row, std::vector<double>& sums) {
    for (std::size_t f = 0; f < row.size(); ++f) sums[f] += row[f];
  });
  for (double& value : scale.mean) value /= samples;
  const auto broken =
      std::find_if(scale.mean.begin(), scale.mean.end(), [](double mean) { return !std::isfinite(mean); });
  if (broken != scale.mean.end()) throw Error(no_number(*held[0].data, broken - scale.mean.begin()), Exit::io);
  scale.deviation =
      sum_over_sites(sites, held, features, [&](const std::vector<float>& row, std::vector<double>& sums) {
        for (std::size_t f = 0; f < row.size(); ++f) {
          const double distance = row[f] - scale.mean[f];
          sums[f] += distance * distance;
        }
      });
  deviations_of_squares(scale, samples);
  return scale;
}

/// Of a site's own rows.
static Scale scale_of(const TrainTest& data) {
  LocalSites alone;
  const std::vector<std::int32_t> rows = all_rows(data.train.size());
  const SiteRows site{&data.train, rows};
  try {
    return agree_on_scale(alone, {&site, 1});
  } catch (const Error& error) {
    throw Error("'" + data.source + "': " + error.what(), error.code());
  }
}

void agree_on_copies(Sites& sites, std::span<const std::string> places, const std::string& what,
                     const std::string& mine) {
  std::vector<std::string> said;
  for (const std::string& place : places) {
    Archive archive;
    std::string where = place, content = mine;
    archive(where, content);
    said.push_back(archive.bytes());
  }
  std::optional<std::string> first, first_place;
  for (const std::string& bytes : sites.gather(std::move(said))) {
    Archive archive(bytes, "what a site said");
    std::string place, content;
    archive(place, content);
    if (!first) first = content, first_place = place;
    if (content != *first)
      throw Error(place + " reads " + what + " that differ from those of " + *first_place +
                  "; all need the same file, or each its own: --data with {node} in it");
  }
}

std::vector<Scale> scale_features(Sites& sites, std::span<TrainTest> held, std::span<const SiteRows> rows) {
  std::vector<Scale> scales(1);
  const Scaling scaling = held[0].scaling;
  const bool only_fill = scaling == Scaling::none && fills_gaps(held[0].train);
  if (scaling == Scaling::none && !only_fill) return scales;
  if (scaling == Scaling::all) scales[0] = agree_on_scale(sites, rows);
  if (only_fill) {
    scales[0] = scale_with_gaps(sites, rows, static_cast<std::size_t>(held[0].train.features()), 0, false);
    scales[0].mean.clear();
  }
  sites.together([&] {
    if (scaling == Scaling::table) scales[0] = read_scale(held[0].scaling_table, held[0].train);
    if (scaling == Scaling::own) scales.clear();
    for (TrainTest& data : held) {
      if (scaling == Scaling::own) scales.push_back(scale_of(data));
      data.train.scale(scales.back()), data.test.scale(scales.back());
      data.scaling = Scaling::none;
    }
  });
  return scales;
}

TargetScale scale_targets(Sites& sites, std::span<TrainTest> held, std::span<const SiteRows> rows) {
  /// Sum over all sites, one after the other.
  const auto sum = [&](auto term) {
    std::vector<double> sums;
    for (const SiteRows& site : rows) {
      double& own = sums.emplace_back(0);
      for (const std::int32_t row : site.rows) own += term(site.data->targets()[row]);
    }
    return sum_over_sites(sites, sums);
  };
  const double samples = sum([](float) { return 1.0; });
  TargetScale scale;
  scale.mean = sum([](float y) { return y; }) / samples;
  scale.deviation = std::sqrt(sum([&](float y) { return (y - scale.mean) * (y - scale.mean); }) / samples);
  if (!(scale.deviation > 1e-9 * std::abs(scale.mean)))
    throw Error("the label is the same number in every training row: there is nothing to learn; name another column",
                Exit::io);
  for (TrainTest& data : held) data.train.scale_targets(scale), data.test.scale_targets(scale);
  return scale;
}

void scale_weights(Sites& sites, std::span<TrainTest> held, std::span<const SiteRows> rows) {
  if (held[0].train.weights().empty()) return;
  std::vector<double> weights, counts, tested;
  for (const SiteRows& site : rows) {
    double& own = weights.emplace_back(0);
    for (const std::int32_t row : site.rows) own += site.data->weights()[row];
    counts.push_back(static_cast<double>(site.rows.size()));
  }
  for (const TrainTest& data : held) tested.push_back(data.test.total_weight());
  const double weight = sum_over_sites(sites, weights), count = sum_over_sites(sites, counts);
  for (const auto& [sum, which] : {std::pair{weight, "training"}, {sum_over_sites(sites, tested), "test"}})
    if (!(sum > 0))
      throw Error(std::string("all ") + which +
                  " rows have the weight 0: nothing counts; is it the right column? Which rows are drawn for the "
                  "test --seed says, and how many test=");
  for (TrainTest& data : held) data.train.scale_weights(count / weight);
}

}  // namespace ecl
