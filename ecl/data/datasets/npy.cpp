// A folder of NumPy's arrays: features.npy (n x d numbers), labels.npy (n numbers or texts), groups.npy where there are
// groups, weights.npy (n numbers) where rows have weights, and table.json with their names, as ecl convert writes them.
// Features of type float32 stay in their file.
#include "ecl/base/npy.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "ecl/base/check.hpp"
#include "ecl/base/gzip.hpp"
#include "ecl/data/datasets/array_table.hpp"

namespace ecl {
namespace {

constexpr const char* kAdvice =
    "--data names a folder with features.npy and labels.npy; ecl convert makes one of a csv, libsvm or HDF5 file";

std::string shape_of(const NpyArray& array) {
  std::string text;
  for (const std::size_t size : array.shape) text += (text.empty() ? "" : " x ") + std::to_string(size);
  return array.shape.empty() ? "one value" : text;
}

class NpyRows final : public ArrayRows {
 public:
  explicit NpyRows(const std::string& path) : NpyRows(open(path)) {}

  void read(std::size_t first, std::size_t count, float* out) const override {
    read_npy(array_, first * features(), count * features(), out);
  }
  std::optional<MappedRows> mapped() const override {
    if (array_.type != "<f4" || array_.offset % alignof(float) != 0) return std::nullopt;
    MappedRows rows;
    rows.features = features(), rows.file = array_.file, rows.offset = array_.offset;
    return rows;
  }

 private:
  explicit NpyRows(NpyArray array)
      : ArrayRows("'" + array.file->path() + "'", array.shape[0], array.shape[1]), array_(std::move(array)) {}

  static NpyArray open(const std::string& path) {
    NpyArray array = open_npy(path, kAdvice);
    const std::string what = "'" + path + "' holds " + shape_of(array) + " values of type '" + array.type + "'; ";
    if (array.is_text()) throw Error(what + "features are numbers: .astype('float32'), or a csv file", Exit::io);
    if (array.shape.size() != 2)
      throw Error(
          what + "a row of features for each sample is wanted: " +
              (array.shape.size() < 2 ? ".reshape(-1, 1)" : ".reshape(" + std::to_string(array.shape[0]) + ", -1)"),
          Exit::io);
    return array;
  }

  NpyArray array_;
};

ArrayColumn read_column(const std::string& path, const ArrayRows& rows, std::vector<std::string> known) {
  const NpyArray array = open_npy(path, kAdvice);
  const std::size_t size = array.shape.empty() ? 0 : array.shape[0];
  if (array.shape.size() != 1)
    throw Error("'" + path + "' holds " + shape_of(array) +
                    " values; one for each row is wanted: .reshape(-1), or of a " + "column for each class .argmax(1)",
                Exit::io);
  if (size != rows.size())
    throw Error("'" + path + "' has " + std::to_string(size) + " values, and features.npy beside it has " +
                    std::to_string(rows.size()) + " rows",
                Exit::io);
  ArrayColumn column{"'" + path + "'", {}, {}, {}, std::move(known)};
  if (array.is_text()) {
    for (std::size_t row = 0; row < size; ++row) column.text.push_back(read_npy_text(array, row));
  } else if (array.kind() == 'f') {
    column.real.resize(size);
    read_npy(array, 0, size, column.real.data());
  } else {
    column.whole.resize(size);
    read_npy(array, 0, size, column.whole.data());
  }
  return column;
}

/// The names in table.json, by number.
struct Known {
  std::vector<std::string> classes, groups;
};
Known read_names(const std::string& path, ArrayTable& table) {
  Known names;
  Schema& schema = table.schema;
  std::string group;
  try {
    const Bytes text = read_file(path);
    const auto json = nlohmann::json::parse(text.begin(), text.end());
    schema.columns = json.at("columns").get<std::vector<std::string>>();
    schema.label = json.at("label").get<std::string>();
    schema.features = json.at("features").get<std::vector<std::string>>();
    names.classes = json.at("classes").get<std::vector<std::string>>();
    names.groups = json.at("groups").get<std::vector<std::string>>();
    group = json.at("group").get<std::string>();
  } catch (const nlohmann::json::exception&) {
    throw Error("'" + path + "' is not as ecl convert writes it; convert again", Exit::io);
  }
  for (const auto* list : {&names.classes, &names.groups})
    if (std::set<std::string>(list->begin(), list->end()).size() != list->size())
      throw Error("'" + path + "' names two things alike; convert again", Exit::io);
  for (const std::string& name : schema.features) schema.inputs.push_back({name});
  if (!group.empty()) table.group = group;
  return names;
}

}  // namespace

ArrayTable open_npy_table(const std::string& path, ArrayParts parts) {
  std::error_code ignored;
  ArrayTable table{.source = path, .rows = {}, .labels = {}, .groups = {}, .weights = {}, .schema = {}};
  const bool folder = std::filesystem::is_directory(path, ignored);
  if (path.empty()) throw Error(std::string("dataset npy: no folder is given; ") + kAdvice);
  if (!folder && parts == ArrayParts::features) {
    table.rows = std::make_unique<NpyRows>(path);
    return table;
  }
  if (!folder && std::filesystem::exists(path, ignored))
    throw Error("'" + path + "' is a file, of features alone perhaps; name the folder that has labels.npy too");
  if (!folder) throw Error("there is no folder '" + path + "'; " + kAdvice);
  const std::string json = path + "/table.json", groups = path + "/groups.npy", weights = path + "/weights.npy";
  Known names;
  if (std::filesystem::exists(json, ignored)) names = read_names(json, table);
  table.rows = std::make_unique<NpyRows>(path + "/features.npy");
  const std::size_t named = table.schema.features.size(), features = table.rows->features();
  if (named > 0 && named != features)
    throw Error(
        "'" + json + "' names " + std::to_string(named) + " features, and features.npy has " + std::to_string(features),
        Exit::io);
  if (parts == ArrayParts::features) return table;
  table.labels = read_column(path + "/labels.npy", *table.rows, std::move(names.classes));
  if (std::filesystem::exists(weights, ignored)) {
    table.weights = read_column(weights, *table.rows, {});
    table.schema.weight = "weights.npy";
  }
  if (parts == ArrayParts::groups && std::filesystem::exists(groups, ignored))
    table.groups = read_column(groups, *table.rows, std::move(names.groups));
  return table;
}

TrainTest make_npy(const DatasetRequest& request, Params& params) {
  return make_from_arrays(request, params, open_npy_table);
}

}  // namespace ecl
