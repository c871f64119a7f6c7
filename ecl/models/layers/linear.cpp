#include <Eigen/Core>
#include <cmath>

#include "ecl/models/layers/layers.hpp"

namespace ecl::layers {
namespace {

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using In = Eigen::Map<const Matrix<T>>;
template <class T>
using Out = Eigen::Map<Matrix<T>>;
template <class T>
using Row = Eigen::Matrix<T, 1, Eigen::Dynamic>;

}  // namespace

template <class T>
void he_uniform(T* w, std::size_t count, std::size_t inputs, Random& random) {
  const double bound = std::sqrt(6.0 / static_cast<double>(inputs));
  for (std::size_t i = 0; i < count; ++i) w[i] = static_cast<T>(bound * (2 * random.uniform() - 1));
}

template <class T>
std::vector<Slice> LinearLayer<T>::slices() const {
  const int inputs = static_cast<int>(this->in.size());
  return {{name_ + ".weight", {this->out.channels, inputs}}, {name_ + ".bias", {this->out.channels}}};
}

template <class T>
void LinearLayer<T>::init(T* w, Random& random) const {
  he_uniform(w, this->in.size() * this->out.channels, this->in.size(), random);
  std::fill_n(w + this->in.size() * this->out.channels, this->out.channels, T(0));
}

template <class T>
void LinearLayer<T>::forward(int rows, const T* w, const T* x, T* y) {
  const auto inputs = static_cast<Eigen::Index>(this->in.size());
  const int outputs = this->out.channels;
  Out<T> result(y, rows, outputs);
  result.noalias() = In<T>(x, rows, inputs) * In<T>(w, outputs, inputs).transpose();
  result.rowwise() += Eigen::Map<const Row<T>>(w + outputs * inputs, outputs);
}

template <class T>
void LinearLayer<T>::backward(int rows, const T* w, const T* x, const T*, T* dy, T* dx, T* dw, Scratch<T>&) {
  const auto inputs = static_cast<Eigen::Index>(this->in.size());
  const int outputs = this->out.channels;
  const In<T> from(dy, rows, outputs);
  Out<T>(dw, outputs, inputs).noalias() += from.transpose() * In<T>(x, rows, inputs);
  Eigen::Map<Row<T>>(dw + outputs * inputs, outputs) += from.colwise().sum();
  if (dx) Out<T>(dx, rows, inputs).noalias() = from * In<T>(w, outputs, inputs);
}

/// One output after the other: its weights stay in the cache while all samples pick theirs.
template <class T>
void LinearLayer<T>::forward(int rows, const T* w, SparseSamples x, T* y) {
  const auto inputs = this->in.size();
  const int outputs = this->out.channels;
  const SparseRows& all = *x.rows;
  for (int o = 0; o < outputs; ++o) {
    const T* const weight = w + o * inputs;
    for (int r = 0; r < rows; ++r) {
      T sum = w[outputs * inputs + o];
      for (std::size_t v = all.begin(x.first + r); v < all.ends[x.first + r]; ++v)
        sum += weight[all.at[v]] * static_cast<T>(all.values[v]);
      y[static_cast<std::size_t>(r) * outputs + o] = sum;
    }
  }
}

template <class T>
void LinearLayer<T>::backward(int rows, SparseSamples x, const T* dy, T* dw) {
  const auto inputs = this->in.size();
  const int outputs = this->out.channels;
  const SparseRows& all = *x.rows;
  for (int o = 0; o < outputs; ++o) {
    T* const gradient = dw + o * inputs;
    for (int r = 0; r < rows; ++r) {
      const T from = dy[static_cast<std::size_t>(r) * outputs + o];
      dw[outputs * inputs + o] += from;
      for (std::size_t v = all.begin(x.first + r); v < all.ends[x.first + r]; ++v)
        gradient[all.at[v]] += from * static_cast<T>(all.values[v]);
    }
  }
}

template void he_uniform(float*, std::size_t, std::size_t, Random&);
template void he_uniform(double*, std::size_t, std::size_t, Random&);
template class LinearLayer<float>;
template class LinearLayer<double>;

}  // namespace ecl::layers
