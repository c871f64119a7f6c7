// LIBSVM text, `label index:value ...` with indices from 1, ascending; absent ones are 0. Chang and Lin 2011.
#include <algorithm>
#include <filesystem>
#include <numeric>

#include "ecl/base/check.hpp"
#include "ecl/base/gzip.hpp"
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
  std::vector<std::string_view> labels;
  std::int64_t features = 0;
};

void add_row(SparseRows& rows, const TextLines& lines, std::string_view text) {
  const std::string_view label = next_word(text);
  lines.number(label);  // rejects what is no class number
  rows.labels.push_back(label);
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

void parse_libsvm(SparseRows& rows, TextLines lines) {
  const std::size_t before = rows.labels.size();
  while (lines.next()) {
    const std::string_view text = lines.line().substr(0, lines.line().find('#'));  // svmlight's comments
    if (text.find_first_not_of(" \t\r") != std::string_view::npos) add_row(rows, lines, text);
  }
  if (rows.labels.size() == before) throw Error("'" + lines.path() + "' is empty", Exit::io);
}

Table to_table(const SparseRows& rows, const std::string& path) {
  if (rows.features == 0) throw Error("'" + path + "' has no features, only labels", Exit::io);
  const std::uint64_t count = static_cast<std::uint64_t>(rows.features) * rows.labels.size();
  if (count > kMostValues)
    throw Error("'" + path + "': " + std::to_string(rows.labels.size()) + " samples of " +
                std::to_string(rows.features) + " features are too many: ecl keeps them dense, at most " +
                std::to_string(kMostValues) + " values");
  Table table;
  table.features = static_cast<std::size_t>(rows.features);
  require_memory(static_cast<double>(count) * sizeof(float),
                 "'" + path + "' as " + std::to_string(rows.labels.size()) + " rows of " +
                     std::to_string(rows.features) + " numbers each",
                 "leave out features or rows");
  table.values.assign(count, 0.0f);
  table.labels = rows.labels;
  for (std::size_t row = 0, at = 0; row < rows.ends.size(); ++row)
    for (; at < rows.ends[row]; ++at)
      table.values[row * table.features + static_cast<std::size_t>(rows.values[at].feature)] = rows.values[at].value;
  return table;
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
  const double test = params.number("test", 0.2, 0.001, 0.9, "fraction for the test if there is no file PATH.t");
  const bool standardise = params.integer("standardise", 1, 0, 1, "1: features to mean 0, deviation 1; 0: as they are");
  const std::string endings[] = {".libsvm", ".svm"};
  const std::string path = find_table(request, "libsvm", endings);
  const std::string test_path = find_test(path);

  SparseRows rows;
  const Bytes content = read_file(path, "name the file, or a directory that holds one .libsvm file, with --data");
  parse_libsvm(rows, TextLines(path, content));
  const auto train_count = static_cast<std::int32_t>(rows.labels.size());
  const Bytes test_content = test_path.empty() ? Bytes{} : read_file(test_path);
  if (!test_path.empty()) parse_libsvm(rows, TextLines(test_path, test_content));

  Table table = to_table(rows, path);
  RowSplit split;
  if (test_path.empty()) {
    split = split_rows(table.labels.size(), test, request.seed, path);
  } else {
    split.train.resize(train_count);
    split.test.resize(table.labels.size() - train_count);
    std::iota(split.train.begin(), split.train.end(), 0);
    std::iota(split.test.begin(), split.test.end(), train_count);
  }
  rows = {};
  return finish_table(std::move(table), split, standardise, path);
}

}  // namespace ecl
