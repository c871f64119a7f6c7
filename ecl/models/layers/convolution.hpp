#pragma once

#include <memory>

#include "ecl/models/layers/layer.hpp"

namespace ecl::layers {

/// What is convolved with what: the only place where the library's own code and a library for convolutions meet.
struct ConvolutionSizes {
  Shape in, out;
  int kernel, stride, padding;
  bool bias;
  std::size_t weights() const { return static_cast<std::size_t>(out.channels) * in.channels * kernel * kernel; }
};

/// A convolution and its gradients. Parameters: weight (outputs x inputs x kernel x kernel), then the bias.
template <class T>
class Convolution;

/// By oneDNN, on one core. Compiles for the instructions of the machine that it runs on.
template <>
class Convolution<float> {
 public:
  explicit Convolution(const ConvolutionSizes& sizes);
  ~Convolution();
  void load(const float* w);
  void forward(int rows, const float* x, float* y);
  void backward(int rows, const float* x, const float* dy, float* dx);
  void store(float* dw);
  std::size_t bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// By plain loops: what the tests hold the other one against.
template <>
class Convolution<double> {
 public:
  explicit Convolution(const ConvolutionSizes& sizes) : sizes_(sizes) {}
  void load(const double* w);
  void forward(int rows, const double* x, double* y) const;
  void backward(int rows, const double* x, const double* dy, double* dx);
  void store(double* dw) const;
  std::size_t bytes() const { return 2 * w_.size() * sizeof(double); }

 private:
  template <class Visit>
  void over_terms(int rows, Visit visit) const;

  ConvolutionSizes sizes_;
  Values<double> w_, dw_;
};

}  // namespace ecl::layers
