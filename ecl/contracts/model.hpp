#pragma once

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ecl/contracts/dataset.hpp"
#include "ecl/contracts/proximal_step.hpp"
#include "ecl/words/floats.hpp"
#include "ecl/words/params.hpp"
#include "ecl/words/random.hpp"
#include "ecl/words/registry.hpp"
#include "ecl/words/types.hpp"

namespace ecl {

/// A mini-batch: `labels.size()` samples, `features` row-major.
struct Batch {
  Floats features;
  std::vector<std::int32_t> labels;
};

/// How good a parameter vector is on a dataset.
struct Score {
  double loss = 0;                                             ///< mean over the samples
  double accuracy = std::numeric_limits<double>::quiet_NaN();  ///< per cent; NaN for problems without classes
};

/// A function of a flat parameter vector of d floats. Implement this to train something else.
///
/// A model owns scratch memory for its passes, so one object serves one thread; it holds no parameters.
class Model {
 public:
  virtual ~Model() = default;

  virtual std::size_t dim() const = 0;  ///< d
  virtual void init(Vec x, Random& random) const = 0;
  /// Mean loss over the batch; its gradient goes to `g` (d floats, overwritten).
  virtual double gradient(CVec x, const Batch& batch, Vec g) = 0;
  virtual Score score(CVec x, const Dataset& data) = 0;
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
  int classes;
  ImageShape image = {};
};

using ModelFactory = std::unique_ptr<Model>(const ModelSetup&, Params&);
const Registry<ModelFactory>& models();

}  // namespace ecl
