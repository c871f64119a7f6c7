#pragma once

#include <cstdint>
#include <vector>

#include "ecl/models/layers/architecture.hpp"
#include "ecl/models/layers/convolution.hpp"
#include "ecl/models/layers/sequential.hpp"

/// The layers that architecture.hpp describes; forward and backward of each are in the file of its name.
namespace ecl::layers {

/// Uniform in +- sqrt(6 / inputs): He et al., ICCV 2015.
template <class T>
void he_uniform(T* w, std::size_t count, std::size_t inputs, Random& random);

template <class T>
class LinearLayer final : public Layer<T> {
 public:
  LinearLayer(const Linear& it, Shape input) : Layer<T>(input, {1, 1, it.outputs}), name_(it.name) {}
  std::vector<Slice> slices() const override;
  void init(T* w, Random& random) const override;
  void forward(int rows, const T* w, const T* x, T* y) override;
  void backward(int rows, const T* w, const T* x, const T* y, T* dy, T* dx, T* dw, Scratch<T>& scratch) override;
  bool takes_sparse() const override { return true; }
  void forward(int rows, const T* w, SparseSamples x, T* y) override;
  void backward(int rows, SparseSamples x, const T* dy, T* dw) override;

 private:
  std::string name_;
};

template <class T>
class Conv2dLayer final : public Layer<T> {
 public:
  Conv2dLayer(const Conv2d& it, Shape input);
  std::vector<Slice> slices() const override;
  void init(T* w, Random& random) const override;
  void load(const T* w) override { convolution_.load(w); }
  void forward(int rows, const T* w, const T* x, T* y) override;
  void backward(int rows, const T* w, const T* x, const T* y, T* dy, T* dx, T* dw, Scratch<T>& scratch) override;
  void store(T* dw) override { convolution_.store(dw); }
  std::size_t bytes() const override { return convolution_.bytes(); }

 private:
  Conv2d it_;
  Convolution<T> convolution_;
};

template <class T>
class GroupNormLayer final : public Layer<T> {
 public:
  /// Throws Error if the channels are not a multiple of the groups.
  GroupNormLayer(const GroupNorm& it, Shape input);
  std::vector<Slice> slices() const override;
  void init(T* w, Random& random) const override;
  void forward(int rows, const T* w, const T* x, T* y) override;
  void backward(int rows, const T* w, const T* x, const T* y, T* dy, T* dx, T* dw, Scratch<T>& scratch) override;
  std::size_t bytes() const override { return (mean_.size() + scale_.size() + work_.size()) * sizeof(T); }

 private:
  GroupNorm it_;
  Values<T> mean_, scale_;  ///< per sample and channel: the group's mean, and one over its deviation
  Values<T> work_;
};

template <class T>
class ReluLayer final : public Layer<T> {
 public:
  explicit ReluLayer(Shape input) : Layer<T>(input, input) {}
  bool in_place() const override { return true; }
  void forward(int rows, const T* w, const T* x, T* y) override;
  void backward(int rows, const T* w, const T* x, const T* y, T* dy, T* dx, T* dw, Scratch<T>& scratch) override;
};

template <class T>
class MaxPoolLayer final : public Layer<T> {
 public:
  MaxPoolLayer(const MaxPool& it, Shape input);
  void forward(int rows, const T* w, const T* x, T* y) override;
  void backward(int rows, const T* w, const T* x, const T* y, T* dy, T* dx, T* dw, Scratch<T>& scratch) override;
  std::size_t bytes() const override { return largest_.size(); }

 private:
  int size_;
  std::vector<int> places_;            ///< of a square's values, from its first
  std::vector<std::uint8_t> largest_;  ///< which of them each output is
};

template <class T>
class GlobalMeanPoolLayer final : public Layer<T> {
 public:
  explicit GlobalMeanPoolLayer(Shape input) : Layer<T>(input, {1, 1, input.channels}) {}
  void forward(int rows, const T* w, const T* x, T* y) override;
  void backward(int rows, const T* w, const T* x, const T* y, T* dy, T* dx, T* dw, Scratch<T>& scratch) override;
};

/// Transposes each sample: from channel after channel to pixel after pixel, or back.
template <class T>
class OrderLayer final : public Layer<T> {
 public:
  enum class To { channels_last, channels_first };
  OrderLayer(To to, Shape input)
      : Layer<T>(input, to == To::channels_last ? input : Shape{1, 1, static_cast<int>(input.size())}), to_(to) {}
  void forward(int rows, const T* w, const T* x, T* y) override;
  void backward(int rows, const T* w, const T* x, const T* y, T* dy, T* dx, T* dw, Scratch<T>& scratch) override;

 private:
  To to_;
};

template <class T>
class ResidualLayer final : public Layer<T> {
 public:
  /// Throws Error if body and shortcut end in different shapes.
  ResidualLayer(const Residual& it, Shape input);
  std::vector<Slice> slices() const override;
  void init(T* w, Random& random) const override;
  void load(const T* w) override;
  void forward(int rows, const T* w, const T* x, T* y) override;
  void backward(int rows, const T* w, const T* x, const T* y, T* dy, T* dx, T* dw, Scratch<T>& scratch) override;
  void store(T* dw) override;
  std::size_t activations() const override;
  std::size_t bytes() const override;

 private:
  explicit ResidualLayer(std::unique_ptr<Sequential<T>> body, std::unique_ptr<Sequential<T>> shortcut);
  std::unique_ptr<Sequential<T>> body_, shortcut_;  ///< shortcut: null for x itself
  std::size_t body_parameters_;
  Values<T> second_;  ///< the shortcut's output
};

}  // namespace ecl::layers
