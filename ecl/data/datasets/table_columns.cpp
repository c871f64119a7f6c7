#include "ecl/data/datasets/table_columns.hpp"

#include <algorithm>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

constexpr const char *kLast = "last", *kNone = "none";  // unless columns have these names

[[noreturn]] void no_column(const std::string& wanted, const TextTable& table) {
  const auto& known = table.header();
  throw Error("dataset csv: '" + table.lines().path() + "' has no column '" + wanted + "'" + suggestion(wanted, known) +
              (known.empty() ? " (it has no header; its columns are" : " (use a name of its header, or") + " 1 .. " +
              std::to_string(table.columns()) + ")");
}

std::size_t at_of(const std::string& wanted, const TextTable& table) {
  const auto found = find_column(wanted, table.header(), table.columns());
  if (!found) no_column(wanted, table);
  return *found;
}

/// The columns that are no features: label, group, weight.
void find_others(TableColumns& found, const ColumnWishes& wishes, const TextTable& table) {
  for (const std::string& label : wishes.label_columns()) {
    const auto at = find_column(label, table.header(), table.columns());
    if (!at && label != kLast && label.find('|') != std::string::npos)
      throw Error("dataset csv: label=" + label + " names several columns; " +
                  (wishes.numbers_only ? "ecl convert writes one label"
                                       : "--loss logistic learns each, as 0 or 1; another loss learns one"));
    if (!at && label != kLast) no_column(label, table);
    found.labels_at.push_back(at.value_or(found.columns - 1));
  }
  found.group_at = find_column(wishes.group, table.header(), table.columns());
  if (!found.group_at && wishes.group != kNone) no_column(wishes.group, table);
  if (!wishes.weight.empty()) found.weight_at = at_of(wishes.weight, table);
  for (std::size_t n = 1; n < found.labels_at.size(); ++n)
    for (std::size_t before = 0; before < n; ++before)
      if (found.labels_at[n] == found.labels_at[before])
        throw Error("dataset csv: label=" + wishes.label + " names the column '" + found.name(found.labels_at[n]) +
                    "' twice");
  if (found.group_at && found.is_label(*found.group_at))
    throw Error("dataset csv: label and group are the same column; by-column:label needs no group");
  if (found.weight_at && (found.is_label(*found.weight_at) || found.weight_at == found.group_at))
    throw Error("dataset csv: weight=" + wishes.weight + " names the column of the label or group; name another");
}

/// By column of the file: whether `names` has it. Label, group and weight cannot be among them.
std::vector<bool> marked(const std::vector<std::string>& names, const char* parameter, const TableColumns& found,
                         const TextTable& table) {
  std::vector<bool> marks(found.columns, false);
  for (const std::string& name : names) {
    const std::size_t at = at_of(name, table);
    if (found.is_label(at) || at == found.group_at || at == found.weight_at)
      throw Error(std::string("dataset csv: ") + parameter + "=" + name + " names the column of the " +
                  (found.is_label(at)     ? "label"
                   : at == found.group_at ? "group"
                                          : "weight") +
                  ", which is no feature; leave it out there");
    marks[at] = true;
  }
  return marks;
}

/// Where an ARFF file says that a feature is no number, that must be asked for, or cannot be had.
void refuse_kind(const std::string& kind, const TableColumns::Feature& feature, const ColumnWishes& wishes,
                 const std::string& path) {
  const std::string column = "'" + path + "': column '" + feature.name + "' is declared as " + kind;
  const std::string out = "leave it out with ignore=" + feature.handle();
  if (kind == "relational") throw Error(column + ", a table in a cell; " + out);
  if (kind == "date" && !feature.categorical) throw Error(column + "; turn it into numbers, or " + out);
  if (kind == "string" && !feature.categorical && !wishes.text_is_categorical)
    throw Error(column + "; categorical=" + feature.handle() + " makes a feature of each of its texts, or " + out);
}

void add_feature(TableColumns& found, std::size_t at, bool categorical, const ColumnWishes& wishes,
                 const TextTable& table) {
  const TextTable::Declared& declared = table.declared(at);
  const bool nominal = declared.kind == "nominal";
  if (table.name(at).empty())
    throw Error("'" + table.lines().path() + "': column " + std::to_string(at + 1) +
                " has no name: a row number, perhaps, as pandas writes it; leave it out with ignore=" +
                std::to_string(at + 1) + ", or name it");
  const TableColumns::Feature feature{at, table.name(at), categorical || nominal, declared.levels, categorical};
  refuse_kind(declared.kind, feature, wishes, table.lines().path());
  if (wishes.numbers_only && nominal)
    throw Error("'" + table.lines().path() + "': column '" + feature.name +
                "' holds text, and ecl convert writes numbers; leave it out with ignore=" + feature.handle());
  found.features.push_back(feature);
}

}  // namespace

Missing read_missing(Params& params) {
  const std::string text = params.text("missing", "refuse",
                                       "rows with missing cells: refuse; drop: leave them out; mean: fill in the "
                                       "feature's mean; indicator: the same, and a feature that says where");
  for (const auto& [name, value] : {std::pair{"refuse", Missing::refuse},
                                    {"drop", Missing::drop},
                                    {"mean", Missing::mean},
                                    {"indicator", Missing::indicator}})
    if (text == name) return value;
  throw Error("dataset parameter missing is '" + text + "'; it is refuse, drop, mean or indicator");
}

bool ColumnWishes::grouped() const { return group != kNone; }

std::vector<std::string> ColumnWishes::label_columns() const {
  return labels == LabelKind::binary ? split(label, '|') : std::vector{label};
}

std::vector<std::string> ColumnWishes::named() const {
  std::vector<std::string> names;
  if (label != kLast) names = label_columns();
  if (grouped()) names.push_back(group);
  if (!weight.empty()) names.push_back(weight);
  for (const auto* list : {&ignore, &features, &categorical}) names.insert(names.end(), list->begin(), list->end());
  return names;
}

ColumnWishes read_column_wishes(Params& params, const DatasetRequest& request) {
  ColumnWishes wishes;
  wishes.label = params.text("label", kLast,
                             "label column, a name of the header or a number from 1; with --loss logistic "
                             "a|b|c, each 0 or 1");
  wishes.group = params.text("group", kNone, "column that is no feature: for by-column partitions, and test-by=group");
  wishes.weight = params.text("weight", "",
                              "column of the rows' weights, 0 or more: of each row's loss in training, and in all "
                              "measures");
  wishes.ignore = split(params.text("ignore", "", "columns to leave out: a|b|c"), '|');
  wishes.features = split(params.text("features", "", "only these columns are features: a|b|c"), '|');
  const std::string categorical = params.text(
      "categorical", kNone,
      "columns each of whose values is a feature: a|b|c; auto: those with text at some site. The values are "
      "told to all sites");
  wishes.missing = read_missing(params);
  wishes.text_is_categorical = categorical == "auto";
  if (!wishes.text_is_categorical && categorical != kNone) wishes.categorical = split(categorical, '|');
  wishes.numbers_only = !request.store.empty();
  if (!wishes.ignore.empty() && !wishes.features.empty())
    throw Error("dataset csv: ignore and features both say which columns are features; give one");
  if (wishes.numbers_only && categorical != kNone)
    throw Error("ecl convert writes numbers, and categorical=" + categorical +
                " makes features of text; train from the table itself, or leave such columns out with ignore=");
  return wishes;
}

std::string TableColumns::Feature::handle() const {
  return name.find_first_of("|,=:\" ") == std::string::npos ? name : std::to_string(at + 1);
}

/// Two columns of one name, of which one is used: a model finds its columns by name.
static void refuse_namesakes(const TableColumns& found, const std::string& path) {
  std::vector<std::size_t> used = found.labels_at;
  if (found.group_at) used.push_back(*found.group_at);
  if (found.weight_at) used.push_back(*found.weight_at);
  for (const auto& feature : found.features) used.push_back(feature.at);
  for (const std::size_t at : used)
    for (std::size_t other = 0; other < found.header.size(); ++other)
      if (other != at && found.header[other] == found.header[at])
        throw Error("'" + path + "': columns " + std::to_string(std::min(at, other) + 1) + " and " +
                    std::to_string(std::max(at, other) + 1) + " have the same name, '" + found.header[at] +
                    "'; rename one, as columns are known by their names");
}

TableColumns find_columns(const ColumnWishes& wishes, const TextTable& table) {
  TableColumns found;
  found.columns = table.columns(), found.header = table.header(), found.doubt = table.doubt();
  const std::string& path = table.lines().path();
  if (found.columns < 2) throw Error("'" + path + "' has one column; it needs features and a label", Exit::io);
  find_others(found, wishes, table);
  const std::vector<bool> ignored = marked(wishes.ignore, "ignore", found, table),
                          wanted = marked(wishes.features, "features", found, table),
                          categorical = marked(wishes.categorical, "categorical", found, table);
  for (std::size_t at = 0; at < found.columns; ++at) {
    const bool other = found.is_label(at) || at == found.group_at || at == found.weight_at;
    const bool used = !other && !ignored[at] && (wishes.features.empty() || wanted[at]);
    if (used) add_feature(found, at, categorical[at], wishes, table);
    if (!used && categorical[at])
      throw Error("dataset csv: column '" + table.name(at) +
                  "' is to be categorical and no feature; leave it out at one");
  }
  if (found.features.empty()) throw Error("'" + path + "' has no column left for features", Exit::io);
  refuse_namesakes(found, path);
  return found;
}

}  // namespace ecl
