// Heterogeneous quadratics 1/2 (w-b)' H (w-b), one per sample, with H = (I - 2vv') D (I - 2vv'): a random rotation of
// the diagonal D that costs O(d). The model `quadratic` reads them.
#include <algorithm>
#include <cmath>
#include <random>

#include "ecl/base/check.hpp"
#include "ecl/base/random.hpp"
#include "ecl/data/datasets/table.hpp"

namespace ecl {
namespace {

/// Fills 3 * dimension floats: the diagonal of D | v, of length 1 | b. The eigenvalues lie in 1/condition .. 1, evenly
/// in their logarithm; the two ends are there whenever dimension >= 2.
void draw_quadratic(Random random, std::int64_t dimension, double condition, double heterogeneity, float* out) {
  std::normal_distribution<double> normal;
  float *diagonal = out, *v = out + dimension, *b = out + 2 * dimension;
  for (std::int64_t j = 0; j < dimension; ++j)
    diagonal[j] = static_cast<float>(std::exp(-random.uniform() * std::log(condition)));
  diagonal[0] = 1;
  if (dimension >= 2) diagonal[1] = static_cast<float>(1 / condition);

  std::vector<double> direction(dimension);
  double square = 0;
  for (double& value : direction) value = normal(random), square += value * value;
  if (square == 0) direction[0] = square = 1;
  for (std::int64_t j = 0; j < dimension; ++j) v[j] = static_cast<float>(direction[j] / std::sqrt(square));
  for (std::int64_t j = 0; j < dimension; ++j) b[j] = static_cast<float>(heterogeneity * normal(random));
}

}  // namespace

TrainTest make_quadratic(const DatasetRequest& request, Params& params) {
  const std::int64_t dimension = params.integer("dimension", 10, 1, 4096, "dimension of the model");
  const double condition = params.number("condition", 10, 1, 1e12, "largest over smallest eigenvalue of each sample");
  const double heterogeneity = params.number("heterogeneity", 5, 0, 1e6, "deviation of the samples' optima");
  std::int64_t samples = params.integer("samples", 0, 0, 1'000'000'000, "quadratics; 0: one per node");
  if (samples == 0) samples = std::max<std::int64_t>(1, request.nodes);
  refuse_files(request, "quadratic");
  if (samples * 3 * dimension > kMostValues)
    throw Error("dataset quadratic: samples * 3 * dimension must be at most " + std::to_string(kMostValues));

  std::vector<float> values(samples * 3 * dimension);
  for (std::int64_t n = 0; n < samples; ++n)
    draw_quadratic(Random(request.seed, Purpose::dataset, n), dimension, condition, heterogeneity,
                   values.data() + n * 3 * dimension);
  Dataset all(static_cast<int>(3 * dimension), 0, std::move(values), std::vector<std::int32_t>(samples, 0));
  return {all, all};
}

}  // namespace ecl
