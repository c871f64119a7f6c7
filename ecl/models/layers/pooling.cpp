#include <algorithm>

#include "ecl/models/layers/layers.hpp"
#include "ecl/words/check.hpp"

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
MaxPoolLayer<T>::MaxPoolLayer(const MaxPool& it, Shape input)
    : Layer<T>(input, pooled(it.size, input)), size_(it.size) {}

template <class T>
void MaxPoolLayer<T>::forward(int rows, const T*, const T* x, T* y) {
  const int channels = this->in.channels, line = this->in.width * channels;
  for (int n = 0; n < rows; ++n, x += this->in.size())
    for (int i = 0; i < this->out.height; ++i)
      for (int j = 0; j < this->out.width; ++j, y += channels) {
        const T* corner = x + i * size_ * line + j * size_ * channels;
        std::copy_n(corner, channels, y);
        for (int k = 1; k < size_ * size_; ++k) {
          const T* other = corner + k / size_ * line + k % size_ * channels;
          for (int c = 0; c < channels; ++c) y[c] = std::max(y[c], other[c]);
        }
      }
}

/// The gradient goes to the first of the largest.
template <class T>
void MaxPoolLayer<T>::backward(int rows, const T*, const T* x, const T*, T* dy, T* dx, T*, Scratch<T>& scratch) {
  const int channels = this->in.channels, line = this->in.width * channels;
  std::fill_n(dx, rows * this->in.size(), T(0));
  const std::size_t mark = scratch.mark();
  T* const top = scratch.take(2 * channels);
  T* const rest = top + channels;  // what has not found its place yet
  for (int n = 0; n < rows; ++n, x += this->in.size(), dx += this->in.size())
    for (int i = 0; i < this->out.height; ++i)
      for (int j = 0; j < this->out.width; ++j, dy += channels) {
        const int corner = i * size_ * line + j * size_ * channels;
        const auto place = [&](int k) { return corner + k / size_ * line + k % size_ * channels; };
        std::copy_n(x + corner, channels, top);
        std::copy_n(dy, channels, rest);
        for (int k = 1; k < size_ * size_; ++k)
          for (int c = 0; c < channels; ++c) top[c] = std::max(top[c], x[place(k) + c]);
        for (int k = 0; k < size_ * size_; ++k)
          for (int c = 0; c < channels; ++c) {
            const bool here = x[place(k) + c] == top[c];
            dx[place(k) + c] = here ? rest[c] : T(0);
            rest[c] = here ? T(0) : rest[c];
          }
      }
  scratch.release(mark);
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
