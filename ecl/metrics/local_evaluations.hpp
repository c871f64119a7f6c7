#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "ecl/base/archive.hpp"
#include "ecl/metrics/recorder.hpp"

namespace ecl {

/// Evaluations of a run in one process: nodes reach the k-th at different times; when all have, it is finished.
class LocalEvaluations {
 public:
  /// `finished` gets the rows of an evaluation in node order, with their consensus errors.
  using Finished = std::function<void(std::vector<MetricsRow>&)>;

  LocalEvaluations(NodeId nodes, std::size_t dim, Finished finished);

  /// Node row.node, with model x, has reached its k-th evaluation (from 1).
  void add(std::uint64_t k, CVec x, const MetricsRow& row);
  /// Forget those that not all nodes have reached.
  void clear() { pending_.clear(); }

  std::uint64_t done() const { return done_; }  ///< number of the newest finished one; 0: none
  /// Saves or loads all that changes after construction.
  void archive(Archive& archive);
  /// The mean of the models at the newest finished one.
  const std::vector<double>& mean() const { return mean_; }

 private:
  struct Pending {
    std::vector<MetricsRow> rows;
    std::vector<float> models;  ///< node after node
    NodeId reached = 0;

    void archive(Archive& archive);
  };

  void finish(Pending& evaluation);

  NodeId nodes_;
  std::size_t dim_;
  Finished finished_;
  std::map<std::uint64_t, Pending> pending_;
  std::uint64_t done_ = 0;
  std::vector<double> mean_;
};

}  // namespace ecl
