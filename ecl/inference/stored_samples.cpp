// Samples in the formats of the other data sets: read whole, or mapped, and handed on block by block.
#include <algorithm>
#include <filesystem>
#include <numeric>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/text_lines.hpp"
#include "ecl/data/datasets/idx.hpp"
#include "ecl/data/datasets/table.hpp"
#include "ecl/inference/samples.hpp"

namespace ecl {
namespace {

constexpr std::size_t kBlock = 4096;

class StoredSamples final : public Samples {
 public:
  explicit StoredSamples(Dataset data) : data_(std::move(data)) {}

  bool next(Block& block) override {
    const std::size_t count = std::min(kBlock, data_.size() - rows_);
    if (count == 0) return false;
    std::vector<std::int32_t> rows(count);
    std::iota(rows.begin(), rows.end(), static_cast<std::int32_t>(rows_));
    block.data = data_.subset(rows);
    block.rows.assign(rows.begin(), rows.end());
    for (std::uint64_t& row : block.rows) ++row;
    rows_ += count;
    return true;
  }

 private:
  Dataset data_;
};

[[noreturn]] void other_features(const std::string& path, std::int64_t found, const Predictor& predictor) {
  throw Error("'" + path + "' has samples of " + std::to_string(found) + " features, and the model takes " +
              std::to_string(predictor.features()) + "; is it of the same kind of data?");
}

/// The classes become those of the model.
void number_classes(const Predictor& predictor, Dataset& data, const std::string& path) {
  const auto& names = data.schema.classes;
  if (names.empty() && !predictor.multi_label()) return;  // numbers in any case, or no classes
  std::vector<std::int32_t> number_of;
  for (const std::string& name : names) {
    number_of.push_back(predictor.class_number(name));
    const bool none = predictor.multi_label() && predictor.classes() == 1 && parse_number(name) == 0;  // beside 1
    if (number_of.back() < 0 && !none)
      throw Error("'" + path + "' has the label " + ecl::quoted(name) + ", which is none of the model's classes");
  }
  data.relabel(number_of, predictor.classes());
}

/// All rows of a file as its reader sees them. For the reader it is the test file.
Dataset read_labelled(const Predictor& predictor, const std::string& path) {
  const Choice trained = Choice::parse(predictor.trained().dataset);
  Choice choice{trained.name, ""};
  for (const std::string& argument : split(trained.arguments, ','))  // how a file is read, not how it is dealt with
    if (argument.starts_with("base=")) choice.arguments = argument;
  DatasetRequest request{path, 1, 1};
  request.test = path;
  request.labels = predictor.trained().target ? LabelKind::numbers
                   : predictor.multi_label()  ? LabelKind::binary
                                              : LabelKind::classes;
  return std::move(read_dataset(choice, request).test);
}

std::unique_ptr<Samples> open_libsvm(const Predictor& predictor, const std::string& path, bool labelled) {
  Dataset data = read_labelled(predictor, path);
  if (data.features() > predictor.features()) other_features(path, data.features(), predictor);
  data.widen(predictor.features());
  if (labelled) number_classes(predictor, data, path);
  return std::make_unique<StoredSamples>(std::move(data));
}

/// The test files of a folder of pictures; or a file of pictures alone, in IDX format.
std::unique_ptr<Samples> open_pictures(const Predictor& predictor, const std::string& path, bool labelled) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored) || path.empty()) {
    Dataset data = read_labelled(predictor, path);
    if (data.features() != predictor.features()) other_features(path, data.features(), predictor);
    if (labelled) number_classes(predictor, data, path);
    return std::make_unique<StoredSamples>(std::move(data));
  }
  if (labelled) throw Error("'" + path + "' has no labels; name the folder that holds the test pictures and theirs");
  if (predictor.trained().setup.image.channels != 1)
    throw Error("'" + path + "': pictures in colour are read from the folder of their files");
  const auto stream = open_file(path, "name a file of pictures in IDX format, or a folder");
  IdxImages images = read_idx_images(*stream, path);
  const std::int64_t features = std::int64_t{images.height} * images.width;
  if (features != predictor.features()) other_features(path, features, predictor);
  Dataset data(static_cast<int>(features), 1, std::move(images.pixels), predictor.trained().channels,
               std::vector<std::int32_t>(images.count, 0));
  return std::make_unique<StoredSamples>(std::move(data));
}

}  // namespace

std::unique_ptr<Samples> open_stored(const Predictor& predictor, const std::string& path, bool labelled) {
  const std::string dataset = Choice::parse(predictor.trained().dataset).name;
  if (dataset == "libsvm") return open_libsvm(predictor, path, labelled);
  if (dataset == "mnist" || dataset == "fashion-mnist" || dataset == "cifar10")
    return open_pictures(predictor, path, labelled);
  throw Error("data set " + dataset +
              " has no files; ecl evaluate RUN, without --data, looks at the run's own test samples");
}

}  // namespace ecl
