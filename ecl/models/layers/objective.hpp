#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ecl/contracts/loss.hpp"
#include "ecl/models/layers/sequential.hpp"

namespace ecl::layers {

/// What the outputs for samples should be.
struct Truth {
  std::span<const std::int32_t> labels;  ///< classes; of regression as many, without a meaning
  std::span<const float> targets = {};   ///< of regression, scaled; or 1 and 0 for each of a sample's labels
  std::span<const float> weights = {};   ///< of the samples; empty: 1

  std::size_t size() const { return labels.size(); }
  Truth subspan(std::size_t first, std::size_t count) const {
    const std::size_t width = targets.size() / std::max<std::size_t>(1, size());
    return {labels.subspan(first, count), targets.subspan(first * width, count * width),
            weights.empty() ? weights : weights.subspan(first, count)};
  }
};

/// Layers with a loss on top: one output (logit) for each class under softmax cross-entropy, for each label under
/// logistic loss, or one number.
///
/// A batch goes through the layers in parts whose activations stay in the cache. Everything between the layers is the
/// objective's memory, allocated in the first pass.
template <class T>
class Objective {
 public:
  /// `who` is for messages. Throws Error where a layer does not fit.
  Objective(const std::string& who, const Architecture& architecture, Shape in, Loss loss = Loss::cross_entropy,
            std::vector<float> class_weights = {});

  std::size_t dim() const { return dim_; }
  std::vector<Slice> slices() const { return layers_.slices(); }
  void init(T* w, Random& random) const { layers_.init(w, random); }

  struct Sum {
    double loss = 0;  ///< over the samples
    double hits = 0;  ///< samples whose largest logit is their class; of labels the share that is right
  };
  /// Mean loss over samples (x: truth.size() rows), each times its weight and its class's; its gradient goes to dw,
  /// overwritten.
  double gradient(const T* w, const T* x, const Truth& truth, T* dw);
  double gradient(const T* w, const SparseRows& x, const Truth& truth, T* dw);
  /// To be called between the parts of a batch while gradients are computed.
  void meanwhile(std::function<void()> work) { meanwhile_ = std::move(work); }
  /// What evaluate is about to use.
  void load(const T* w) { layers_.load(w); }
  /// Without the weights of classes.
  Sum evaluate(const T* w, const T* x, const Truth& truth);
  Sum evaluate(const T* w, SparseSamples x, const Truth& truth);
  /// The outputs for so many samples, to `out`.
  void outputs(const T* w, const T* x, std::size_t samples, T* out);
  void outputs(const T* w, SparseSamples x, std::size_t samples, T* out);
  int outputs() const { return outputs_; }
  /// Whether the first layer takes sparse samples.
  bool takes_sparse() const { return layers_.takes_sparse(); }
  /// Samples that go through the layers at a time.
  std::size_t part() const { return part_; }
  /// Memory held between calls.
  std::size_t bytes() const;

 private:
  /// Both passes; part(first) are the samples from `first` on.
  template <class Part>
  double passes(const T* w, Part part, const Truth& truth, T* dw);
  void backward(int rows, const T* w, const T* x, T* dw);
  void backward(int rows, const T* w, SparseSamples x, T* dw);
  /// The derivatives of each sample's loss by the outputs are in values_ then.
  template <class Samples>
  Sum compare(const T* w, Samples x, const Truth& truth, bool weighted);
  /// The same of one sample, whose outputs become the derivatives.
  Sum softmax(T* outputs, std::int32_t label, bool weighted) const;
  Sum logistic(T* outputs, const float* targets, bool weighted) const;
  Sum residual(T* output, float target) const;

  Sequential<T> layers_;
  std::size_t dim_, part_;
  int outputs_;
  Loss loss_;
  std::vector<float> class_weights_;
  Values<T> values_;  ///< outputs, then derivatives
  Scratch<T> scratch_;
  std::function<void()> meanwhile_;
};

}  // namespace ecl::layers
