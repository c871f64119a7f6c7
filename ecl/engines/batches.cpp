#include "ecl/engines/batches.hpp"

#include <algorithm>

#include "ecl/words/check.hpp"
#include "ecl/words/random.hpp"

namespace ecl {

Batches::Batches(Shard shard, std::size_t batch_size, std::uint64_t seed, NodeId node)
    : shard_(std::move(shard)), size_(std::min(batch_size, shard_.rows.size())), seed_(seed), node_(node) {
  ECL_CHECK(size_ > 0);
  order_ = shard_.rows;
  if (size_ < order_.size()) reshuffle();
}

void Batches::reshuffle() {
  order_ = shard_.rows;  // not the last order: epoch k's order is a function of (seed, node, k)
  Random random(seed_, Purpose::batches, node_, epoch_++);
  shuffle(order_, random);
  at_ = 0;
}

void Batches::archive(Archive& archive) {
  std::uint64_t at = at_;
  archive(epoch_, at);
  if (!archive.loading()) return;
  if (at > order_.size()) archive.fail("holds a place beyond the samples of its node");
  if (epoch_ > 0) {
    --epoch_;  // the order follows from the epoch
    reshuffle();
  }
  at_ = at;
}

void Batches::next(Batch& batch) {
  const Dataset& data = *shard_.data;
  batch.features.resize(size_ * data.features());
  batch.labels.resize(size_);
  for (std::size_t done = 0; done < size_;) {
    if (at_ == order_.size()) {
      at_ = 0;
      if (size_ < order_.size()) reshuffle();
    }
    const std::size_t count = std::min(size_ - done, order_.size() - at_);
    const std::span<const std::int32_t> rows(order_.data() + at_, count);
    data.gather(rows, batch.features.data() + done * data.features());
    for (std::size_t i = 0; i < count; ++i) batch.labels[done + i] = data.labels()[rows[i]];
    at_ += count;
    done += count;
  }
}

}  // namespace ecl
