#include <algorithm>
#include <cmath>

#include "ecl/models/layers/layers.hpp"
#include "ecl/words/check.hpp"

namespace ecl::layers {
namespace {

constexpr double kEpsilon = 1e-5;  // PyTorch's

/// Adds value(p, c), for every pixel p and channel c, to sums[c]. Blocks of channels stay in registers.
template <class T, class Value>
void sum_over_pixels(int pixels, int channels, Value value, T* sums) {
  constexpr int kBlock = 16;
  int c = 0;
  for (; c + kBlock <= channels; c += kBlock) {
    T block[kBlock] = {};
    for (int p = 0; p < pixels; ++p)
      for (int k = 0; k < kBlock; ++k) block[k] += value(p, c + k);
    for (int k = 0; k < kBlock; ++k) sums[c + k] += block[k];
  }
  if (c == channels) return;
  for (int p = 0; p < pixels; ++p)
    for (int k = c; k < channels; ++k) sums[k] += value(p, k);
}

/// Replaces every channel's value by its group's sum.
template <class T>
void sum_over_groups(int groups, int channels, T* values) {
  const int size = channels / groups;
  for (int first = 0; first < channels; first += size) {
    T sum = 0;
    for (int c = first; c < first + size; ++c) sum += values[c];
    std::fill_n(values + first, size, sum);
  }
}

}  // namespace

template <class T>
GroupNormLayer<T>::GroupNormLayer(const GroupNorm& it, Shape input) : Layer<T>(input, input), it_(it) {
  if (it.groups < 1 || input.channels % it.groups != 0)
    throw Error("layer " + it.name + ": " + std::to_string(input.channels) + " channels cannot be put into " +
                std::to_string(it.groups) + " groups of one size; use a divisor of " + std::to_string(input.channels));
}

template <class T>
std::vector<Slice> GroupNormLayer<T>::slices() const {
  return {{it_.name + ".weight", {this->in.channels}}, {it_.name + ".bias", {this->in.channels}}};
}

template <class T>
void GroupNormLayer<T>::init(T* w, Random&) const {
  std::fill_n(w, this->in.channels, T(1));
  std::fill_n(w + this->in.channels, this->in.channels, T(0));
}

template <class T>
void GroupNormLayer<T>::forward(int rows, const T* w, const T* x, T* y) {
  const int pixels = this->in.pixels(), channels = this->in.channels;
  const T count = static_cast<T>(pixels) * (channels / it_.groups);
  const std::size_t needed = static_cast<std::size_t>(rows) * channels;
  if (mean_.size() < needed) mean_.resize(needed), scale_.resize(needed);
  sums_.resize(2 * channels);
  for (int n = 0; n < rows; ++n, x += this->in.size(), y += this->in.size()) {
    T* const mean = mean_.data() + static_cast<std::size_t>(n) * channels;
    T* const scale = scale_.data() + static_cast<std::size_t>(n) * channels;
    std::fill_n(mean, channels, T(0));
    std::fill_n(scale, channels, T(0));
    sum_over_pixels(
        pixels, channels, [&](int p, int c) { return x[p * channels + c]; }, mean);
    sum_over_groups(it_.groups, channels, mean);
    for (int c = 0; c < channels; ++c) mean[c] /= count;
    const auto square = [&](int p, int c) {
      const T off = x[p * channels + c] - mean[c];
      return off * off;
    };
    sum_over_pixels(pixels, channels, square, scale);
    sum_over_groups(it_.groups, channels, scale);
    T* const factor = sums_.data();
    T* const shift = factor + channels;
    for (int c = 0; c < channels; ++c) {
      scale[c] = 1 / std::sqrt(scale[c] / count + static_cast<T>(kEpsilon));
      factor[c] = w[c] * scale[c];
      shift[c] = w[channels + c] - mean[c] * factor[c];
    }
    for (int p = 0; p < pixels; ++p)
      for (int c = 0; c < channels; ++c) y[p * channels + c] = x[p * channels + c] * factor[c] + shift[c];
  }
}

/// With h = (x - mean) scale and means over the group: dx = scale (w dy - mean(w dy) - h mean(w dy h)).
template <class T>
void GroupNormLayer<T>::backward(int rows, const T* w, const T* x, const T*, T* dy, T* dx, T* dw, Scratch<T>& scratch) {
  const int pixels = this->in.pixels(), channels = this->in.channels;
  const T count = static_cast<T>(pixels) * (channels / it_.groups);
  const std::size_t mark = scratch.mark();
  T* const sum = scratch.take(3 * channels);  // of w dy
  T* const product = sum + channels;          // of w dy h
  T* const factor = product + channels;
  for (int n = 0; n < rows; ++n, x += this->in.size(), dy += this->in.size()) {
    const T* const mean = mean_.data() + static_cast<std::size_t>(n) * channels;
    const T* const scale = scale_.data() + static_cast<std::size_t>(n) * channels;
    std::fill_n(sum, 2 * channels, T(0));
    sum_over_pixels(
        pixels, channels, [&](int p, int c) { return dy[p * channels + c]; }, sum);
    const auto times = [&](int p, int c) { return dy[p * channels + c] * (x[p * channels + c] - mean[c]); };
    sum_over_pixels(pixels, channels, times, product);
    for (int c = 0; c < channels; ++c) {
      product[c] *= scale[c];
      dw[c] += product[c], dw[channels + c] += sum[c];
      sum[c] *= w[c], product[c] *= w[c];
    }
    if (!dx) continue;
    sum_over_groups(it_.groups, channels, sum);
    sum_over_groups(it_.groups, channels, product);
    for (int c = 0; c < channels; ++c) {  // dx = factor dy + product x + sum
      factor[c] = scale[c] * w[c];
      product[c] *= -scale[c] * scale[c] / count;
      sum[c] = -scale[c] * sum[c] / count - product[c] * mean[c];
    }
    for (int p = 0; p < pixels; ++p)
      for (int c = 0; c < channels; ++c) {
        const std::size_t at = static_cast<std::size_t>(p) * channels + c;
        dx[at] = factor[c] * dy[at] + (product[c] * x[at] + sum[c]);
      }
    dx += this->in.size();
  }
  scratch.release(mark);
}

template class GroupNormLayer<float>;
template class GroupNormLayer<double>;

}  // namespace ecl::layers
