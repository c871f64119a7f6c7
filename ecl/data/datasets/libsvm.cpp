// LIBSVM text, `label index:value ...` with indices from 1, ascending; absent ones are 0. Chang and Lin 2011.
#include <algorithm>
#include <filesystem>
#include <numeric>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/memory.hpp"
#include "ecl/base/text_lines.hpp"
#include "ecl/data/datasets/table.hpp"

namespace ecl {
namespace {

struct SparseRows {
  struct Value {
    std::int32_t feature;  ///< from 0
    float value;
  };
  std::vector<Value> values;
  std::vector<std::size_t> ends;  ///< of each row, in values
  TableIndex index;
  std::int64_t features = 0;
};

void add_row(SparseRows& rows, const TextLines& lines, std::string_view text) {
  const std::string_view label = next_word(text);
  lines.number(label);  // rejects what is no class number
  rows.index.labels.push_back(rows.index.label_names.add(label));
  std::int64_t last = 0;
  for (std::string_view word = next_word(text); !word.empty(); word = next_word(text)) {
    const std::size_t colon = word.find(':');
    if (colon == std::string_view::npos) lines.fail(word, quoted(word) + " is not index:value");
    const std::int64_t index = lines.integer(word.substr(0, colon));
    if (index < 1 || index > kMostFeatures)
      lines.fail(word, "index " + std::to_string(index) + " is outside 1 .. " + std::to_string(kMostFeatures));
    if (index <= last)
      lines.fail(word, "index " + std::to_string(index) + " follows " + std::to_string(last) + "; indices must ascend");
    last = index;
    rows.values.push_back({static_cast<std::int32_t>(index - 1), lines.number(word.substr(colon + 1))});
  }
  rows.features = std::max(rows.features, last);
  rows.ends.push_back(rows.values.size());
}

SparseRows parse_libsvm(const std::string& path) {
  SparseRows rows;
  TextLines lines(path, open_file(path, "name the file, or a directory that holds one .libsvm file, with --data"));
  while (lines.next()) {
    const std::string_view text = lines.line().substr(0, lines.line().find('#'));  // svmlight's comments
    if (text.find_first_not_of(" \t\r") != std::string_view::npos) add_row(rows, lines, text);
  }
  if (rows.index.labels.empty()) throw Error("'" + path + "' is empty", Exit::io);
  return rows;
}

/// The rows that `wanted` names as rows of `features` numbers.
Dataset to_dense(const SparseRows& rows, const std::vector<std::int32_t>& wanted, std::size_t features,
                 const std::string& path) {
  const std::uint64_t count = static_cast<std::uint64_t>(features) * wanted.size();
  if (count > kMostValues)
    throw Error("'" + path + "': " + std::to_string(wanted.size()) + " samples of " + std::to_string(features) +
                " features are too many: ecl keeps them dense, at most " + std::to_string(kMostValues) + " values");
  require_memory(
      static_cast<double>(count) * sizeof(float),
      "'" + path + "' as " + std::to_string(wanted.size()) + " rows of " + std::to_string(features) + " numbers each",
      "leave out features or rows");
  std::vector<float> values(count, 0.0f);
  float* out = values.data();
  for (const std::int32_t row : wanted) {
    for (std::size_t at = row == 0 ? 0 : rows.ends[row - 1]; at < rows.ends[row]; ++at)
      out[rows.values[at].feature] = rows.values[at].value;
    out += features;
  }
  return make_half(rows.index, wanted, features, std::move(values), "");
}

std::vector<std::int32_t> all_of(const SparseRows& rows) {
  std::vector<std::int32_t> numbers(rows.ends.size());
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

/// The test file beside `path` (a9a and a9a.t), plain or gzip; empty if there is none.
std::string find_test(const std::string& path) {
  const std::string stem = path.ends_with(".gz") ? path.substr(0, path.size() - 3) : path;
  for (const std::string& candidate : {stem + ".t", stem + ".t.gz"})
    if (std::error_code ignored; std::filesystem::exists(candidate, ignored)) return candidate;
  return {};
}

}  // namespace

TrainTest make_libsvm(const DatasetRequest& request, Params& params) {
  const TestDraw draw = read_test_draw(params, request, false);
  TrainTest data;
  read_scaling(params, request, data);
  const std::string endings[] = {".libsvm", ".svm"};
  const std::string path = data.source = find_table(request, "libsvm", endings);
  const std::string test_path = request.test.empty() ? find_test(path) : request.test;

  SparseRows rows = parse_libsvm(path);
  const SparseRows tested = test_path.empty() ? SparseRows{} : parse_libsvm(test_path);
  const auto features = static_cast<std::size_t>(std::max(rows.features, tested.features));
  if (features == 0) throw Error("'" + path + "' has no features, only labels", Exit::io);
  RowSplit split;
  if (test_path.empty())
    split = draw_test(rows.index, draw, request, path);
  else
    split.train = all_of(rows);
  TablePlan plan = plan_rows(rows.index, std::move(split), request, "");
  data.train = to_dense(rows, plan.train, features, path);
  data.test = test_path.empty() ? to_dense(rows, plan.test, features, path)
                                : to_dense(tested, all_of(tested), features, test_path);
  data.any_features = true;
  data.train_samples = plan.train_samples;
  data.dealt = static_cast<bool>(request.deal);
  if (data.dealt) data.train.number_samples(std::move(plan.kept));
  return data;
}

}  // namespace ecl
