#pragma once

#include <cstdint>
#include <vector>

#include "ecl/base/archive.hpp"
#include "ecl/contracts/dataset.hpp"
#include "ecl/contracts/model.hpp"
#include "ecl/node/augmentation.hpp"

namespace ecl {

/// The mini-batches of one node: its shard in a new random order each epoch, cut into full batches; a batch runs over
/// the end of an epoch into the next. A shard no larger than the batch is given whole, in its own order, each epoch.
class Batches {
 public:
  /// A function of (shard, batch size, seed, node, augmentation) alone; what a picture looks like in its shard's k-th
  /// epoch of the seed, the picture and k alone. Augmentation is for data with an image shape.
  Batches(Shard shard, std::size_t batch_size, std::uint64_t seed, NodeId node,
          Augmentation augmentation = Augmentation::none);

  /// Fills `batch`; allocates on first use only.
  void next(Batch& batch);
  const Shard& shard() const { return shard_; }
  std::size_t size() const { return size_; }  ///< samples per batch
  /// Saves or loads how far the batches have got.
  void archive(Archive& archive);

 private:
  void begin_epoch();

  Shard shard_;
  std::size_t size_;
  std::uint64_t seed_;
  NodeId node_;
  Augmentation augmentation_;
  std::uint64_t epoch_ = 0;          ///< begun so far
  std::vector<std::int32_t> order_;  ///< this epoch's rows
  std::size_t at_ = 0;               ///< next in order_
};

}  // namespace ecl
