// LIBSVM text, `label index:value ...` with indices from 1 (or 0), ascending; absent ones are 0. Chang and Lin 2011.
#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/text_table.hpp"
#include "ecl/data/datasets/table.hpp"

namespace ecl {
namespace {

/// A LIBSVM file: labels and sizes at once, its rows when they are asked for.
class LibsvmFile {
 public:
  /// `base`: the index of the first feature, 0 or 1.
  LibsvmFile(std::string path, const DatasetRequest& request, std::int64_t base, LabelKind kind)
      : path_(std::move(path)), request_(request), base_(base), kind_(kind) {
    each_row([this](const TextLines& lines, std::string_view text) {
      kind_ == LabelKind::binary ? read_labels(lines, next_label(text)) : read_label(lines, next_label(text));
      const std::int64_t least = base_, most = kMostFeatures - 1 + base_;
      std::int64_t last = least - 1;
      for (std::string_view word = next_value(text, &queries_); !word.empty(); word = next_value(text), ++values_) {
        const std::int64_t index = split_value(lines, word).index;
        if (index == 0 && least == 1) lines.fail(word, "this file counts from 0: say libsvm:base=0, at all sites");
        if (index < least || index > most)
          lines.fail(word, "index " + std::to_string(index) + " is outside " + std::to_string(least) + " .. " +
                               std::to_string(most));
        if (index <= last)
          lines.fail(word,
                     "index " + std::to_string(index) + " follows " + std::to_string(last) + "; indices must ascend");
        last = index;
      }
      features_ = std::max(features_, last + 1 - base_);
    });
    if (index_.labels.empty()) throw Error("'" + path_ + "' is empty", Exit::io);
  }

  void name_groups(const std::string& path) { add_groups(path, path_, request_, index_); }

  const TableIndex& index() const { return index_; }
  std::size_t rows() const { return index_.labels.size(); }
  std::int64_t features() const { return features_; }
  std::uint64_t values() const { return values_; }    ///< that its rows hold
  std::uint64_t queries() const { return queries_; }  ///< rows with a qid:N

  /// The rows that `wanted` names, ascending, each of `features` values: `sparse`, or as they are stored in `folder`.
  Dataset read(const std::vector<std::int32_t>& wanted, std::int64_t features, bool sparse,
               const std::string& folder = "") const {
    Rows rows = sparse ? Rows(read_sparse(wanted, features)) : read_dense(wanted, features, folder);
    return make_half(index_, wanted, std::move(rows), kGroup);
  }

 private:
  struct Value {
    std::int64_t index;  ///< as it is written: from base_
    std::string_view cell;
  };
  static Value split_value(const TextLines& lines, std::string_view word) {
    const std::size_t colon = word.find(':');
    if (colon == std::string_view::npos) lines.fail(word, quoted(word) + " is not index:value");
    return {lines.integer(word.substr(0, colon)), word.substr(colon + 1)};
  }

  /// The next index:value. Of a ranking's rows a query number comes first, which is counted and left out.
  static std::string_view next_value(std::string_view& text, std::uint64_t* queries = nullptr) {
    std::string_view word = next_word(text);
    if (!word.starts_with("qid:")) return word;
    if (queries) ++*queries;
    return next_word(text);
  }

  /// A row without any of several labels begins with its values.
  std::string_view next_label(std::string_view& text) const {
    std::string_view rest = text;
    const std::string_view word = next_word(rest);
    if (kind_ == LabelKind::binary && word.find(':') != std::string_view::npos) return text.substr(0, 0);
    text = rest;
    return word;
  }

  /// "1,3", any number of them; -1, beside 1, is none.
  void read_labels(const TextLines& lines, std::string_view labels) {
    std::vector<std::int32_t> numbers;
    for (std::string_view label = next_word(labels, ","); !label.empty(); label = next_word(labels, ",")) {
      lines.number(label);
      if (parse_number(label) != -1) numbers.push_back(index_.label_names.add(label));
    }
    index_.add_set(numbers, lines);
  }

  void read_label(const TextLines& lines, std::string_view label) {
    if (label.find(':') != std::string_view::npos || is_missing(label)) lines.fail(label, "the label is missing");
    if (label.find(',') != std::string_view::npos)
      lines.fail(label, quoted(label) + " are several labels, and a row has one here; " +
                            (request_.store.empty() ? "--loss logistic learns of each whether a row has it"
                                                    : "train from this file, with --loss logistic"));
    lines.number(label);  // rejects what is no class number
    index_.add_label(label, lines, kind_ == LabelKind::numbers);
  }

  /// Calls use(lines, text) for each row; svmlight's comments are gone.
  template <class Use>
  void each_row(Use use) const {
    TextLines lines(path_,
                    request_.open(path_, "name the file, or a directory that holds one .libsvm file, with --data"));
    while (lines.next()) {
      const std::string_view text = lines.line().substr(0, lines.line().find('#'));
      if (text.find_first_not_of(" \t\r") != std::string_view::npos) use(lines, text);
    }
  }

  /// Calls use(feature from 0, value) for all values of a row that is wanted, then end().
  template <class Use, class End>
  void each_value(const std::vector<std::int32_t>& wanted, Use use, End end) const {
    auto next = wanted.begin();
    each_row([&, row = 0](const TextLines& lines, std::string_view text) mutable {
      if (next == wanted.end() || *next != row++) return;
      ++next;
      next_label(text);
      for (std::string_view word = next_value(text); !word.empty(); word = next_value(text)) {
        const auto [index, cell] = split_value(lines, word);
        use(static_cast<std::int32_t>(index - base_), lines.number(cell));
      }
      end();
    });
  }

  SparseRows read_sparse(const std::vector<std::int32_t>& wanted, std::int64_t features) const {
    SparseRows rows{.features = static_cast<int>(features), .ends = {}, .at = {}, .values = {}};
    rows.ends.reserve(wanted.size());
    each_value(
        wanted, [&](std::int32_t feature, float value) { rows.at.push_back(feature), rows.values.push_back(value); },
        [&] { rows.ends.push_back(rows.values.size()); });
    return rows;
  }

  Rows read_dense(const std::vector<std::int32_t>& wanted, std::int64_t features, const std::string& folder) const {
    RowStore rows(wanted.size(), static_cast<std::size_t>(features), folder, "'" + path_ + "'");
    std::int64_t next = 0;
    const auto fill_to = [&](std::int64_t feature) {
      for (; next < feature; ++next) rows.add(0);
    };
    each_value(
        wanted, [&](std::int32_t feature, float value) { fill_to(feature), rows.add(value), ++next; },
        [&] { fill_to(features), next = 0; });
    return rows.finish();
  }

  std::string path_;
  const DatasetRequest& request_;
  TableIndex index_;
  std::int64_t base_, features_ = 0;
  LabelKind kind_;
  std::uint64_t values_ = 0, queries_ = 0;
};

/// The test file beside `path` (a9a and a9a.t), plain or gzip; empty if there is none.
std::string find_test(const std::string& path) {
  const std::string stem = path.ends_with(".gz") ? path.substr(0, path.size() - 3) : path;
  for (const std::string& candidate : {stem + ".t", stem + ".t.gz"})
    if (std::error_code ignored; std::filesystem::exists(candidate, ignored)) return candidate;
  return {};
}

}  // namespace

TrainTest make_libsvm(const DatasetRequest& request, Params& params) {
  const std::int64_t base = params.integer("base", 1, 0, 1, "index of the first feature, at all sites");
  const LabelKind kind = read_label_kind(params, request);
  const std::string groups = read_groups_path(params);
  const TestDraw draw = read_test_draw(params, request, !groups.empty());
  TrainTest data;
  const bool scaling_wanted = params.given("standardise");
  read_scaling(params, request, data);
  data.may_be_sparse = !scaling_wanted || data.scaling == Scaling::none;
  const std::string endings[] = {".libsvm", ".svm"};
  const std::string path = data.source = find_table(request, "libsvm", endings);
  const std::string test_path = data.test_source = request.test.empty() ? find_test(path) : request.test;
  require_regular(test_path);
  if (request.test.empty() && !test_path.empty())
    for (const char* drawn : {"test", "test-by"})
      if (params.given(drawn))
        throw Error("'" + test_path + "' lies beside '" + path + "' and is the test set; leave out " + drawn +
                    "=, or move that file");

  LibsvmFile file(path, request, base, kind);
  file.name_groups(groups);
  if (kind == LabelKind::any) refuse_quantities(file.index(), path);
  std::optional<LibsvmFile> tested;
  if (!test_path.empty()) tested.emplace(test_path, request, base, kind);
  const std::int64_t features = std::max(file.features(), tested ? tested->features() : 0);
  if (features == 0) throw Error("'" + path + "' has no features, only labels", Exit::io);
  data.values = file.values(), data.rows = file.rows(), data.ignored_queries = file.queries();
  const bool sparse = data.may_be_sparse && is_sparse(data.values, data.rows, features);
  if (sparse && !request.store.empty())
    throw Error("'" + path +
                "' is sparse, less than one value in ten is there, and kept so in memory; train from it as it is");
  RowSplit split;
  if (tested || !request.store.empty())
    split.train = all_rows(file.rows());
  else
    split = draw_test(file.index(), draw, request, path);
  TablePlan plan = plan_rows(file.index(), std::move(split), request, kGroup);
  data.train = file.read(plan.train, features, sparse, request.store);
  data.test =
      tested ? tested->read(all_rows(tested->rows()), features, sparse) : file.read(plan.test, features, sparse);
  data.any_features = true;
  note_plan(data, std::move(plan), file.index(), request);
  return data;
}

}  // namespace ecl
