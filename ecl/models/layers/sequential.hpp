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
  /// Where the output of step l is: later steps that work in place share it.
  T* output(std::size_t l, T* y);

  Steps steps_;
};

}  // namespace ecl::layers
