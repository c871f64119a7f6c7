#pragma once

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ecl/base/floats.hpp"
#include "ecl/base/params.hpp"
#include "ecl/base/random.hpp"
#include "ecl/base/registry.hpp"
#include "ecl/base/types.hpp"
#include "ecl/contracts/dataset.hpp"
#include "ecl/contracts/loss.hpp"
#include "ecl/contracts/proximal_step.hpp"

namespace ecl {

/// A mini-batch: `labels.size()` samples, `features` row-major; of sparse data `rows` instead.
struct Batch {
  Floats features;
  std::vector<std::int32_t> labels;
  SparseRows rows = {};
  std::vector<float> targets = {};  ///< as Dataset::targets(): of regression one a sample, or one for each label
  std::vector<float> weights = {};  ///< of each sample's loss; empty: 1
};

/// How good a parameter vector is on a dataset.
struct Score {
  double loss = 0;  ///< mean over the samples, by their weights
  /// Per cent of the samples, or of all their labels; NaN for problems without classes.
  double accuracy = std::numeric_limits<double>::quiet_NaN();
};

/// A named part of the flat parameter vector, row-major, with the name and the shape that PyTorch would give it.
struct Slice {
  std::string name;
  std::vector<int> shape;
  std::size_t size() const {
    std::size_t product = 1;
    for (const int extent : shape) product *= extent;
    return product;
  }
};

/// A function of a flat parameter vector of d floats. Implement this to train something else.
///
/// A model owns scratch memory for its passes, so one object serves one thread; it holds no parameters.
class Model {
 public:
  virtual ~Model() = default;

  virtual std::size_t dim() const = 0;  ///< d
  /// What the parameters are, in their order, d in all; empty if they have no names.
  virtual std::vector<Slice> slices() const { return {}; }
  virtual void init(Vec x, Random& random) const = 0;
  /// Mean loss over the batch, each sample's times its weight; its gradient goes to `g` (d floats, overwritten).
  virtual double gradient(CVec x, const Batch& batch, Vec g) = 0;
  /// `work` is called within gradient(), every few milliseconds where that takes long: messages move meanwhile. It must
  /// neither use this model nor change x.
  virtual void meanwhile(std::function<void()> work) { static_cast<void>(work); }
  /// Whether gradient() and score() take sparse data as they are. Else they are told as many numbers a sample as it has
  /// features.
  virtual bool takes_sparse() const { return false; }
  /// Memory that it holds between calls, once gradient() has run.
  virtual std::size_t scratch_bytes() const { return 0; }
  virtual Score score(CVec x, const Dataset& data) = 0;
  /// What it says of a sample: one value (logit) per class or label, or the number itself; 0: it does not predict.
  virtual int outputs() const { return 0; }
  /// The outputs for all samples of `data`, the same bits as score() looks at: data.size() * outputs() values,
  /// row-major, to `out`.
  virtual void predict(CVec x, const Dataset& data, float* out) {
    static_cast<void>(x), static_cast<void>(data), static_cast<void>(out);
  }
  /// The minimiser of the mean loss over `data` where it has a closed form, else empty: the tests' yardstick.
  virtual std::vector<float> optimum(const Dataset& data) const {
    return static_cast<void>(data), std::vector<float>();
  }
  /// The exact proximal step on a node's shard, where the problem allows one; else empty. The shard's data outlive it.
  virtual ProximalStep proximal_step(const Shard& shard) const { return static_cast<void>(shard), ProximalStep(); }
};

/// What a model is told about the data.
struct ModelSetup {
  int features;
  int classes;  ///< of Loss::logistic: labels
  ImageShape image = {};
  Loss loss = Loss::cross_entropy;
  /// Of each sample's loss, by class, in training; of Loss::logistic of each label's where it is there. Empty: 1.
  std::vector<float> class_weights = {};
};

using ModelFactory = std::unique_ptr<Model>(const ModelSetup&, Params&);
const Registry<ModelFactory>& models();

}  // namespace ecl
