#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ecl/models/layers/sequential.hpp"

namespace ecl::layers {

/// Layers that end in one value (logit) per class, with softmax cross-entropy on top.
///
/// A batch goes through the layers in parts whose activations stay in the cache. Everything between the layers is the
/// classifier's memory, allocated in the first pass.
template <class T>
class Classifier {
 public:
  /// `who` is for messages. Throws Error where a layer does not fit.
  Classifier(const std::string& who, const Architecture& architecture, Shape in);

  std::size_t dim() const { return dim_; }
  std::vector<Slice> slices() const { return layers_.slices(); }
  void init(T* w, Random& random) const { layers_.init(w, random); }

  struct Sum {
    double loss = 0;  ///< over the samples
    int hits = 0;     ///< samples whose largest logit is their class
  };
  /// Mean loss over samples (x: labels.size() rows); its gradient goes to dw, overwritten.
  double gradient(const T* w, const T* x, std::span<const std::int32_t> labels, T* dw);
  double gradient(const T* w, const SparseRows& x, std::span<const std::int32_t> labels, T* dw);
  /// To be called between the parts of a batch while gradients are computed.
  void meanwhile(std::function<void()> work) { meanwhile_ = std::move(work); }
  /// What evaluate is about to use.
  void load(const T* w) { layers_.load(w); }
  Sum evaluate(const T* w, const T* x, std::span<const std::int32_t> labels);
  Sum evaluate(const T* w, SparseSamples x, std::span<const std::int32_t> labels);
  /// The logits of so many samples, to `out`.
  void outputs(const T* w, const T* x, std::size_t samples, T* out);
  void outputs(const T* w, SparseSamples x, std::size_t samples, T* out);
  int classes() const { return classes_; }
  /// Whether the first layer takes sparse samples.
  bool takes_sparse() const { return layers_.takes_sparse(); }
  /// Samples that go through the layers at a time.
  std::size_t part() const { return part_; }
  /// Memory held between calls.
  std::size_t bytes() const;

 private:
  /// Both passes; part(first) are the samples from `first` on.
  template <class Part>
  double passes(const T* w, Part part, std::span<const std::int32_t> labels, T* dw);
  void backward(int rows, const T* w, const T* x, T* dw);
  void backward(int rows, const T* w, SparseSamples x, T* dw);
  /// Turns the logits of so many samples into probabilities minus one-hot labels, in place.
  Sum softmax(std::span<const std::int32_t> labels);

  Sequential<T> layers_;
  std::size_t dim_, part_;
  int classes_;
  Values<T> logits_;
  Scratch<T> scratch_;
  std::function<void()> meanwhile_;
};

}  // namespace ecl::layers
