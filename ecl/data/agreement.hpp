#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ecl/contracts/dataset.hpp"
#include "ecl/contracts/sites.hpp"

/// What the sites of a run agree on before its first step, in this order. No sample is shown: settings, names, counts,
/// and sums over columns are all that leaves a site. Each function is called in all processes at the same point; where
/// sites differ all throw the same Error, which names the first that does.
namespace ecl {

/// 1. All sites were started alike. `settings`: lines of text, the same for all sites of this process. `place` is its
/// name in messages: "rank 3 on node17".
void agree_on_settings(Sites& sites, const std::string& place, const std::string& settings);

/// What the sites said of their sizes, by site.
struct SiteSizes {
  std::vector<std::size_t> train, test, groups_to_test;
  std::vector<std::string> only_tested;  ///< classes that no training row has
  std::vector<Gaps> gaps, test_gaps;
  std::uint64_t ignored_queries = 0;
  std::vector<std::vector<std::string>> notes;  ///< TrainTest's
  std::vector<std::string> notes_of_all;        ///< agree_on_columns()
};

/// 2. The columns are the same (names and order, or their number where there is no header); the classes are the union
/// of all sites' label names, sorted (by value if all are numbers); sparse sites get the features of the widest.
/// Columns of text become the same features at all (agreed_columns.hpp).
/// `held`: the data of this process's sites, which are changed to fit; `places` their names. `earlier`: of a model that
/// goes on to learn: its columns, levels and classes are kept, and others refused.
SiteSizes agree_on_tables(Sites& sites, std::span<TrainTest> held, std::span<const std::string> places,
                          const Schema* earlier = nullptr);

/// Samples that all processes read are the same: `mine` says which they are, `what` names them in the message.
void agree_on_copies(Sites& sites, std::span<const std::string> places, const std::string& what,
                     const std::string& mine);

/// The training rows of one site.
struct SiteRows {
  const Dataset* data;
  std::span<const std::int32_t> rows;
};

/// 3. Mean and deviation of each feature over the training rows of all sites: from each site's sum, then from its sum
/// of squared distances to the common mean, both in double and added in the order of the sites, so that it does not
/// matter who holds which. A feature that is constant gets deviation 1. Missing values count as the
/// mean of those that are there; where none is, as 0. `held`: of this process's sites.
Scale agree_on_scale(Sites& sites, std::span<const SiteRows> held);

/// Does the scaling and the filling of gaps that the readers of `held` ask for, and returns it: of each of `held`,
/// where it is each site's own, else one for all. `rows`: of each of this process's sites.
std::vector<Scale> scale_features(Sites& sites, std::span<TrainTest> held, std::span<const SiteRows> rows);

/// 4. Of regression: mean and deviation of the training rows' numbers over all sites, added up as the features' are.
/// Scales the numbers of `held`. Throws Error if they are all alike.
TargetScale scale_targets(Sites& sites, std::span<TrainTest> held, std::span<const SiteRows> rows);

/// 5. Of samples with weights: the training rows' become such that their mean over all sites is 1. So a node's share is
/// its number of rows, N n_i / n, with and without weights, and the sum over the nodes is the weighted mean over all
/// rows, whoever holds them. Throws Error if all training rows, or all test rows, have the weight 0.
void scale_weights(Sites& sites, std::span<TrainTest> held, std::span<const SiteRows> rows);

}  // namespace ecl
