// A folder of NumPy's arrays: features.npy (n x d floats), labels.npy (n whole numbers), groups.npy where there are
// groups, weights.npy (n floats) where rows have weights, and table.json with their names, as ecl convert writes them.
// The features stay in their file.
#include "ecl/base/npy.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "ecl/base/check.hpp"
#include "ecl/base/gzip.hpp"
#include "ecl/data/datasets/table.hpp"

namespace ecl {
namespace {

constexpr const char* kAdvice =
    "--data names a folder with features.npy and labels.npy; ecl convert makes one of a csv or libsvm file";

/// A folder: its labels, groups and names at once, and where its rows are.
struct Folder {
  TableIndex index;
  MappedRows rows;
  Schema schema;
  std::string group;  ///< the group column; empty without groups
};

void check_rows(const std::string& path, std::size_t numbers, std::size_t rows) {
  if (numbers == rows) return;
  throw Error("'" + path + "' has " + std::to_string(numbers) + " numbers, and features.npy beside it has " +
                  std::to_string(rows) + " rows",
              Exit::io);
}

void read_targets(const std::string& path, std::size_t rows, TableIndex& index) {
  index.targets = read_npy_floats(path, kAdvice);
  check_rows(path, index.targets.size(), rows);
  index.labels.assign(rows, 0);
}

void read_weights(const std::string& path, std::size_t rows, TableIndex& index) {
  index.weights = read_npy_floats(path, kAdvice);
  check_rows(path, index.weights.size(), rows);
  const auto below = std::ranges::find_if(index.weights, [](float weight) { return weight < 0; });
  if (below != index.weights.end())
    throw Error("'" + path + "': the weight of row " + std::to_string(below - index.weights.begin()) + " is below 0",
                Exit::io);
}

/// Numbers of the file `path` into `numbers`, and `names`, by number: those of table.json, or else the numbers.
void read_column(const std::string& path, std::size_t rows, const std::vector<std::string>& known,
                 std::vector<std::int32_t>& numbers, Names& names) {
  const std::vector<std::int32_t> values = read_npy_integers(path, kAdvice);
  check_rows(path, values.size(), rows);
  for (const std::string& name : known) names.add(name);
  if (names.all().size() != known.size())
    throw Error("table.json beside '" + path + "' names two things alike; convert again", Exit::io);
  numbers.reserve(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    const std::int32_t value = values[row];
    if (!known.empty() && (value < 0 || static_cast<std::size_t>(value) >= known.size()))
      throw Error("'" + path + "': number " + std::to_string(value) + " of row " + std::to_string(row) +
                      " is outside 0 .. " + std::to_string(known.size() - 1) + ", the names in table.json",
                  Exit::io);
    numbers.push_back(known.empty() ? names.add(std::to_string(value)) : value);
  }
}

/// `numbers`: the labels are to be predicted, and no classes.
Folder open_folder(const std::string& path, bool numbers) {
  std::error_code ignored;
  if (path.empty()) throw Error(std::string("dataset npy: no folder is given; ") + kAdvice);
  if (!std::filesystem::is_directory(path, ignored)) throw Error("there is no folder '" + path + "'; " + kAdvice);
  Folder folder;
  const std::string table = path + "/table.json", groups = path + "/groups.npy";
  std::vector<std::string> group_names;
  if (std::filesystem::exists(table, ignored)) {
    try {
      const Bytes text = read_file(table);
      const auto json = nlohmann::json::parse(text.begin(), text.end());
      folder.schema.columns = json.at("columns").get<std::vector<std::string>>();
      folder.schema.label = json.at("label").get<std::string>();
      folder.schema.features = json.at("features").get<std::vector<std::string>>();
      for (const std::string& name : folder.schema.features) folder.schema.inputs.push_back({name});
      folder.schema.classes = json.at("classes").get<std::vector<std::string>>();
      folder.group = json.at("group");
      group_names = json.at("groups").get<std::vector<std::string>>();
    } catch (const nlohmann::json::exception&) {
      throw Error("'" + table + "' is not as ecl convert writes it; convert again", Exit::io);
    }
  }
  folder.rows = map_rows(path + "/features.npy");
  const std::size_t rows = folder.rows.size();
  if (!folder.schema.features.empty() &&
      folder.schema.features.size() != static_cast<std::size_t>(folder.rows.features))
    throw Error("'" + table + "' names " + std::to_string(folder.schema.features.size()) +
                    " features, and features.npy has " + std::to_string(folder.rows.features),
                Exit::io);
  if (numbers)
    read_targets(path + "/labels.npy", rows, folder.index);
  else
    read_column(path + "/labels.npy", rows, folder.schema.classes, folder.index.labels, folder.index.label_names);
  if (const std::string weights = path + "/weights.npy"; std::filesystem::exists(weights, ignored)) {
    read_weights(weights, rows, folder.index);
    folder.schema.weight = "weights.npy";
  }
  if (std::filesystem::exists(groups, ignored)) {
    read_column(groups, rows, group_names, folder.index.groups, folder.index.group_names);
    if (folder.group.empty()) folder.group = "group";
  }
  return folder;
}

Dataset half_of(const Folder& folder, const std::vector<std::int32_t>& wanted) {
  MappedRows rows = folder.rows;
  rows.rows = wanted;
  Dataset half = make_half(folder.index, wanted, std::move(rows), folder.group);
  half.schema.columns = folder.schema.columns;
  half.schema.label = folder.schema.label, half.schema.weight = folder.schema.weight;
  half.schema.inputs = folder.schema.inputs;
  half.schema.features = folder.schema.features;
  return half;
}

}  // namespace

TrainTest make_npy(const DatasetRequest& request, Params& params) {
  std::error_code ignored;
  const bool grouped = std::filesystem::exists(request.data + "/groups.npy", ignored);
  const bool numbers = read_label_kind(params, request) == LabelKind::numbers;
  const TestDraw draw = read_test_draw(params, request, grouped);
  TrainTest data;
  read_scaling(params, request, data);
  const Folder folder = open_folder(request.data, numbers);
  data.source = request.data;
  RowSplit split;
  if (request.test.empty())
    split = draw_test(folder.index, draw, request, request.data);
  else
    split.train = all_rows(folder.rows.size());
  TablePlan plan = plan_rows(folder.index, std::move(split), request, folder.group);
  data.train = half_of(folder, plan.train);
  if (request.test.empty()) {
    data.test = half_of(folder, plan.test);
  } else {
    const Folder tested = open_folder(request.test, numbers);
    if (tested.schema.columns != folder.schema.columns || tested.rows.features != folder.rows.features)
      throw Error("'" + request.test + "', the test samples, has not the columns of '" + request.data +
                  "'; both need the same, in the same order");
    if (tested.schema.weight != folder.schema.weight)
      throw Error("one of '" + request.data + "' and '" + request.test +
                  "', the test samples, has a weights.npy; both need one, or none");
    data.test = half_of(tested, tested.rows.rows);
  }
  data.train_samples = plan.train_samples;
  data.groups_to_test = plan.groups_to_test;
  data.dealt = static_cast<bool>(request.deal);
  if (data.dealt) data.train.number_samples(std::move(plan.kept));
  return data;
}

}  // namespace ecl
