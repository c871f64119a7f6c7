// Tables of numbers with a label column: comma (or semicolon, or tab) separated, plain or gzip.
#include <optional>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/text_table.hpp"
#include "ecl/data/datasets/table.hpp"

namespace ecl {
namespace {

constexpr const char* kAdvice = "name the .csv file, or a directory that holds one, with --data";
constexpr const char *kLast = "last", *kNone = "none";  // unless columns have these names

/// What to read, and where the columns are.
struct Layout {
  std::string label, group;  ///< as the user wrote them
  std::vector<std::string> header;
  std::size_t columns = 0, label_at = 0;
  std::optional<std::size_t> group_at;

  bool is_feature(std::size_t column) const { return column != label_at && column != group_at; }
  std::size_t features() const { return columns - 1 - group_at.has_value(); }
};

[[noreturn]] void no_column(const std::string& wanted, const Layout& layout, const std::string& path) {
  const auto& known = layout.header;
  throw Error("dataset csv: '" + path + "' has no column '" + wanted + "'" + suggestion(wanted, known) +
              (known.empty() ? " (it has no header; its columns are" : " (use a name of its header, or") + " 1 .. " +
              std::to_string(layout.columns) + ")");
}

void resolve(Layout& layout, const std::string& path) {
  const std::size_t columns = layout.columns;
  if (columns < 2) throw Error("'" + path + "' has one column; it needs features and a label", Exit::io);
  const auto label = find_column(layout.label, layout.header, columns);
  if (!label && layout.label != kLast) no_column(layout.label, layout, path);
  layout.label_at = label.value_or(columns - 1);
  layout.group_at = find_column(layout.group, layout.header, columns);
  if (!layout.group_at && layout.group != kNone) no_column(layout.group, layout, path);
  if (layout.group_at == layout.label_at)
    throw Error("dataset csv: label and group are the same column; by-column:label needs no group");
  if (layout.features() == 0) throw Error("'" + path + "' has no column left for features", Exit::io);
}

/// A csv file: its layout at once, its rows when they are asked for.
class CsvFile {
 public:
  CsvFile(std::string path, Layout layout, const DatasetRequest& request, std::string advice = kAdvice)
      : path_(std::move(path)), layout_(std::move(layout)), request_(request), advice_(std::move(advice)) {
    const TextTable table = open();
    layout_.columns = table.columns();
    layout_.header = table.header();
    resolve(layout_, path_);
  }

  const std::string& path() const { return path_; }
  const Layout& layout() const { return layout_; }

  /// Labels and groups of all rows; the number of cells of each is checked.
  TableIndex index() const {
    TableIndex index;
    for (TextTable table = open(); table.next();) {
      const auto& cells = table.cells();
      index.add_label(name(table.lines(), cells[layout_.label_at]), table.lines());
      if (layout_.group_at)
        index.groups.push_back(index.group_names.add(name(table.lines(), cells[*layout_.group_at])));
    }
    if (index.labels.empty()) throw Error("'" + path_ + "' has a header and no samples", Exit::io);
    return index;
  }

  /// For so many of its rows.
  RowStore store(std::size_t rows, const std::string& folder = "") const {
    return {rows, layout_.features(), folder, "'" + path_ + "'"};
  }

  /// Appends the features of the rows that `train` and `test` name, ascending, to `to_train` and `to_test`; a row in
  /// neither is not looked at.
  void read(const std::vector<std::int32_t>& train, const std::vector<std::int32_t>& test, RowStore& to_train,
            RowStore& to_test) const {
    auto next_train = train.begin(), next_test = test.begin();
    TextTable table = open();
    for (std::int32_t row = 0;; ++row) {
      RowStore* to = nullptr;
      if (next_train != train.end() && *next_train == row) to = &to_train, ++next_train;
      if (next_test != test.end() && *next_test == row) to = &to_test, ++next_test;
      if (!(to ? table.next() : table.skip())) return;
      if (!to) continue;
      for (std::size_t c = 0; c < layout_.columns; ++c)
        if (layout_.is_feature(c)) to->add(table.lines().number(table.cells()[c]));
    }
  }

 private:
  TextTable open() const { return {path_, request_.open(path_, advice_)}; }

  /// A label's or group's cell.
  static std::string_view name(const TextLines& lines, std::string_view cell) {
    if (cell.empty()) lines.fail(cell, "a label or group is missing");
    if (is_number(cell)) lines.number(cell);  // rejects NaN and infinities
    lines.require_utf8(cell);
    return cell;
  }

  std::string path_;
  Layout layout_;
  const DatasetRequest& request_;
  std::string advice_;
};

Schema schema_of(const Layout& layout, Schema schema) {
  schema.columns = layout.header;
  for (std::size_t c = 0; c < layout.header.size(); ++c)
    if (layout.is_feature(c)) schema.features.push_back(layout.header[c]);
  schema.label = layout.header.empty() ? std::to_string(layout.label_at + 1) : layout.header[layout.label_at];
  return schema;
}

/// The rows of `file`, all of them, as a test set beside those of `train`.
Dataset read_test(const DatasetRequest& request, const CsvFile& train) {
  const std::string& path = request.test;
  require_regular(path);
  const Layout& layout = train.layout();
  Layout same;
  same.label = layout.label, same.group = layout.group;
  const CsvFile file(path, same, request, "name the file of the test samples with --test");
  const Layout& found = file.layout();
  if (found.columns != layout.columns || found.header != layout.header)
    throw Error("'" + path + "', the test samples, has not the columns of '" + train.path() +
                "'; both need the same, in the same order");
  const TableIndex index = file.index();
  const std::vector<std::int32_t> rows = all_rows(index.labels.size());
  RowStore none = file.store(0), values = file.store(rows.size());
  file.read({}, rows, none, values);
  return make_half(index, rows, values.finish(), layout.group);
}

}  // namespace

TrainTest make_csv(const DatasetRequest& request, Params& params) {
  Layout layout;
  layout.label = params.text("label", kLast, "label column, a name of the header or a number from 1");
  layout.group = params.text("group", kNone, "column that is no feature: for by-column partitions, and test-by=group");
  const TestDraw draw = read_test_draw(params, request, layout.group != kNone);
  TrainTest data;
  read_scaling(params, request, data);
  const std::string endings[] = {".csv"};
  const CsvFile file(find_table(request, "csv", endings), layout, request);
  data.source = file.path();

  const TableIndex index = file.index();
  RowSplit split;
  if (request.test.empty() && request.store.empty())
    split = draw_test(index, draw, request, file.path());
  else
    split.train = all_rows(index.labels.size());
  TablePlan plan = plan_rows(index, std::move(split), request, layout.group);
  RowStore train = file.store(plan.train.size(), request.store), test = file.store(plan.test.size());
  file.read(plan.train, plan.test, train, test);
  data.train = make_half(index, plan.train, train.finish(), layout.group);
  data.test =
      request.test.empty() ? make_half(index, plan.test, test.finish(), layout.group) : read_test(request, file);
  data.train.schema = schema_of(file.layout(), data.train.schema);
  data.train_samples = plan.train_samples;
  data.groups_to_test = plan.groups_to_test;
  data.dealt = static_cast<bool>(request.deal);
  if (!request.store.empty()) data.groups = tabulate(index.group_names.all()).names;
  if (data.dealt) data.train.number_samples(std::move(plan.kept));
  return data;
}

}  // namespace ecl
