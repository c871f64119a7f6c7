#include <algorithm>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/models/layers/layers.hpp"

namespace ecl::layers {

template <class T>
ResidualLayer<T>::ResidualLayer(const Residual& it, Shape input)
    : ResidualLayer(std::make_unique<Sequential<T>>(it.body, input),
                    it.shortcut.empty() ? nullptr : std::make_unique<Sequential<T>>(it.shortcut, input)) {}

template <class T>
ResidualLayer<T>::ResidualLayer(std::unique_ptr<Sequential<T>> body, std::unique_ptr<Sequential<T>> shortcut)
    : Layer<T>(body->in, body->out),
      body_(std::move(body)),
      shortcut_(std::move(shortcut)),
      body_parameters_(body_->parameters()) {
  const Shape other = shortcut_ ? shortcut_->out : this->in;
  if (other.height != this->out.height || other.width != this->out.width || other.channels != this->out.channels)
    throw Error("a residual block's body and shortcut end in different shapes");
}

template <class T>
std::vector<Slice> ResidualLayer<T>::slices() const {
  std::vector<Slice> all = body_->slices();
  if (shortcut_)
    for (Slice& slice : shortcut_->slices()) all.push_back(std::move(slice));
  return all;
}

template <class T>
void ResidualLayer<T>::init(T* w, Random& random) const {
  body_->init(w, random);
  if (shortcut_) shortcut_->init(w + body_parameters_, random);
}

template <class T>
void ResidualLayer<T>::load(const T* w) {
  body_->load(w);
  if (shortcut_) shortcut_->load(w + body_parameters_);
}

template <class T>
void ResidualLayer<T>::store(T* dw) {
  body_->store(dw);
  if (shortcut_) shortcut_->store(dw + body_parameters_);
}

template <class T>
std::size_t ResidualLayer<T>::activations() const {
  return body_->activations() + (shortcut_ ? shortcut_->activations() : 0);
}

template <class T>
std::size_t ResidualLayer<T>::bytes() const {
  return body_->bytes() + (shortcut_ ? shortcut_->bytes() : 0) + second_.size() * sizeof(T);
}

template <class T>
void ResidualLayer<T>::forward(int rows, const T* w, const T* x, T* y) {
  const std::size_t count = rows * this->out.size();
  body_->forward(rows, w, x, y);
  if (!shortcut_) return add(x, count, y);
  if (second_.size() < count) second_.resize(count);
  shortcut_->forward(rows, w + body_parameters_, x, second_.data());
  add(second_.data(), count, y);
}

template <class T>
void ResidualLayer<T>::backward(int rows, const T* w, const T* x, const T* y, T* dy, T* dx, T* dw,
                                Scratch<T>& scratch) {
  const std::size_t count = rows * this->in.size();
  body_->backward(rows, w, x, y, dy, dx, dw, scratch);
  if (!shortcut_) {
    if (dx) add(dy, count, dx);
    return;
  }
  const std::size_t mark = scratch.mark();
  T* const second = dx ? scratch.take(count) : nullptr;
  shortcut_->backward(rows, w + body_parameters_, x, second_.data(), dy, second, dw + body_parameters_, scratch);
  if (dx) add(second, count, dx);
  scratch.release(mark);
}

template class ResidualLayer<float>;
template class ResidualLayer<double>;

}  // namespace ecl::layers
