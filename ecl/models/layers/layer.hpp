#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/base/floats.hpp"
#include "ecl/base/random.hpp"
#include "ecl/contracts/model.hpp"

namespace ecl::layers {

/// One sample between two layers. Memory order is height, width, channels: a pixel's channels are neighbours.
struct Shape {
  int height, width, channels;
  int pixels() const { return height * width; }
  std::size_t size() const { return static_cast<std::size_t>(height) * width * channels; }
};

/// to += from, both of `count` values.
template <class T>
void add(const T* from, std::size_t count, T* to) {
  for (std::size_t i = 0; i < count; ++i) to[i] += from[i];
}

/// Some of sparse rows, from `first` on.
struct SparseSamples {
  const SparseRows* rows;
  std::size_t first = 0;
};

/// Memory for a pass, given out and taken back like a stack. Allocates until the first pass has shown how much it
/// takes.
template <class T>
class Scratch {
 public:
  T* take(std::size_t count) {
    if (used_ == blocks_.size()) blocks_.emplace_back();
    Values<T>& block = blocks_[used_++];
    if (block.size() < count) block.resize(count);
    return block.data();
  }
  std::size_t mark() const { return used_; }
  void release(std::size_t mark) { used_ = mark; }
  std::size_t bytes() const {
    std::size_t sum = 0;
    for (const Values<T>& block : blocks_) sum += block.size() * sizeof(T);
    return sum;
  }

 private:
  std::deque<Values<T>> blocks_;
  std::size_t used_ = 0;
};

/// A differentiable function of samples, with parameters: T is float, or double in the tests of the gradients.
///
/// Samples, parameters and gradients are the caller's memory: `rows` samples row-major, the parameters where slices()
/// puts them one after the other. A batch is: load, then forward and backward for every part of it, then store.
template <class T>
class Layer {
 public:
  Layer(Shape input, Shape output) : in(input), out(output) {}
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  const Shape in, out;

  virtual std::vector<Slice> slices() const { return {}; }
  /// Initial parameters.
  virtual void init(T* w, Random& random) const { static_cast<void>(w), static_cast<void>(random); }
  /// Whether y may be x, and dx be dy: then backward needs y and not x. Others need x, and leave dy as it is.
  virtual bool in_place() const { return false; }
  /// The parameters that the passes until the next load will be given.
  virtual void load(const T* w) { static_cast<void>(w); }
  virtual void forward(int rows, const T* w, const T* x, T* y) = 0;
  /// From dy, the gradient at y: dx, the gradient at x, unless null. Adds the parameters' gradient to dw, unless it
  /// keeps it for store.
  virtual void backward(int rows, const T* w, const T* x, const T* y, T* dy, T* dx, T* dw, Scratch<T>& scratch) = 0;
  /// The same passes of a network's first layer, from sparse samples, where it takes them.
  virtual bool takes_sparse() const { return false; }
  virtual void forward(int rows, const T* w, SparseSamples x, T* y) {
    static_cast<void>(rows), static_cast<void>(w), static_cast<void>(x), static_cast<void>(y);
    ECL_CHECK(takes_sparse());
  }
  virtual void backward(int rows, SparseSamples x, const T* dy, T* dw) {
    static_cast<void>(rows), static_cast<void>(x), static_cast<void>(dy), static_cast<void>(dw);
    ECL_CHECK(takes_sparse());
  }
  /// Adds to dw what the passes since load have kept.
  virtual void store(T* dw) { static_cast<void>(dw); }
  /// Values per sample that a pass writes, those inside the layer included.
  virtual std::size_t activations() const { return out.size(); }
  /// What the layer holds between forward and backward.
  virtual std::size_t bytes() const { return 0; }

  std::size_t parameters() const {
    std::size_t sum = 0;
    for (const Slice& slice : slices()) sum += slice.size();
    return sum;
  }
};

}  // namespace ecl::layers
