#include "ecl/run/average_measures.hpp"

#include <algorithm>
#include <numeric>

namespace ecl {
namespace {

/// Few bins between nodes, whether samples are everybody's or not: they travel at each evaluation.
std::optional<Measures> nothing_yet(const Experiment& experiment) {
  return experiment.no_measures(ClassifierMeasures::kBinsBetweenSites);
}

}  // namespace

std::optional<Measures> measure_share(const Experiment& experiment, NodeId i, const std::vector<double>& mean) {
  std::optional<Measures> measures = nothing_yet(experiment);
  if (!measures) return measures;
  const Floats x(mean.begin(), mean.end());
  const Dataset& tests = experiment.data.test_of(i);
  if (experiment.data.own_tests()) {
    measures->add(*experiment.model, x, tests);
    return measures;
  }
  const std::size_t first = tests.size() * i / experiment.nodes(), end = tests.size() * (i + 1) / experiment.nodes();
  std::vector<std::int32_t> rows(end - first);
  std::iota(rows.begin(), rows.end(), static_cast<std::int32_t>(first));
  measures->add(*experiment.model, x, tests.subset(rows));
  return measures;
}

std::optional<Measures> measure_shares(const Experiment& experiment, const std::vector<double>& mean) {
  std::optional<Measures> all = nothing_yet(experiment);
  for (NodeId i = 0; all && i < experiment.nodes(); ++i) all->add(*measure_share(experiment, i, mean));
  return all;
}

std::string share_as_bytes(const Experiment& experiment, NodeId i, const std::vector<double>& mean) {
  std::optional<Measures> measures = measure_share(experiment, i, mean);
  Archive archive;
  if (measures) archive(*measures);
  return archive.bytes();
}

std::optional<Measures> sum_of_shares(const Experiment& experiment, const std::vector<std::string>& shares) {
  std::optional<Measures> all = nothing_yet(experiment);
  for (std::size_t i = 0; all && i < shares.size(); ++i) {
    Measures share = *nothing_yet(experiment);
    Archive archive(shares[i], "what a rank measured");
    archive(share);
    archive.finish();
    all->add(share);
  }
  return all;
}

void note_average(std::vector<MetricsRow>& rows, const std::optional<Measures>& measures) {
  if (!measures || measures->samples() == 0) return;
  for (const auto& [name, value] : measures->named()) {
    const auto at = std::ranges::find(kAverageMeasures, name);
    if (at == kAverageMeasures.end()) continue;
    for (MetricsRow& row : rows) row.average[at - kAverageMeasures.begin()] = value;
  }
}

}  // namespace ecl
