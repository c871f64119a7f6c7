#include <array>
#include <span>
#include <vector>

#include "ecl/base/npy.hpp"
#include "ecl/base/zip.hpp"
#include "ecl/inference/exports.hpp"

namespace ecl {
namespace {

template <class T>
void add(ZipFile& file, const std::string& name, const char* type, const std::vector<std::size_t>& shape,
         std::span<const T> values) {
  const std::string header = npy_header(type, shape);
  const std::string_view pieces[] = {header, {reinterpret_cast<const char*>(values.data()), values.size_bytes()}};
  file.add(name + ".npy", pieces);
}

void add_scale(ZipFile& file, const Scale& scale) {
  const auto put = [&](const char* name, const std::vector<double>& values) {
    if (!values.empty()) add<double>(file, name, "<f8", {values.size()}, values);
  };
  put("mean", scale.mean), put("deviation", scale.deviation), put("fill", scale.fill);
}

/// Of shapes with which (pictures / 255 - mean) / deviation is what the model sees.
void add_channels(ZipFile& file, const std::vector<Normalisation>& channels) {
  std::vector<float> means, deviations;
  for (const auto [mean, deviation] : channels) means.push_back(mean), deviations.push_back(deviation);
  add<float>(file, "mean", "<f4", {channels.size(), 1, 1}, means);
  add<float>(file, "deviation", "<f4", {channels.size(), 1, 1}, deviations);
}

}  // namespace

void write_npz(const Predictor& predictor, const std::string& path) {
  const TrainedModel& trained = predictor.trained();
  ZipFile file(path);
  std::span<const float> rest(trained.parameters);
  for (const Slice& slice : predictor.model().slices()) {
    add<float>(file, slice.name, "<f4", {slice.shape.begin(), slice.shape.end()}, rest.first(slice.size()));
    rest = rest.subspan(slice.size());
  }
  if (!rest.empty()) add<float>(file, "parameters", "<f4", {rest.size()}, rest);  // of a model that does not name them
  if (!trained.channels.empty())
    add_channels(file, trained.channels);
  else if (trained.scale)
    add_scale(file, *trained.scale);
  const std::string json = model_json(trained);
  const std::string_view pieces[] = {json};
  file.add("model.json", pieces);  // numpy.load gives what is no array as bytes
  file.finish();
}

}  // namespace ecl
