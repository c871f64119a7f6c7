#include <algorithm>
#include <cmath>

#include "ecl/base/check.hpp"
#include "ecl/models/layers/layers.hpp"

namespace ecl::layers {
namespace {

constexpr double kEpsilon = 1e-5;       // PyTorch's
constexpr int kLanes = 16, kSpan = 64;  // floats of a register; of enough registers to hide an addition's latency

/// The channels of so many pixels, enough to fill vector registers: passes run over such spans, whatever the channels.
int span_of(int channels) {
  int span = channels;
  while (span < kSpan || span % kLanes != 0) span += channels;
  return span;
}

/// Repeats the first `channels` values up to `span`.
template <class T>
void repeat(int channels, int span, T* values) {
  for (int i = channels; i < span; ++i) values[i] = values[i - channels];
}

/// Calls visit(at, i) for every value of a sample, i its place in the span.
template <class Visit>
void over_spans(int size, int span, Visit visit) {
  int at = 0;
  for (; at + span <= size; at += span) {
#pragma omp simd
    for (int i = 0; i < span; ++i) visit(at + i, i);
  }
  for (int i = 0; at + i < size; ++i) visit(at + i, i);
}

/// Adds up the span's sums channel by channel.
template <class T>
void fold(int channels, int span, T* sums) {
  for (int i = channels; i < span; ++i) sums[i % channels] += sums[i];
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
  std::fill_n(w, this->in.channels, T(it_.scale));
  std::fill_n(w + this->in.channels, this->in.channels, T(0));
}

template <class T>
void GroupNormLayer<T>::forward(int rows, const T* w, const T* x, T* y) {
  const int channels = this->in.channels, span = span_of(channels), size = static_cast<int>(this->in.size());
  const int in_group = size / it_.groups;
  const auto count = static_cast<T>(in_group);
  const std::size_t needed = static_cast<std::size_t>(rows) * span;
  if (mean_.size() < needed) mean_.resize(needed), scale_.resize(needed);
  work_.resize(3 * span);
  T* const factor = work_.data();
  T* const shift = factor + span;
  for (int n = 0; n < rows; ++n, x += size, y += size) {
    T* const mean = mean_.data() + static_cast<std::size_t>(n) * span;
    T* const scale = scale_.data() + static_cast<std::size_t>(n) * span;
    const auto over_group = [&](T* sums) {
      fold(channels, span, sums);
      sum_over_groups(it_.groups, channels, sums);
      for (int c = 0; c < channels; ++c) sums[c] /= count;
    };
    std::fill_n(mean, span, T(0));
    over_spans(size, span, [=](int at, int i) { mean[i] += x[at]; });
    over_group(mean);
    repeat(channels, span, mean);
    std::fill_n(scale, span, T(0));
    over_spans(size, span, [=](int at, int i) { scale[i] += (x[at] - mean[i]) * (x[at] - mean[i]); });
    over_group(scale);
    for (int c = 0; c < channels; ++c) {
      scale[c] = 1 / std::sqrt(scale[c] + static_cast<T>(kEpsilon));
      factor[c] = w[c] * scale[c];
      shift[c] = w[channels + c] - mean[c] * factor[c];
    }
    repeat(channels, span, factor);
    repeat(channels, span, shift);
    over_spans(size, span, [=](int at, int i) { y[at] = x[at] * factor[i] + shift[i]; });
  }
}

/// With h = (x - mean) scale and means over the group: dx = scale (w dy - mean(w dy) - h mean(w dy h)).
template <class T>
void GroupNormLayer<T>::backward(int rows, const T* w, const T* x, const T*, T* dy, T* dx, T* dw, Scratch<T>&) {
  const int channels = this->in.channels, span = span_of(channels), size = static_cast<int>(this->in.size());
  const int in_group = size / it_.groups;
  const auto count = static_cast<T>(in_group);
  T* const sum = work_.data();    // of w dy
  T* const product = sum + span;  // of w dy h
  T* const factor = product + span;
  for (int n = 0; n < rows; ++n, x += size, dy += size) {
    const T* const mean = mean_.data() + static_cast<std::size_t>(n) * span;
    const T* const scale = scale_.data() + static_cast<std::size_t>(n) * span;
    std::fill_n(sum, 2 * span, T(0));
    over_spans(size, span, [=](int at, int i) {
      sum[i] += dy[at];
      product[i] += dy[at] * (x[at] - mean[i]);
    });
    fold(channels, span, sum);
    fold(channels, span, product);
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
    for (T* values : {factor, product, sum}) repeat(channels, span, values);
    over_spans(size, span, [=](int at, int i) { dx[at] = factor[i] * dy[at] + (product[i] * x[at] + sum[i]); });
    dx += size;
  }
}

template class GroupNormLayer<float>;
template class GroupNormLayer<double>;

}  // namespace ecl::layers
