#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ecl/inference/measures.hpp"
#include "ecl/metrics/recorder.hpp"
#include "ecl/run/experiment.hpp"

/// How good the nodes' average model is at an evaluation: each node looks at a share of the test samples, its own or an
/// equal part of those that all have, and the counts and sums add up to those of all.
namespace ecl {

/// Of node i's share, a node of this process; the scores of two classes in 256 bins. None where the model predicts
/// nothing.
std::optional<Measures> measure_share(const Experiment& experiment, NodeId i, const std::vector<double>& mean);
/// Of all shares, where they are all here.
std::optional<Measures> measure_shares(const Experiment& experiment, const std::vector<double>& mean);

/// The same between ranks: measure_share() as bytes, always as many; and what was gathered of all, added up.
std::string share_as_bytes(const Experiment& experiment, NodeId i, const std::vector<double>& mean);
std::optional<Measures> sum_of_shares(const Experiment& experiment, const std::vector<std::string>& shares);

/// Writes them into the rows of an evaluation.
void note_average(std::vector<MetricsRow>& rows, const std::optional<Measures>& measures);

}  // namespace ecl
