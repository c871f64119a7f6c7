#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ecl/base/archive.hpp"
#include "ecl/contracts/model.hpp"
#include "ecl/run/experiment.hpp"

namespace ecl {

/// What a site tells of itself at the end of a run with own data: a line of sites.csv. Counts and scores, no sample.
struct SiteReport {
  NodeId node = 0;
  std::uint64_t train = 0, test = 0;        ///< samples
  double test_weight = 0;                   ///< of those to test on; their number, where they have none
  std::vector<std::uint64_t> class_counts;  ///< of its training samples
  Score consensus;                          ///< of the average model, on its test samples
  Score own;                                ///< of its own model
  Score alone;                              ///< of the model that it would have had alone (--compare-local), else NaN
  std::optional<Measures> measures;         ///< of the average model, on its test samples

  void archive(Archive& archive) {
    archive(node, train, test, test_weight);
    if (measures) archive(*measures);
    archive.list(class_counts);
    for (Score* score : {&consensus, &own, &alone}) archive(score->loss, score->accuracy);
  }
};

/// Node i's, a node of this process. `mean`: the average model. `with_alone`: trains it alone too, if the run asks.
SiteReport report_site(const Experiment& experiment, NodeId i, const std::vector<double>& mean, CVec own_model,
                       bool with_alone);
/// Gathers the reports of all sites, in their order; empty where the data were dealt. Collective over `sites`.
std::vector<SiteReport> gather_reports(Sites& sites, const std::vector<SiteReport>& mine);

/// The score over all sites' test samples, by their weights: hits and losses add up.
Score over_all_sites(const std::vector<SiteReport>& sites, Score SiteReport::*which);

/// The text of sites.csv.
std::string to_csv(const std::vector<SiteReport>& sites, const Schema& schema);

}  // namespace ecl
