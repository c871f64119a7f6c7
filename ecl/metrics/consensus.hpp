#pragma once

#include <vector>

#include "ecl/base/types.hpp"

/// How far apart the nodes' models are.
namespace ecl {

/// The mean of at least one model, all of d floats.
std::vector<double> mean_of(const std::vector<CVec>& models);

/// |x - mean| / |mean|: how far a node is from the nodes' average model.
double relative_distance(CVec x, const std::vector<double>& mean);

/// The consensus error of a run: root mean square over the nodes of their models' relative distances to the mean.
double consensus_error(const std::vector<CVec>& models);
/// The same from the nodes' distances.
double root_mean_square(const std::vector<double>& distances);

}  // namespace ecl
