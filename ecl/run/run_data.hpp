#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ecl/contracts/dataset.hpp"
#include "ecl/contracts/sites.hpp"
#include "ecl/data/agreement.hpp"
#include "ecl/inference/trained_model.hpp"
#include "ecl/run/spec.hpp"

namespace ecl {

/// The samples of a run where they are: what the nodes of this process train and are tested on, and what all know of
/// the rest. Either every node has files of its own (partition `own`), or all read one data set, which is dealt.
class RunData {
 public:
  /// Reads, deals, and agrees with the other sites on what the data mean. `rank`: the node of this process; none: all
  /// are here. Collective over `sites`; throws Error, the same in all processes.
  RunData(const Spec& spec, NodeId nodes, Sites& sites, std::optional<NodeId> rank);

  /// Node i's samples; of this process's nodes.
  const Shard& shard(NodeId i) const { return shards_[i]; }
  /// What node i's model is tested on; of this process's nodes.
  const Dataset& test_of(NodeId i) const { return tests_[own_tests_ ? i - first_ : 0]; }
  /// Every node has test samples of its own, which only it sees.
  bool own_tests() const { return own_tests_; }
  /// All training samples, where they are all here: an artificial data set until forget_others(), or the simulator's.
  const Dataset* everything() const { return everything_.get(); }
  /// Sparse samples become dense ones, for a model that takes no others. Throws Error where there is no room.
  void make_dense();
  /// Nothing is kept but what this process's nodes train on.
  void forget_others();

  /// A data set of this process, for what is the same in all: features, classes, shape, schema.
  const Dataset& example() const { return *shards_[first_].data; }
  /// By node.
  const std::vector<std::size_t>& shard_sizes() const { return shard_sizes_; }
  const std::vector<std::size_t>& test_sizes() const { return test_sizes_; }  ///< one where there is one test set
  std::size_t train_samples() const;                                          ///< of all nodes
  std::size_t test_samples() const;                                           ///< of all nodes
  std::size_t groups_to_test() const { return groups_to_test_; }  ///< whole groups that were drawn for the test
  /// Classes that no training row has, in a test file: misspelt, perhaps.
  const std::vector<std::string>& only_tested() const { return only_tested_; }
  /// What of the data was left out or filled in, in words.
  const std::vector<std::string>& notes() const { return notes_; }
  /// Of node i's features, a node of this process; empty: they are as they were.
  const Scale& scale(NodeId i) const { return scales_[own_scaling() ? i - first_ : 0]; }
  /// By node: its training samples of each class, or with each label; none of numbers.
  const std::vector<std::vector<std::uint64_t>>& class_counts() const { return class_counts_; }
  /// The model that goes on to learn (--init); its columns, classes and scaling are this run's.
  const std::optional<TrainedModel>& earlier() const { return earlier_; }
  /// Of regression: what the numbers are scaled by, at all nodes.
  const std::optional<TargetScale>& target_scale() const { return target_scale_; }
  /// Each node has a scaling of its own.
  bool own_scaling() const { return own_scaling_; }

  NodeId devices() const { return devices_; }
  std::uint64_t samples_moved() const { return samples_moved_; }  ///< that left the device they were on
  std::uint64_t raw_bytes_moved() const { return samples_moved_ * example().bytes_per_sample(); }

  /// CRC-32 of the samples that are here, to train and to test on; of node i's alone.
  std::uint32_t checksum() const;
  std::uint32_t checksum_of(NodeId i) const;
  /// Of a training sample of this process, at least 1, which is their mean over all sites.
  double largest_weight() const;

 private:
  struct Reading;
  Reading read(const Spec& spec, NodeId nodes, Sites& sites);
  TrainTest read_site(const Spec& spec, NodeId nodes, NodeId i) const;
  TrainTest read_all(const Spec& spec, NodeId nodes, Sites& sites, Reading& reading);
  std::string place_of(NodeId i) const;
  void agree(Sites& sites, Reading& reading);
  [[noreturn]] void refuse_own_scaling() const;
  TrainedModel read_earlier(const std::string& run) const;
  void fit_to_earlier(std::vector<TrainTest>& held) const;
  void count_classes(Sites& sites, std::span<const SiteRows> rows);
  void find_only_tested(const Dataset& example);
  void scale_as_earlier(std::vector<TrainTest>& held);
  void scale(Sites& sites, std::vector<TrainTest>& held, std::span<const SiteRows> rows);
  void take_notes(const SiteSizes& sizes);
  void make_shards(Reading& reading);
  /// Nodes of this process.
  NodeId here() const { return rank_ ? 1 : static_cast<NodeId>(shards_.size()); }

  std::optional<NodeId> rank_;
  NodeId first_ = 0;
  bool own_ = false, own_tests_ = false;
  std::vector<Shard> shards_;  ///< by node; empty for those of other processes
  std::vector<Dataset> tests_;
  std::shared_ptr<const Dataset> everything_;
  std::vector<std::size_t> shard_sizes_, test_sizes_;
  std::size_t groups_to_test_ = 0;
  std::vector<std::string> only_tested_, notes_;
  std::vector<Scale> scales_;
  bool own_scaling_ = false;
  std::vector<std::vector<std::uint64_t>> class_counts_;
  std::optional<TargetScale> target_scale_;
  std::optional<TrainedModel> earlier_;
  NodeId devices_ = 0;
  std::uint64_t samples_moved_ = 0;
};

}  // namespace ecl
