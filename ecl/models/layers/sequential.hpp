#pragma once

#include <memory>
#include <vector>

#include "ecl/models/layers/architecture.hpp"
#include "ecl/models/layers/layer.hpp"

namespace ecl::layers {

/// Layers one after the other, and the samples between them.
template <class T>
class Sequential final : public Layer<T> {
 public:
  /// Throws Error where a layer does not fit what is below it.
  Sequential(const Architecture& architecture, Shape input);

  std::vector<Slice> slices() const override;
  void init(T* w, Random& random) const override;
  void load(const T* w) override;
  void forward(int rows, const T* w, const T* x, T* y) override;
  void backward(int rows, const T* w, const T* x, const T* y, T* dy, T* dx, T* dw, Scratch<T>& scratch) override;
  bool takes_sparse() const override { return steps_[0].layer->takes_sparse(); }
  void forward(int rows, const T* w, SparseSamples x, T* y) override;
  /// All of it, from sparse samples: forward(rows, w, x, y) came before.
  void backward(int rows, const T* w, SparseSamples x, const T* y, T* dy, T* dw, Scratch<T>& scratch);
  void store(T* dw) override;
  std::size_t activations() const override;
  std::size_t bytes() const override;

 private:
  struct Step {
    std::unique_ptr<Layer<T>> layer;
    std::size_t parameters;  ///< where they start
    bool outside = false;    ///< its output is the caller's y
    Values<T> own = {};      ///< its output, if neither outside nor the next one's
  };
  using Steps = std::vector<Step>;

  Sequential(Steps steps, Shape input);
  static Steps build(const Architecture& architecture, Shape input);
  void make_room(int rows);
  template <class Samples>
  void pass(int rows, const T* w, Samples x, T* y);
  /// Back through the steps above `last`; returns the gradient at that one's output.
  T* backward_above(std::size_t last, int rows, const T* w, const T* y, T* dy, T* dw, Scratch<T>& scratch);
  /// Where the output of step l is: later steps that work in place share it.
  T* output(std::size_t l, T* y);

  Steps steps_;
};

}  // namespace ecl::layers
