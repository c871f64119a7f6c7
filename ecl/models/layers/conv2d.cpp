#include <algorithm>

#include "ecl/base/check.hpp"
#include "ecl/models/layers/layers.hpp"

namespace ecl::layers {
namespace {

Shape output_of(const Conv2d& it, const Shape& in) {
  const int height = in.height + 2 * it.padding - it.kernel, width = in.width + 2 * it.padding - it.kernel;
  if (height < 0 || width < 0)
    throw Error("layer " + it.name + ": its kernel of " + std::to_string(it.kernel) + " x " +
                std::to_string(it.kernel) + " is larger than the picture, " + std::to_string(in.height) + " x " +
                std::to_string(in.width) + " there; use a smaller kernel or larger pictures");
  return {height / it.stride + 1, width / it.stride + 1, it.outputs};
}

}  // namespace

template <class T>
Conv2dLayer<T>::Conv2dLayer(const Conv2d& it, Shape input)
    : Layer<T>(input, output_of(it, input)),
      it_(it),
      convolution_({input, this->out, it.kernel, it.stride, it.padding, it.bias}) {}

template <class T>
std::vector<Slice> Conv2dLayer<T>::slices() const {
  std::vector<Slice> parts = {{it_.name + ".weight", {it_.outputs, this->in.channels, it_.kernel, it_.kernel}}};
  if (it_.bias) parts.push_back({it_.name + ".bias", {it_.outputs}});
  return parts;
}

template <class T>
void Conv2dLayer<T>::init(T* w, Random& random) const {
  const std::size_t inputs = static_cast<std::size_t>(this->in.channels) * it_.kernel * it_.kernel;
  he_uniform(w, inputs * it_.outputs, inputs, random);
  if (it_.bias) std::fill_n(w + inputs * it_.outputs, it_.outputs, T(0));
}

template <class T>
void Conv2dLayer<T>::forward(int rows, const T*, const T* x, T* y) {
  convolution_.forward(rows, x, y);
}

template <class T>
void Conv2dLayer<T>::backward(int rows, const T*, const T* x, const T*, T* dy, T* dx, T*, Scratch<T>&) {
  convolution_.backward(rows, x, dy, dx);
}

template class Conv2dLayer<float>;
template class Conv2dLayer<double>;

}  // namespace ecl::layers
