#include "ecl/node/batches.hpp"

#include <algorithm>

#include "ecl/base/check.hpp"
#include "ecl/base/random.hpp"

namespace ecl {

Batches::Batches(Shard shard, std::size_t batch_size, std::uint64_t seed, NodeId node, Augmentation augmentation)
    : shard_(std::move(shard)),
      size_(std::min(batch_size, shard_.rows.size())),
      seed_(seed),
      node_(node),
      augmentation_(augmentation) {
  ECL_CHECK(size_ > 0);
  const auto [channels, height, width] = shard_.data->image;
  ECL_CHECK(augmentation == Augmentation::none || channels * height * width == shard_.data->features());
  begin_epoch();
}

void Batches::begin_epoch() {
  order_ = shard_.rows;  // not the last order: epoch k's order is a function of (seed, node, k)
  if (size_ < order_.size()) {
    Random random(seed_, Purpose::batches, node_, epoch_);
    shuffle(order_, random);
  }
  ++epoch_;
  at_ = 0;
}

void Batches::archive(Archive& archive) {
  std::uint64_t at = at_;
  archive(epoch_, at);
  if (!archive.loading()) return;
  if (epoch_ == 0 || at > order_.size()) archive.fail("holds a place that its node's samples do not have");
  --epoch_;  // the order follows from the epoch
  begin_epoch();
  at_ = at;
}

void Batches::next(Batch& batch) {
  const Dataset& data = *shard_.data;
  batch.features.resize(data.sparse() ? 0 : size_ * data.features());
  batch.rows.clear();
  batch.labels.resize(size_);
  const std::size_t width = data.targets().size() / data.size();
  batch.targets.resize(width * size_);
  batch.weights.resize(data.weights().empty() ? 0 : size_);
  for (std::size_t done = 0; done < size_;) {
    if (at_ == order_.size()) begin_epoch();
    const std::size_t count = std::min(size_ - done, order_.size() - at_);
    const std::span<const std::int32_t> rows(order_.data() + at_, count);
    float* features = data.sparse() ? nullptr : batch.features.data() + done * data.features();
    if (data.sparse())
      data.gather(rows, batch.rows);
    else
      data.gather(rows, features);
    for (std::size_t i = 0; i < count; ++i) batch.labels[done + i] = data.labels()[rows[i]];
    for (std::size_t i = 0; width > 0 && i < count; ++i)
      std::copy_n(data.targets().begin() + static_cast<std::ptrdiff_t>(rows[i] * width), width,
                  batch.targets.begin() + static_cast<std::ptrdiff_t>((done + i) * width));
    for (std::size_t i = 0; !batch.weights.empty() && i < count; ++i) batch.weights[done + i] = data.weights()[rows[i]];
    if (augmentation_ == Augmentation::crop_flip)
      for (const std::int32_t row : rows) {
        CropFlip::draw(seed_, data.number(row), epoch_ - 1).apply(data, features);
        features += data.features();
      }
    at_ += count;
    done += count;
  }
}

}  // namespace ecl
