#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ecl/base/byte_stream.hpp"
#include "ecl/base/params.hpp"
#include "ecl/base/registry.hpp"
#include "ecl/base/types.hpp"
#include "ecl/contracts/rows.hpp"

namespace ecl {

/// How a sample's features make a picture: channels x height x width, row-major, one channel's plane after the other.
/// All 0 where they do not.
struct ImageShape {
  int channels = 0, height = 0, width = 0;
};

/// What becomes of a missing cell of a table.
enum class Missing {
  refuse,     ///< an Error
  drop,       ///< its row is left out
  mean,       ///< the feature's mean over the training rows takes its place
  indicator,  ///< the same, and one more feature says where that was
};

/// A column of a table that features are made of.
struct Column {
  std::string name;                      ///< of the header; its number in the file, from 1, where there is none
  std::vector<std::string> levels = {};  ///< of a categorical one, sorted: each is a feature, 1 where the cell is it
  bool indicator = false;                ///< the last of its features is 1 where the cell is missing, else 0
};

/// What the parts of a sample are called: what a model's user needs to know of the data.
struct Schema {
  std::vector<std::string> columns;   ///< of the file, in its order; empty without a header
  std::string label;                  ///< the label's column; of several a|b|c
  std::string weight;                 ///< the column of the samples' weights; empty: all weigh the same
  std::vector<Column> inputs;         ///< the columns that are features, in the file's order; empty: it is no table
  std::vector<std::string> features;  ///< what the features are called; empty without a header
  std::vector<std::string> classes;   ///< by class number (or label); empty where they have no names but their numbers
  Missing missing = Missing::refuse;  ///< of the table's cells
  int column_count = 0;               ///< of a text table without a header: columns go by their numbers; else 0
};

/// What the numbers of a regression are scaled by.
struct TargetScale {
  double mean = 0, deviation = 1;
};

/// Labelled samples. Their features are stored in one of four ways (rows.hpp); who gathers rows does not see which.
class Dataset {
 public:
  Dataset() = default;
  /// `values`: n * features floats, row-major. `labels`: n class numbers 0 .. classes-1; all 0 if classes is 0.
  Dataset(int features, int classes, std::vector<float> values, std::vector<std::int32_t> labels);
  /// `bytes`: n * features. `channels`: one for each of the equal parts, one after the other, that a sample's features
  /// fall into: a picture's planes.
  Dataset(int features, int classes, std::vector<std::uint8_t> bytes, const std::vector<Normalisation>& channels,
          std::vector<std::int32_t> labels);
  /// A label for each row.
  Dataset(int classes, Rows rows, std::vector<std::int32_t> labels);

  std::size_t size() const { return labels_.size(); }
  int features() const { return features_; }
  int classes() const { return classes_; }  ///< 0 for problems without classes (quadratic)
  /// A sample has any number of the classes() labels, as targets() say; labels() means nothing then.
  bool multi_label() const { return multi_label_; }
  /// As it is stored: features and label; the mean, where samples differ.
  std::size_t bytes_per_sample() const;
  const std::vector<std::int32_t>& labels() const { return labels_; }
  /// What regression learns, a number for each sample; of samples with any number of labels classes() ones and zeros
  /// for each, row-major. Empty where samples have classes.
  const std::vector<float>& targets() const { return targets_; }
  void set_targets(std::vector<float> targets);
  void set_multi_label(std::vector<float> present);
  /// The targets are numbers to be predicted.
  bool is_regression() const { return !targets_.empty() && !multi_label_; }
  /// y becomes (y - mean) / deviation.
  void scale_targets(const TargetScale& scale);
  /// Of each sample's loss in training, and in all measures; empty: 1.
  const std::vector<float>& weights() const { return weights_; }
  void set_weights(std::vector<float> weights);
  void scale_weights(double factor);
  /// The sum over the samples; their number, where they have none.
  double total_weight() const;

  /// Writes the features of `rows` to `out`: rows.size() * features floats, row-major.
  void gather(std::span<const std::int32_t> rows, float* out) const;
  /// The same for the rows first .. first+count-1.
  void gather(std::size_t first, std::size_t count, float* out) const;

  /// Rows most of whose values are 0, kept as such.
  bool sparse() const { return std::holds_alternative<SparseRows>(rows_); }
  /// Adds the rows of a sparse data set to `out`, as they are.
  void gather(std::span<const std::int32_t> rows, SparseRows& out) const;
  void gather(std::size_t first, std::size_t count, SparseRows& out) const;
  /// Float samples in memory become sparse ones, and back. What is so already stays. Throws Error where there is no
  /// room.
  void make_sparse();
  void make_dense();

  /// Of the channels of byte features; none for others.
  std::vector<Normalisation> channels() const;

  /// The value of feature f where its byte is 0: black, in a picture. 0 where features are not kept as bytes.
  float black(int f) const;

  /// The number of sample `row` in the data set as it was loaded: subsets keep it.
  std::int32_t number(std::int32_t row) const { return numbers_.empty() ? row : numbers_[row]; }
  /// Says those numbers, one per sample, where a reader kept some rows only.
  void number_samples(std::vector<std::int32_t> numbers);

  /// Class c becomes number_of[c], one of `classes`; a label may become -1: it is left out.
  void relabel(std::span<const std::int32_t> number_of, int classes);
  /// Scales float samples, in memory or in a file (there when they are gathered).
  void scale(const Scale& scale);
  /// Adds features of value 0, of float or sparse samples in memory, until there are so many.
  void widen(int features);
  /// Other features of the same samples, a row for each.
  void replace_features(FloatRows rows);

  /// CRC-32 of features and labels as they are stored, going on from `before`.
  std::uint32_t checksum(std::uint32_t before = 0) const;

  /// A copy of these rows in this order.
  Dataset subset(std::span<const std::int32_t> rows) const;

  ImageShape image;  ///< its sizes multiply to features(), if it is one
  Schema schema;

  /// Columns that are not features, by name: one group number per sample. Natural shards (`by-column`).
  std::map<std::string, std::vector<std::int32_t>> columns;

 private:
  int features_ = 0;
  int classes_ = 0;
  Rows rows_;
  std::vector<std::int32_t> labels_;
  std::vector<float> targets_, weights_;
  bool multi_label_ = false;
  std::vector<std::int32_t> numbers_;  // empty: 0, 1, 2 ...
};

/// What the labels of a data set are taken for.
enum class LabelKind {
  any,      ///< classes, unless they look like a quantity, which is refused
  classes,  ///< whatever they look like
  numbers,  ///< to be predicted: regression
  binary,   ///< each of several, or of one, is there or not: 1 or 0
};

/// What features are scaled by.
enum class Scaling {
  none,   ///< nothing
  all,    ///< mean and deviation over the training rows of all sites
  own,    ///< over those of each site, by itself
  table,  ///< those of a file from an earlier run
};

/// What became of the missing cells of a table.
struct Gaps {
  std::uint64_t dropped_rows = 0;  ///< left out: a cell of theirs is missing
  std::uint64_t filled_cells = 0;  ///< their column's mean takes their place
};

/// What a reader made of files, or load_dataset() of them.
struct TrainTest {
  Dataset train, test;
  std::string source = {};               ///< the file, for messages
  std::string test_source = {};          ///< that of the test samples, where it is another
  Scaling scaling = Scaling::none;       ///< that is yet to be done
  std::string scaling_table = {};        ///< its file
  bool any_features = false;             ///< the number of features is but the largest index seen
  std::uint64_t values = 0, rows = 0;    ///< of a format for sparse rows: how many its file holds
  bool may_be_sparse = false;            ///< if these are few; what is scaled to mean 0 cannot be
  bool dealt = false;                    ///< `train` holds what DatasetRequest::deal kept, not all
  std::size_t train_samples = 0;         ///< all of them; 0: what `train` holds
  std::size_t groups_to_test = 0;        ///< whole groups that were drawn for the test
  std::vector<std::string> groups = {};  ///< their names, by number: where DatasetRequest::store asks for the table
  Gaps gaps = {}, test_gaps = {};        ///< of the file, and of the one that only the test samples come from
  std::vector<std::string> notes = {};   ///< what the reader's user should know; all sites are told, so no value
  std::uint64_t ignored_queries = 0;     ///< rows whose qid:N, a query of a ranking, is not used
};

/// What a reader is told.
struct DatasetRequest {
  std::string data;  ///< --data; empty: where the system keeps this set, if it does
  NodeId nodes;      ///< of the run: synthetic sets scale with it
  std::uint64_t seed;
  std::string test = {};              ///< --test: where the test samples are; empty: the data set says
  LabelKind labels = LabelKind::any;  ///< as --loss says it
  std::optional<NodeId> site = {};    ///< whose own data these are; none: everybody's
  /// Opens files that other ranks read as well.
  std::function<std::unique_ptr<ByteStream>(const std::string&, const std::string&)> open = open_file;
  /// A folder, into whose features.npy a table's rows go, all of them as training rows. Empty: they stay in memory.
  std::string store = {};
  /// From the labels and columns of all training samples (no features): the rows to keep, ascending. Empty: all. A
  /// reader may leave it to its caller.
  std::function<std::vector<std::int32_t>(const Dataset&)> deal = {};
};

/// Throws Error (usage) if a file is not there, Error (io) if its content is damaged; both name file and place.
using DatasetFactory = TrainTest(const DatasetRequest&, Params&);
const Registry<DatasetFactory>& datasets();
/// What one site's files hold. Its classes and scaling mean something once the sites have agreed (data/agreement.hpp).
TrainTest read_dataset(const Choice& choice, const DatasetRequest& request);
/// The same for data that are all in one place: ready to be trained on.
TrainTest load_dataset(const Choice& choice, const DatasetRequest& request);

/// Who holds what: the sample numbers of each node, ascending. Disjoint, complete, no node empty.
using Partition = std::vector<std::vector<std::int32_t>>;

/// Splits `data` over `nodes` nodes. A function of (data, nodes, seed) alone.
using PartitionFactory = Partition(const Dataset& data, NodeId nodes, std::uint64_t seed, Params&);
const Registry<PartitionFactory>& partitions();

/// The partition of `choice`, checked: throws Error if there are fewer samples than nodes or a node would be empty.
Partition make_partition(const Choice& choice, const Dataset& data, NodeId nodes, std::uint64_t seed);

/// True if every sample of 0 .. samples-1 is in exactly one shard.
bool disjoint_and_complete(const Partition& partition, std::size_t samples);

/// What one node holds: samples and its share of the whole.
struct Shard {
  std::shared_ptr<const Dataset> data;
  std::vector<std::int32_t> rows;  ///< into data
  /// N n_i / n: the node's local loss is its mean loss times this, so that the sum over nodes is N times the loss over
  /// all samples, and the consensus optimum is the central one whatever the sizes of the shards.
  double weight = 1;
};

}  // namespace ecl
