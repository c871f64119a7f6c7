#include "ecl/models/layers/sequential.hpp"

#include <algorithm>
#include <utility>

namespace ecl::layers {

template <class T>
typename Sequential<T>::Steps Sequential<T>::build(const Architecture& architecture, Shape input) {
  Steps steps;
  std::size_t parameters = 0;
  for (const Description& description : architecture) {
    auto layer = make_layer<T>(description, steps.empty() ? input : steps.back().layer->out);
    const std::size_t count = layer->parameters();
    steps.push_back({std::move(layer), parameters});
    parameters += count;
  }
  return steps;
}

template <class T>
Sequential<T>::Sequential(const Architecture& architecture, Shape input)
    : Sequential(build(architecture, input), input) {}

template <class T>
Sequential<T>::Sequential(Steps steps, Shape input)
    : Layer<T>(input, steps.back().layer->out), steps_(std::move(steps)) {
  steps_.back().outside = true;
  for (std::size_t l = steps_.size(); l-- > 1;)
    steps_[l - 1].outside = steps_[l].outside && steps_[l].layer->in_place();
}

template <class T>
std::vector<Slice> Sequential<T>::slices() const {
  std::vector<Slice> all;
  for (const Step& step : steps_)
    for (Slice& slice : step.layer->slices()) all.push_back(std::move(slice));
  return all;
}

template <class T>
void Sequential<T>::init(T* w, Random& random) const {
  for (const Step& step : steps_) step.layer->init(w + step.parameters, random);
}

template <class T>
void Sequential<T>::load(const T* w) {
  for (const Step& step : steps_) step.layer->load(w + step.parameters);
}

template <class T>
void Sequential<T>::store(T* dw) {
  for (const Step& step : steps_) step.layer->store(dw + step.parameters);
}

template <class T>
std::size_t Sequential<T>::activations() const {
  std::size_t sum = 0;
  for (const Step& step : steps_) sum += step.layer->in_place() ? 0 : step.layer->activations();
  return sum;
}

template <class T>
std::size_t Sequential<T>::bytes() const {
  std::size_t sum = 0;
  for (const Step& step : steps_) sum += step.own.size() * sizeof(T) + step.layer->bytes();
  return sum;
}

template <class T>
T* Sequential<T>::output(std::size_t l, T* y) {
  if (steps_[l].outside) return y;
  while (steps_[l + 1].layer->in_place()) ++l;
  return steps_[l].own.data();
}

template <class T>
void Sequential<T>::make_room(int rows) {
  for (std::size_t l = 0; l < steps_.size(); ++l) {
    Step& step = steps_[l];
    const bool shared = !step.outside && steps_[l + 1].layer->in_place();
    const std::size_t needed = rows * step.layer->out.size();
    if (!step.outside && !shared && step.own.size() < needed) step.own.resize(needed);
  }
}

template <class T>
template <class Samples>
void Sequential<T>::pass(int rows, const T* w, Samples x, T* y) {
  make_room(rows);
  steps_[0].layer->forward(rows, w + steps_[0].parameters, x, output(0, y));
  for (std::size_t l = 1; l < steps_.size(); ++l)
    steps_[l].layer->forward(rows, w + steps_[l].parameters, output(l - 1, y), output(l, y));
}

template <class T>
void Sequential<T>::forward(int rows, const T* w, const T* x, T* y) {
  pass(rows, w, x, y);
}

template <class T>
void Sequential<T>::forward(int rows, const T* w, SparseSamples x, T* y) {
  pass(rows, w, x, y);
}

template <class T>
T* Sequential<T>::backward_above(std::size_t last, int rows, const T* w, const T* y, T* dy, T* dw,
                                 Scratch<T>& scratch) {
  if (steps_.size() == last + 1) return dy;
  std::size_t widest = 0;
  for (std::size_t l = last + 1; l < steps_.size(); ++l) widest = std::max(widest, steps_[l].layer->in.size());
  T* const turns[2] = {scratch.take(rows * widest), scratch.take(rows * widest)};
  T* const outside = const_cast<T*>(y);  // only read
  for (std::size_t l = steps_.size(); l-- > last + 1;) {
    Layer<T>& layer = *steps_[l].layer;
    const bool over_dy = layer.in_place() && l + 1 < steps_.size();
    T* const below = over_dy ? dy : turns[dy == turns[0]];
    layer.backward(rows, w + steps_[l].parameters, output(l - 1, outside), output(l, outside), dy, below,
                   dw + steps_[l].parameters, scratch);
    dy = below;
  }
  return dy;
}

template <class T>
void Sequential<T>::backward(int rows, const T* w, const T* x, const T* y, T* dy, T* dx, T* dw, Scratch<T>& scratch) {
  const std::size_t mark = scratch.mark();
  std::size_t last = 0;  // of the way down; without dx the layers below the first parameters have nothing to do
  if (!dx)
    while (last < steps_.size() && steps_[last].layer->parameters() == 0) ++last;
  if (last == steps_.size()) return;
  dy = backward_above(last, rows, w, y, dy, dw, scratch);
  T* const outside = const_cast<T*>(y);
  steps_[last].layer->backward(rows, w + steps_[last].parameters, last > 0 ? output(last - 1, outside) : x,
                               output(last, outside), dy, dx, dw + steps_[last].parameters, scratch);
  scratch.release(mark);
}

template <class T>
void Sequential<T>::backward(int rows, const T* w, SparseSamples x, const T* y, T* dy, T* dw, Scratch<T>& scratch) {
  const std::size_t mark = scratch.mark();
  dy = backward_above(0, rows, w, y, dy, dw, scratch);
  steps_[0].layer->backward(rows, x, dy, dw);
  scratch.release(mark);
}

template class Sequential<float>;
template class Sequential<double>;

}  // namespace ecl::layers
