#include "ecl/models/layers/layers.hpp"

namespace ecl::layers {
namespace {

/// to[j][i] = from[i][j] for rows matrices of height x width.
template <class T>
void transpose(int rows, int height, int width, const T* from, T* to) {
  for (int n = 0; n < rows; ++n, from += height * width, to += height * width)
    for (int i = 0; i < height; ++i)
      for (int j = 0; j < width; ++j) to[j * height + i] = from[i * width + j];
}

}  // namespace

template <class T>
void OrderLayer<T>::forward(int rows, const T*, const T* x, T* y) {
  if (to_ == To::channels_last)
    transpose(rows, this->in.channels, this->in.pixels(), x, y);
  else
    transpose(rows, this->in.pixels(), this->in.channels, x, y);
}

template <class T>
void OrderLayer<T>::backward(int rows, const T*, const T*, const T*, T* dy, T* dx, T*, Scratch<T>&) {
  if (to_ == To::channels_last)
    transpose(rows, this->in.pixels(), this->in.channels, dy, dx);
  else
    transpose(rows, this->in.channels, this->in.pixels(), dy, dx);
}

template class OrderLayer<float>;
template class OrderLayer<double>;

}  // namespace ecl::layers
