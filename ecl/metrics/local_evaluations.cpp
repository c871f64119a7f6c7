#include "ecl/metrics/local_evaluations.hpp"

#include <algorithm>
#include <utility>

#include "ecl/metrics/consensus.hpp"

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

void LocalEvaluations::archive(Archive& archive) {
  std::uint64_t count = pending_.size();
  archive(done_, mean_, count);
  if (!archive.loading()) {
    for (auto& [k, evaluation] : pending_) {
      std::uint64_t number = k;
      archive(number, evaluation);
    }
    return;
  }
  pending_.clear();
  for (std::uint64_t n = 0; n < count; ++n) {
    std::uint64_t k = 0;
    Pending evaluation;
    archive(k, evaluation);
    const bool fits = k > done_ && evaluation.reached < nodes_ && evaluation.rows.size() == nodes_ &&
                      evaluation.models.size() == nodes_ * dim_;
    if (!fits || !pending_.emplace(k, std::move(evaluation)).second) archive.fail("does not fit the run's evaluations");
  }
}

void LocalEvaluations::Pending::archive(Archive& archive) {
  archive.list(rows), archive.list(models);
  archive(reached);
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
