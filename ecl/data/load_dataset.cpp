#include "ecl/base/check.hpp"
#include "ecl/contracts/dataset.hpp"
#include "ecl/data/agreement.hpp"

namespace ecl {

TrainTest read_dataset(const Choice& choice, const DatasetRequest& request) {
  const auto& entry = datasets().find(choice.name);
  Params params = datasets().params(choice);
  TrainTest read = entry.make(request, params);
  params.finish();
  if (read.train.size() == 0) throw Error("dataset " + choice.text() + ": there is no sample to train on", Exit::io);
  if (request.labels == LabelKind::numbers && read.train.targets().empty())
    throw Error("dataset " + choice.name + " has " + (read.train.classes() > 0 ? "classes" : "no labels") +
                "; --loss mse, mae and huber are of numbers, in a csv, libsvm, npy or hdf5 file");
  if (request.labels == LabelKind::binary && !read.train.multi_label())
    throw Error(
        "dataset " + choice.name + " has " + (read.train.classes() > 0 ? "one class a sample" : "no labels") +
        "; --loss logistic is of columns that are 0 or 1 of a csv file, label=a|b, or of the labels of a libsvm "
        "file");
  if (read.train_samples == 0) read.train_samples = read.train.size();
  return read;
}

TrainTest load_dataset(const Choice& choice, const DatasetRequest& request) {
  TrainTest data = read_dataset(choice, request);
  LocalSites here;
  const std::string place = "the data";
  agree_on_tables(here, {&data, 1}, {&place, 1});
  const std::vector<std::int32_t> rows = all_rows(data.train.size());
  const SiteRows site{&data.train, rows};
  scale_features(here, {&data, 1}, {&site, 1});
  if (data.train.is_regression()) scale_targets(here, {&data, 1}, {&site, 1});
  scale_weights(here, {&data, 1}, {&site, 1});
  return data;
}

}  // namespace ecl
