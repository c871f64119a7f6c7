#include "ecl/data/datasets/table.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>

#include "ecl/base/check.hpp"
#include "ecl/base/memory.hpp"
#include "ecl/base/npy.hpp"
#include "ecl/base/random.hpp"
#include "ecl/base/text_table.hpp"

namespace ecl {

namespace fs = std::filesystem;

namespace {

bool ends_as(const std::string& name, const std::string& ending) {
  return name.ends_with(ending) || name.ends_with(ending + ".gz");
}

/// Some of 0 .. count-1: at least `least`, never all.
std::vector<std::int32_t> draw(std::size_t count, double fraction, std::size_t least, Random random) {
  std::vector<std::int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  shuffle(order, random);
  const auto wanted = static_cast<std::size_t>(std::llround(fraction * static_cast<double>(count)));
  order.resize(std::min(std::max(wanted, least), count - 1));
  return order;
}

/// Which of `names`, that came in any order, is the first by its spelling, the second ...
std::vector<std::int32_t> numbers_by_name(const std::vector<std::string>& names) {
  std::vector<std::int32_t> order(names.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return names[a] < names[b]; });
  return order;
}

/// The numbering by that order.
std::vector<std::int32_t> ranks_of(const std::vector<std::string>& names) {
  const std::vector<std::int32_t> order = numbers_by_name(names);
  std::vector<std::int32_t> rank(names.size());
  for (std::size_t r = 0; r < order.size(); ++r) rank[order[r]] = static_cast<std::int32_t>(r);
  return rank;
}

template <class T>
std::vector<T> picked(const std::vector<T>& values, const std::vector<std::int32_t>& rows) {
  std::vector<T> result;
  result.reserve(rows.size());
  for (const std::int32_t row : rows) result.push_back(values[row]);
  return result;
}

/// number_of[numbers[row]] of each row; 0 where there are no names to number.
std::vector<std::int32_t> numbered(const std::vector<std::int32_t>& numbers, const std::vector<std::int32_t>& rows,
                                   const std::vector<std::int32_t>& number_of) {
  std::vector<std::int32_t> result;
  result.reserve(rows.size());
  for (const std::int32_t row : rows) result.push_back(number_of.empty() ? 0 : number_of[numbers[row]]);
  return result;
}

/// What the index says of `rows`, but for their classes, into `data`, whose samples they are. `number_of`: of the
/// index's labels.
void add_targets(Dataset& data, const TableIndex& index, const std::vector<std::int32_t>& rows,
                 const std::vector<std::int32_t>& number_of) {
  if (!index.weights.empty()) data.set_weights(picked(index.weights, rows));
  if (!index.targets.empty()) data.set_targets(picked(index.targets, rows));
  if (!index.sets) return;
  const auto& [ends, numbers] = *index.sets;
  const auto labels = static_cast<std::size_t>(data.classes());
  require_memory(static_cast<double>(rows.size() * labels) * sizeof(float),
                 std::to_string(labels) + " labels of " + std::to_string(rows.size()) + " rows", "leave some out");
  std::vector<float> present(rows.size() * labels, 0.0f);
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::size_t at = rows[r] == 0 ? 0 : ends[rows[r] - 1]; at < ends[rows[r]]; ++at)
      present[r * labels + number_of[numbers[at]]] = 1;
  data.set_multi_label(std::move(present));
}

}  // namespace

void require_regular(const std::string& path) {
  std::error_code failed;
  if (fs::exists(path, failed) && !fs::is_regular_file(path, failed) && !fs::is_directory(path, failed))
    throw Error("'" + path + "' is no regular file; a table is read twice: write it to a file first");
}

std::string find_table(const DatasetRequest& request, const std::string& dataset,
                       std::span<const std::string> endings) {
  const std::string& path = request.data;
  if (path.empty()) throw Error("dataset " + dataset + ": no file is given; name it with --data FILE");
  std::error_code failed;
  if (!fs::is_directory(path, failed)) {
    require_regular(path);
    return path;
  }
  std::vector<std::string> found;
  for (fs::directory_iterator at(path, failed), end; !failed && at != end; at.increment(failed)) {
    const std::string name = at->path().filename().string();
    if (std::any_of(endings.begin(), endings.end(), [&](const std::string& e) { return ends_as(name, e); }))
      found.push_back(at->path().string());
  }
  if (failed) throw Error("cannot read the directory '" + path + "': " + failed.message(), Exit::io);
  if (found.size() == 1) return found[0];
  std::sort(found.begin(), found.end());
  throw Error("the directory '" + path + "' holds " +
              (found.empty() ? "no " : std::to_string(found.size()) + " files ending in ") + endings[0] + "[.gz]" +
              (found.empty() ? " file" : " ('" + found[0] + "', '" + found[1] + "' ...)") +
              "; name the file itself with --data");
}

void refuse_files(const DatasetRequest& request, const std::string& dataset) {
  for (const auto& [option, path] : {std::pair{"--data ", request.data}, std::pair{"--test ", request.test}})
    if (!path.empty())
      throw Error("dataset " + dataset + " reads no file; leave out " + option + path +
                  ", or name the data set that the file is of: --dataset csv, libsvm, ...");
}

std::int32_t Names::add(std::string_view name) {
  if (const auto found = numbers_.find(name); found != numbers_.end()) return found->second;
  const auto number = static_cast<std::int32_t>(names_.size());
  numbers_.emplace(name, number);
  names_.emplace_back(name);
  return number;
}

void TableIndex::add_row(std::int32_t label, const TextLines& lines) {
  constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max();
  if (labels.size() == kMost) lines.fail(lines.line(), "a table has " + std::to_string(kMost) + " rows at most");
  labels.push_back(label);
}

void TableIndex::add_label(std::string_view label, const TextLines& lines, bool numbers) {
  add_row(numbers ? 0 : label_names.add(label), lines);
  if (numbers) targets.push_back(lines.number(label));
}

void TableIndex::add_set(std::span<const std::int32_t> numbers, const TextLines& lines) {
  if (!sets) sets.emplace();
  add_row(0, lines);
  sets->numbers.insert(sets->numbers.end(), numbers.begin(), numbers.end());
  sets->ends.push_back(sets->numbers.size());
}

float read_weight(std::string_view cell, const TextLines& lines) {
  if (is_missing(cell)) lines.fail(cell, "a weight is missing; leave the row out, or say 0");
  const float weight = lines.number(cell);
  if (weight < 0) lines.fail(cell, "the weight " + quoted(cell) + " is below 0");
  return weight;
}

bool read_binary(std::string_view cell, const TextLines& lines) {
  const auto value = cell_value(cell);
  if (value && (*value == 0 || *value == 1)) return *value == 1;
  std::string word(cell);
  std::ranges::transform(word, word.begin(), [](unsigned char letter) { return std::tolower(letter); });
  if (word == "yes" || word == "no") return word == "yes";
  lines.fail(cell, quoted(cell) +
                       " is not 0 or 1, false or true, no or yes, as --loss logistic wants the labels; "
                       "classes of other names are learnt by --loss cross-entropy");
}

NameTable tabulate(const std::vector<std::string>& names) {
  constexpr double kExact = 9007199254740992;  // beyond it numbers that differ are the same double: codes
  const bool by_value = std::all_of(names.begin(), names.end(), [](const auto& name) {
    const std::optional<double> value = cell_value(name);
    return value && std::abs(*value) <= kExact;
  });
  std::vector<std::pair<double, std::string>> keys;
  for (const std::string& name : names) keys.emplace_back(by_value ? *cell_value(name) : 0.0, name);
  auto distinct = keys;
  std::sort(distinct.begin(), distinct.end());
  const auto same = [&](const auto& a, const auto& b) { return by_value ? a.first == b.first : a.second == b.second; };
  distinct.erase(std::unique(distinct.begin(), distinct.end(), same), distinct.end());
  NameTable table;
  for (const auto& [value, name] : distinct) table.names.push_back(name);
  const auto before = [&](const auto& a, const auto& b) { return by_value ? a.first < b.first : a.second < b.second; };
  for (const auto& key : keys)
    table.numbers.push_back(
        static_cast<std::int32_t>(std::lower_bound(distinct.begin(), distinct.end(), key, before) - distinct.begin()));
  return table;
}

LabelKind read_label_kind(Params& params, const DatasetRequest& request) {
  const std::string kind =
      params.text("label-kind", "",
                  "number: to be predicted, as --loss mse says too; class: classes, even if they look like a quantity");
  if (kind.empty()) return request.labels;
  if (kind != "class" && kind != "number")
    throw Error("dataset parameter label-kind is '" + kind + "'; it is class or number");
  const LabelKind wanted = kind == "class" ? LabelKind::classes : LabelKind::numbers;
  if (request.labels != LabelKind::any && request.labels != wanted)
    throw Error("label-kind=" + kind +
                " and --loss contradict each other: cross-entropy is of classes, logistic of labels "
                "that are 0 or 1, mse, mae and huber are of numbers");
  return wanted;
}

void refuse_quantities(const TableIndex& index, const std::string& path) {
  constexpr std::size_t kFew = 20;
  const auto& names = index.label_names.all();
  bool whole = true;
  for (const std::string& name : names) {
    const auto value = parse_number(name);
    if (!value) return;
    whole &= *value == std::floor(*value);
  }
  const std::size_t values = tabulate(names).names.size(), rows = index.labels.size();
  const std::size_t alike = whole ? 2 : 10;  // rows to a value that make it a class: many classes have whole numbers
  if (values <= kFew || values * alike <= rows) return;
  throw Error(
      "'" + path + "': the labels, " + std::to_string(values) + " different numbers in " + std::to_string(rows) +
      " rows, look like a quantity: label-kind=number, or --loss mse, learns to predict it; name another column, or "
      "say label-kind=class if they are classes");
}

std::string read_groups_path(Params& params) {
  return params.text(
      "groups", "",
      "text file with the name of each row's group, one a line: for by-column:group; {node} in it is each "
      "site's");
}

void add_groups(const std::string& path, const std::string& table, const DatasetRequest& request, TableIndex& index) {
  if (path.empty()) return;
  TextLines lines(path, request.open(path, "groups= names a text file with the name of each row's group, one a line"));
  while (lines.next()) {
    std::string_view rest = lines.line();
    const std::size_t first = std::min(rest.find_first_not_of(" \t"), rest.size());
    const std::string_view name = rest.substr(first, rest.find_last_not_of(" \t\r") + 1 - first);
    if (is_missing(name)) lines.fail(name, "the group is missing");
    lines.require_utf8(name);
    index.groups.push_back(index.group_names.add(name));
  }
  if (index.groups.size() != index.labels.size())
    throw Error("'" + path + "' names the groups of " + std::to_string(index.groups.size()) +
                    " rows, a line each, and '" + table + "' has " + std::to_string(index.labels.size()) +
                    "; both need the same, in the same order",
                Exit::io);
}

void name_groups(const std::string& path, const std::string& table, const DatasetRequest& request, Dataset& labels) {
  if (path.empty()) return;
  TableIndex index;
  index.labels = labels.labels();
  add_groups(path, table, request, index);
  labels.columns[kGroup] = groups_of(index, all_rows(labels.size()));
}

TestDraw read_test_draw(Params& params, const DatasetRequest& request, bool grouped) {
  const std::string by = params.text("test-by", "",
                                     "group: whole groups for the test; row: any rows. Default: group "
                                     "where there is one");
  if (!by.empty() && by != "group" && by != "row")
    throw Error("dataset parameter test-by is '" + by + "'; it is group or row");
  if (by == "group" && !grouped)
    throw Error("test-by=group needs a group column: add group=COLUMN, or a file of groups, groups=FILE");
  const bool given = params.given("test");
  if (!request.store.empty() && (given || params.given("test-by")))
    throw Error("which rows are for the test is said when a model is trained: --dataset npy:test=...");
  if (given && !request.test.empty())
    throw Error("the data set's test=... and --test " + request.test + " both name the test samples; give one");
  return {params.number("test", 0.2, 0.001, 0.9, "fraction of the samples for the test, without --test"),
          grouped && by != "row"};
}

/// Between 0 and 1, by the seed and the name alone: the same wherever a group is known. 7 and 007 are one name.
static double place_of_group(const std::string& name, std::uint64_t seed) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const unsigned char letter : level_name(std::string_view(name))) hash = (hash ^ letter) * 0x100000001b3;
  return Random(seed, Purpose::dataset, hash).uniform();
}

/// Of each group of a site whether it goes to the test: those whose place is below `fraction`, so that who is known at
/// two sites is tested on at both, or at none. Of several groups one at least is on each side, whatever its place.
static std::vector<bool> draw_groups(const std::vector<std::string>& names, double fraction, std::uint64_t seed) {
  std::vector<double> places;
  for (const std::string& name : names) places.push_back(place_of_group(name, seed));
  const auto [first, last] = std::ranges::minmax_element(places);
  std::vector<bool> tested;
  for (const double& place : places)
    tested.push_back(names.size() > 1 && (place < fraction || &place == &*first) && &place != &*last);
  return tested;
}

RowSplit draw_test(const TableIndex& index, const TestDraw& test, const DatasetRequest& request,
                   const std::string& path) {
  const std::size_t rows = index.labels.size(), least = request.site ? 0 : 1;
  if (rows <= least || rows > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
    throw Error("'" + path + "' has " + std::to_string(rows) + " samples; training and test need at least one each",
                Exit::io);
  const std::size_t units = test.by_group ? index.group_names.all().size() : rows;
  if (units <= least)
    throw Error("'" + path +
                "' has one group, which cannot be both for training and for the test; draw the test rows "
                "from any group with test-by=row, or name them with --test");
  std::vector<bool> tested(units, false);
  if (test.by_group && request.site) {
    tested = draw_groups(index.group_names.all(), test.fraction, request.seed);
  } else {
    const std::vector<std::int32_t> order =  // groups by their names: the draw does not depend on that of the rows
        test.by_group ? numbers_by_name(index.group_names.all()) : std::vector<std::int32_t>();
    for (const std::int32_t unit :
         draw(units, test.fraction, least, Random(request.seed, Purpose::dataset, request.site.value_or(0))))
      tested[test.by_group ? order[unit] : unit] = true;
  }
  RowSplit split;
  if (test.by_group) split.groups_to_test = static_cast<std::size_t>(std::ranges::count(tested, true));
  for (std::size_t row = 0; row < rows; ++row)
    (tested[test.by_group ? static_cast<std::size_t>(index.groups[row]) : row] ? split.test : split.train)
        .push_back(static_cast<std::int32_t>(row));
  return split;
}

std::vector<std::int32_t> groups_of(const TableIndex& index, const std::vector<std::int32_t>& rows) {
  return numbered(index.groups, rows, tabulate(index.group_names.all()).numbers);
}

TablePlan plan_rows(const TableIndex& index, RowSplit split, const DatasetRequest& request,
                    const std::string& group_column) {
  TablePlan plan{.train = std::move(split.train),
                 .test = std::move(split.test),
                 .kept = {},
                 .train_samples = 0,
                 .groups_to_test = split.groups_to_test};
  plan.train_samples = plan.train.size();
  if (!request.deal) return plan;
  const NameTable classes = tabulate(index.label_names.all());
  Dataset labels(0, static_cast<int>(classes.names.size()), std::vector<float>(),
                 index.sets ? std::vector<std::int32_t>(plan.train.size(), 0)
                            : numbered(index.labels, plan.train, classes.numbers));
  add_targets(labels, index, plan.train, classes.numbers);
  if (!index.groups.empty()) labels.columns[group_column] = groups_of(index, plan.train);
  plan.kept = request.deal(labels);
  std::vector<std::int32_t> rows;
  rows.reserve(plan.kept.size());
  for (const std::int32_t number : plan.kept) rows.push_back(plan.train[number]);
  plan.train = std::move(rows);
  return plan;
}

/// Where two names lead to the same file.
static bool tests_on_training_rows(const DatasetRequest& request) {
  std::error_code unknown;
  return !request.test.empty() && fs::equivalent(request.data, request.test, unknown);
}

void note_plan(TrainTest& data, TablePlan plan, const TableIndex& index, const DatasetRequest& request) {
  if (tests_on_training_rows(request))
    data.notes.emplace_back(
        "--test names the rows of --data: the scores are of rows that the model was trained on; leave --test out, and "
        "a part of the rows is kept for the test");
  data.train_samples = plan.train_samples;
  data.groups_to_test = plan.groups_to_test;
  data.dealt = static_cast<bool>(request.deal);
  if (!request.store.empty()) data.groups = tabulate(index.group_names.all()).names;
  if (data.dealt) data.train.number_samples(std::move(plan.kept));
}

Dataset make_half(const TableIndex& index, const std::vector<std::int32_t>& rows, Rows stored,
                  const std::string& group_column) {
  const auto& names = index.label_names.all();
  const std::vector<std::int32_t> ranks = ranks_of(names);
  Dataset half(static_cast<int>(names.size()), std::move(stored),
               index.sets ? std::vector<std::int32_t>(rows.size(), 0) : numbered(index.labels, rows, ranks));
  add_targets(half, index, rows, ranks);
  half.schema.classes = names;
  std::sort(half.schema.classes.begin(), half.schema.classes.end());
  if (!index.groups.empty()) half.columns[group_column] = groups_of(index, rows);
  return half;
}

RowStore::RowStore(std::size_t rows, std::size_t features, const std::string& folder, const std::string& what)
    : what_(what), rows_(rows), features_(static_cast<int>(features)) {
  const std::uint64_t count = static_cast<std::uint64_t>(rows) * features;
  if (!folder.empty()) {
    path_ = folder + "/features.npy";
    file_ = std::make_unique<AtomicFile>(path_);
    file_->write(npy_header("<f4", std::array{rows, features}));
    values_.reserve(kBuffer);
    return;
  }
  const std::string named = what + " as " + std::to_string(rows) + " rows of " + std::to_string(features) + " numbers";
  if (count > kMostValues)
    throw Error(named + " is too much to keep in memory, at most " + std::to_string(kMostValues) +
                    " values; ecl convert makes a file of them that is not read into it",
                Exit::io);
  require_memory(static_cast<double>(count) * sizeof(float), named,
                 "leave out columns or rows, or make a file that is not read into memory with ecl convert");
  values_.reserve(count);
}

void RowStore::flush() {
  written_ += values_.size();
  file_->write({reinterpret_cast<const char*>(values_.data()), values_.size() * sizeof(float)});
  values_.clear();
}

Rows RowStore::finish() {
  written_ += values_.size();
  if (written_ != static_cast<std::uint64_t>(rows_) * features_)
    throw Error(what_ + " has changed while it was read; read it again", Exit::io);
  if (!file_) return FloatRows{features_, std::move(values_)};
  written_ -= values_.size();
  flush();
  file_->finish();
  return map_rows(path_);
}

MappedRows map_rows(const std::string& path) {
  const NpyArray array = open_npy(path);
  if (array.type != "<f4" || array.shape.size() != 2)
    throw Error("'" + path + "' holds " + std::to_string(array.shape.size()) + "-dimensional values of type '" +
                    array.type + "'; a row of features for each sample is wanted: .astype('float32'), .reshape(n, -1)",
                Exit::io);
  if (array.offset % alignof(float) != 0)
    throw Error("'" + path + "' has data at byte " + std::to_string(array.offset) + ", which is no multiple of 4; " +
                    "numpy.save writes it anew",
                Exit::io);
  constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max();
  if (array.shape[0] > kMost || array.shape[1] > kMost || array.shape[1] == 0)
    throw Error("'" + path + "' has " + std::to_string(array.shape[0]) + " rows of " + std::to_string(array.shape[1]) +
                    " features; at least one feature, and at most 2^31 - 1 of each are wanted",
                Exit::io);
  MappedRows rows;
  rows.features = static_cast<int>(array.shape[1]);
  rows.file = array.file;
  rows.offset = array.offset;
  rows.rows = all_rows(array.shape[0]);
  return rows;
}

void read_scaling(Params& params, const DatasetRequest& request, TrainTest& data) {
  const std::string text =
      params.text("standardise", "1",
                  "1: features to mean 0, deviation 1 over all sites; own: over each site's; 0: as they are; "
                  "FILE: as the model/model.json of an earlier run says");
  if (!request.store.empty() && params.given("standardise"))
    throw Error("how features are scaled is said when a model is trained: --dataset npy:standardise=...");
  if (text == "0") return;
  data.scaling = text == "1" ? Scaling::all : text == "own" ? Scaling::own : Scaling::table;
  data.scaling_table = text;
  if (data.scaling == Scaling::own && !request.site)
    throw Error("standardise=own is for sites with data of their own: --data with {node} in it");
}

}  // namespace ecl
