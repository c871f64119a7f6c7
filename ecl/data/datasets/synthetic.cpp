// Gaussian classes: a centre per class, standard normal in every feature, and samples around it with deviation
// `spread`.
#include <cmath>
#include <random>

#include "ecl/base/check.hpp"
#include "ecl/base/random.hpp"
#include "ecl/data/datasets/table.hpp"

namespace ecl {
namespace {

struct Shape {
  std::int64_t features, classes;
  double spread;
};

void add_normals(Random random, double scale, float* out, std::int64_t count) {
  std::normal_distribution<double> normal;
  for (std::int64_t f = 0; f < count; ++f) out[f] += static_cast<float>(scale * normal(random));
}

/// Samples first .. first+count-1; the classes take turns, so each has its share in training and in test.
Dataset draw(const Shape& shape, const std::vector<float>& centres, std::int64_t first, std::int64_t count,
             std::uint64_t seed) {
  const double unit = 1 / std::sqrt(1 + shape.spread * shape.spread);  // features of variance 1 over all classes
  std::vector<float> values(count * shape.features);
  std::vector<std::int32_t> labels(count);
  for (std::int64_t n = 0; n < count; ++n) {
    labels[n] = static_cast<std::int32_t>(n % shape.classes);
    float* row = values.data() + n * shape.features;
    for (std::int64_t f = 0; f < shape.features; ++f)
      row[f] = static_cast<float>(unit * centres[labels[n] * shape.features + f]);
    add_normals(Random(seed, Purpose::dataset, first + n), unit * shape.spread, row, shape.features);
  }
  return Dataset(static_cast<int>(shape.features), static_cast<int>(shape.classes), std::move(values),
                 std::move(labels));
}

}  // namespace

TrainTest make_synthetic(const DatasetRequest& request, Params& params) {
  Shape shape;
  const std::int64_t samples = params.integer("samples", 4000, 5, 1'000'000'000, "training and test together, 4 to 1");
  shape.features = params.integer("features", 20, 1, kMostFeatures, "features of a sample");
  shape.classes = params.integer("classes", 10, 2, 10'000, "classes");
  shape.spread = params.number("spread", 1.5, 0, 1e6, "deviation of a class around its centre; the centres have 1");
  refuse_files(request, "synthetic");
  if (samples * shape.features > kMostValues || shape.classes * shape.features > kMostValues)
    throw Error("dataset synthetic: samples * features and classes * features must be at most " +
                std::to_string(kMostValues));

  std::vector<float> centres(shape.classes * shape.features);
  for (std::int64_t c = 0; c < shape.classes; ++c)  // step 1: apart from the streams of the samples
    add_normals(Random(request.seed, Purpose::dataset, c, 1), 1, centres.data() + c * shape.features, shape.features);
  const std::int64_t train = samples * 4 / 5;
  return {draw(shape, centres, 0, train, request.seed), draw(shape, centres, train, samples - train, request.seed)};
}

}  // namespace ecl
