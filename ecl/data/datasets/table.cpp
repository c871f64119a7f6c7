#include "ecl/data/datasets/table.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>

#include "ecl/base/check.hpp"
#include "ecl/base/random.hpp"
#include "ecl/base/text_lines.hpp"

namespace ecl {
namespace {

constexpr std::int32_t kMostClasses = 10'000;

template <class Key>
Numbered number_keys(const std::vector<Key>& keys) {
  std::vector<Key> distinct(keys);
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  Numbered result;
  result.count = static_cast<std::int32_t>(distinct.size());
  result.numbers.reserve(keys.size());
  for (const Key& key : keys)
    result.numbers.push_back(
        static_cast<std::int32_t>(std::lower_bound(distinct.begin(), distinct.end(), key) - distinct.begin()));
  return result;
}

bool ends_as(const std::string& name, const std::string& ending) {
  return name.ends_with(ending) || name.ends_with(ending + ".gz");
}

void standardise_features(Table& table, std::span<const std::int32_t> train) {
  const std::size_t features = table.features;
  std::vector<double> mean(features, 0.0), square(features, 0.0);
  for (const std::int32_t row : train)
    for (std::size_t f = 0; f < features; ++f) mean[f] += table.values[row * features + f];
  for (double& value : mean) value /= static_cast<double>(train.size());
  for (const std::int32_t row : train)
    for (std::size_t f = 0; f < features; ++f) {
      const double distance = table.values[row * features + f] - mean[f];
      square[f] += distance * distance;
    }
  std::vector<double>& scale = square;
  for (std::size_t f = 0; f < features; ++f) {
    const double deviation = std::sqrt(square[f] / static_cast<double>(train.size()));
    // Below this the differences are rounding errors of the mean, not data.
    scale[f] = deviation > 1e-9 * std::abs(mean[f]) ? 1 / deviation : 1.0;
  }
  constexpr double kLimit = std::numeric_limits<float>::max();  // a test row may be far outside the training range
  for (std::size_t at = 0; at < table.values.size(); ++at) {
    const double value = (table.values[at] - mean[at % features]) * scale[at % features];
    table.values[at] = static_cast<float>(std::clamp(value, -kLimit, kLimit));
  }
}

}  // namespace

std::string find_table(const DatasetRequest& request, const std::string& dataset,
                       std::span<const std::string> endings) {
  namespace fs = std::filesystem;
  const std::string& path = request.directory;
  if (path.empty()) throw Error("dataset " + dataset + ": no file is given; name it with --data FILE");
  std::error_code failed;
  if (!fs::is_directory(path, failed)) return path;
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

Numbered number_names(std::span<const std::string_view> names) {
  if (!std::all_of(names.begin(), names.end(), is_number))
    return number_keys(std::vector<std::string_view>(names.begin(), names.end()));
  std::vector<double> values;
  values.reserve(names.size());
  for (const std::string_view name : names) values.push_back(*parse_number(name));
  return number_keys(values);
}

RowSplit split_rows(std::size_t rows, double fraction, std::uint64_t seed, const std::string& path) {
  if (rows < 2 || rows > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
    throw Error("'" + path + "' has " + std::to_string(rows) + " samples; training and test need at least one each",
                Exit::io);
  std::vector<std::int32_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  Random random(seed, Purpose::dataset);
  shuffle(order, random);
  const auto wanted = static_cast<std::size_t>(std::llround(fraction * static_cast<double>(rows)));
  const auto cut = order.begin() + static_cast<std::ptrdiff_t>(std::clamp<std::size_t>(wanted, 1, rows - 1));
  RowSplit split{{cut, order.end()}, {order.begin(), cut}};
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.test.begin(), split.test.end());
  return split;
}

TrainTest finish_table(Table table, const RowSplit& split, bool standardise, const std::string& path) {
  Numbered labels = number_names(table.labels);
  if (labels.count < 2) throw Error("'" + path + "': every sample has the same label; name the label column", Exit::io);
  if (labels.count > kMostClasses)
    throw Error("'" + path + "': the labels have " + std::to_string(labels.count) + " different values, more than " +
                    std::to_string(kMostClasses) + "; a label must be one of a few classes",
                Exit::io);
  if (standardise) standardise_features(table, split.train);
  Dataset all(static_cast<int>(table.features), labels.count, std::move(table.values), std::move(labels.numbers));
  for (const auto& [name, groups] : table.columns) all.columns[name] = number_names(groups).numbers;
  return {all.subset(split.train), all.subset(split.test)};
}

}  // namespace ecl
