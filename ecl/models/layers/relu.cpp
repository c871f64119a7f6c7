#include "ecl/models/layers/layers.hpp"

namespace ecl::layers {

template <class T>
void ReluLayer<T>::forward(int rows, const T*, const T* x, T* y) {
  const std::size_t count = rows * this->in.size();
#pragma omp simd  // also where y is x
  for (std::size_t i = 0; i < count; ++i) y[i] = x[i] > 0 ? x[i] : T(0);
}

template <class T>
void ReluLayer<T>::backward(int rows, const T*, const T*, const T* y, T* dy, T* dx, T*, Scratch<T>&) {
  const std::size_t count = rows * this->in.size();
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) dx[i] = y[i] > 0 ? dy[i] : T(0);
}

template class ReluLayer<float>;
template class ReluLayer<double>;

}  // namespace ecl::layers
