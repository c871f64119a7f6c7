// Tables in text with a label column: separated by commas, semicolons, tabs or blanks, or ARFF; plain or gzip.
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/data/datasets/csv_file.hpp"

namespace ecl {
namespace {

/// The rows of the survey that `rows` names as `half` holds them.
Dataset finish(const CsvFile& file, const Survey& survey, const std::vector<std::int32_t>& rows, Half& half,
               const std::string& group) {
  Dataset data = make_half(survey.index, rows, half.rows.finish(), group);
  file.name_columns(half, data.schema);
  return data;
}

/// The rows of --test, all of them, as a test set beside those of `train`.
void read_test(const DatasetRequest& request, const CsvFile& train, const ColumnWishes& wishes, TrainTest& data) {
  const std::string& path = request.test;
  require_regular(path);
  const CsvFile file(path, wishes, request, "name the file of the test samples with --test", train.columns().header);
  if (file.columns().columns != train.columns().columns || file.columns().header != train.columns().header)
    throw Error("'" + path + "', the test samples, has not the columns of '" + train.path() +
                "'; both need the same, in the same order");
  const Survey survey = file.survey();
  const std::vector<std::int32_t> rows = all_rows(survey.index.labels.size());
  Half none = file.half(0), values = file.half(rows.size());
  file.read(survey, {}, rows, none, values);
  data.test = finish(file, survey, rows, values, wishes.group);
  data.test_gaps = survey.gaps;
  data.test_source = path;
}

}  // namespace

TrainTest make_csv(const DatasetRequest& request, Params& params) {
  ColumnWishes wishes = read_column_wishes(params, request);
  const LabelKind kind = wishes.labels = read_label_kind(params, request);
  const TestDraw draw = read_test_draw(params, request, wishes.grouped());
  TrainTest data;
  read_scaling(params, request, data);
  const std::string endings[] = {".csv", ".tsv", ".arff"};
  const CsvFile file(find_table(request, "csv", endings), wishes, request,
                     "name the .csv file, or a directory that holds one, with --data", wishes.named());
  data.source = file.path();

  const Survey survey = file.survey();
  if (kind == LabelKind::any) refuse_quantities(survey.index, file.path());
  RowSplit split;
  if (request.test.empty() && request.store.empty())
    split = draw_test(survey.index, draw, request, file.path());
  else
    split.train = all_rows(survey.index.labels.size());
  TablePlan plan = plan_rows(survey.index, std::move(split), request, wishes.group);
  Half train = file.half(plan.train.size(), request.store), test = file.half(plan.test.size());
  file.read(survey, plan.train, plan.test, train, test);
  data.train = finish(file, survey, plan.train, train, wishes.group);
  data.gaps = survey.gaps;
  if (request.test.empty())
    data.test = finish(file, survey, plan.test, test, wishes.group);
  else
    read_test(request, file, wishes, data);
  data.notes = file.notes(survey, train);
  note_plan(data, std::move(plan), survey.index, request);
  return data;
}

}  // namespace ecl
