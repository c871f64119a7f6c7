#include "ecl/engines/local_evaluations.hpp"

#include <algorithm>
#include <utility>

namespace ecl {

LocalEvaluations::LocalEvaluations(NodeId nodes, std::size_t dim, Finished finished)
    : nodes_(nodes), dim_(dim), finished_(std::move(finished)), mean_(dim) {}

void LocalEvaluations::add(std::uint64_t k, CVec x, const MetricsRow& row) {
  Pending& evaluation = pending_[k];
  evaluation.rows.resize(nodes_);
  evaluation.models.resize(nodes_ * dim_);
  std::copy(x.begin(), x.end(), evaluation.models.begin() + row.node * dim_);
  evaluation.rows[row.node] = row;
  if (++evaluation.reached < nodes_) return;
  finish(evaluation);
  done_ = k;
  pending_.erase(pending_.begin(), pending_.upper_bound(k));
}

void LocalEvaluations::finish(Pending& evaluation) {
  std::fill(mean_.begin(), mean_.end(), 0.0);
  for (NodeId i = 0; i < nodes_; ++i)
    for (std::size_t d = 0; d < dim_; ++d) mean_[d] += evaluation.models[i * dim_ + d];
  for (double& value : mean_) value /= nodes_;
  for (MetricsRow& row : evaluation.rows)
    row.consensus_error = relative_distance({evaluation.models.data() + row.node * dim_, dim_}, mean_);
  finished_(evaluation.rows);
}

}  // namespace ecl
