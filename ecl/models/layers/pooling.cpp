#include <algorithm>
#include <cstdint>

#include "ecl/base/check.hpp"
#include "ecl/models/layers/layers.hpp"

namespace ecl::layers {
namespace {

Shape pooled(int size, const Shape& in) {
  if (in.height < size || in.width < size)
    throw Error("layer max pool: pictures of " + std::to_string(in.height) + " x " + std::to_string(in.width) +
                " are too small there for squares of " + std::to_string(size) +
                "; use larger pictures or fewer layers");
  return {in.height / size, in.width / size, in.channels};
}

}  // namespace

template <class T>
MaxPoolLayer<T>::MaxPoolLayer(const MaxPool& it, Shape input) : Layer<T>(input, pooled(it.size, input)) {
  for (int i = 0; i < it.size; ++i)
    for (int j = 0; j < it.size; ++j) places_.push_back((i * input.width + j) * input.channels);
  size_ = it.size;
}

template <class T>
void MaxPoolLayer<T>::forward(int rows, const T*, const T* x, T* y) {
  const int channels = this->in.channels, line = this->in.width * channels;
  largest_.resize(std::max(largest_.size(), rows * this->out.size()));
  std::uint8_t* largest = largest_.data();
  for (int n = 0; n < rows; ++n, x += this->in.size())
    for (int i = 0; i < this->out.height; ++i)
      for (int j = 0; j < this->out.width; ++j, y += channels, largest += channels) {
        const T* const corner = x + i * size_ * line + j * size_ * channels;
        std::copy_n(corner, channels, y);
        std::fill_n(largest, channels, std::uint8_t{0});
        for (std::size_t k = 1; k < places_.size(); ++k) {
          const T* const other = corner + places_[k];
#pragma omp simd
          for (int c = 0; c < channels; ++c) {
            largest[c] = other[c] > y[c] ? static_cast<std::uint8_t>(k) : largest[c];
            y[c] = other[c] > y[c] ? other[c] : y[c];
          }
        }
      }
}

/// The gradient goes to the first of the largest.
template <class T>
void MaxPoolLayer<T>::backward(int rows, const T*, const T*, const T*, T* dy, T* dx, T*, Scratch<T>&) {
  const int channels = this->in.channels, line = this->in.width * channels;
  std::fill_n(dx, rows * this->in.size(), T(0));
  const std::uint8_t* largest = largest_.data();
  for (int n = 0; n < rows; ++n, dx += this->in.size())
    for (int i = 0; i < this->out.height; ++i)
      for (int j = 0; j < this->out.width; ++j, dy += channels, largest += channels) {
        T* const corner = dx + i * size_ * line + j * size_ * channels;
        for (int c = 0; c < channels; ++c) corner[places_[largest[c]] + c] = dy[c];
      }
}

template <class T>
void GlobalMeanPoolLayer<T>::forward(int rows, const T*, const T* x, T* y) {
  const int pixels = this->in.pixels(), channels = this->in.channels;
  for (int n = 0; n < rows; ++n, y += channels) {
    std::fill_n(y, channels, T(0));
    for (int p = 0; p < pixels; ++p, x += channels)
      for (int c = 0; c < channels; ++c) y[c] += x[c];
    for (int c = 0; c < channels; ++c) y[c] /= static_cast<T>(pixels);
  }
}

template <class T>
void GlobalMeanPoolLayer<T>::backward(int rows, const T*, const T*, const T*, T* dy, T* dx, T*, Scratch<T>&) {
  const int pixels = this->in.pixels(), channels = this->in.channels;
  for (int n = 0; n < rows; ++n, dy += channels)
    for (int p = 0; p < pixels; ++p, dx += channels)
      for (int c = 0; c < channels; ++c) dx[c] = dy[c] / static_cast<T>(pixels);
}

template class MaxPoolLayer<float>;
template class MaxPoolLayer<double>;
template class GlobalMeanPoolLayer<float>;
template class GlobalMeanPoolLayer<double>;

}  // namespace ecl::layers
