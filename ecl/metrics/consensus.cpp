#include "ecl/metrics/consensus.hpp"

#include <cmath>

namespace ecl {

std::vector<double> mean_of(const std::vector<CVec>& models) {
  std::vector<double> mean(models.at(0).size());
  for (const CVec model : models)
    for (std::size_t d = 0; d < mean.size(); ++d) mean[d] += model[d];
  for (double& value : mean) value /= static_cast<double>(models.size());
  return mean;
}

double relative_distance(CVec x, const std::vector<double>& mean) {
  double distance = 0, norm = 0;
  for (std::size_t d = 0; d < x.size(); ++d) {
    const double difference = x[d] - mean[d];
    distance += difference * difference;
    norm += mean[d] * mean[d];
  }
  return norm > 0 ? std::sqrt(distance / norm) : std::sqrt(distance);
}

double root_mean_square(const std::vector<double>& distances) {
  double squares = 0;
  for (const double distance : distances) squares += distance * distance;
  return std::sqrt(squares / static_cast<double>(distances.size()));
}

double consensus_error(const std::vector<CVec>& models) {
  const std::vector<double> mean = mean_of(models);
  std::vector<double> distances;
  for (const CVec model : models) distances.push_back(relative_distance(model, mean));
  return root_mean_square(distances);
}

}  // namespace ecl
