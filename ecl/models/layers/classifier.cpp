#include "ecl/models/layers/classifier.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "ecl/base/check.hpp"

namespace ecl::layers {
namespace {

constexpr std::size_t kMostParameters = (std::size_t{1} << 31) - 1;  // what MPI can count
constexpr std::size_t kCache = std::size_t{6} << 20;  // bytes of activations at a time, of the order of a core's cache

}  // namespace

template <class T>
Classifier<T>::Classifier(const std::string& who, const Architecture& architecture, Shape in)
    : layers_(architecture, in), dim_(layers_.parameters()), classes_(layers_.out.channels) {
  if (dim_ > kMostParameters)
    throw Error("model " + who + " would have more than " + std::to_string(kMostParameters) +
                " parameters; use a smaller one");
  part_ = std::max<std::size_t>(1, kCache / (layers_.activations() * sizeof(T)));
}

template <class T>
typename Classifier<T>::Sum Classifier<T>::softmax(std::span<const std::int32_t> labels) {
  using Row = Eigen::Map<Eigen::Array<T, 1, Eigen::Dynamic>>;
  Sum sum;
  for (std::size_t r = 0; r < labels.size(); ++r) {
    Row row(logits_.data() + r * classes_, classes_);
    int best = 0;
    const T top = row.maxCoeff(&best);
    sum.hits += best == labels[r];
    const T at_label = row[labels[r]];
    row = (row - top).exp();
    const T total = row.sum();
    sum.loss += std::log(total) + top - at_label;
    row /= total;
    row[labels[r]] -= 1;
  }
  return sum;
}

template <class T>
void Classifier<T>::outputs(const T* w, const T* x, std::size_t samples, T* out) {
  layers_.forward(static_cast<int>(samples), w, x, out);
}

template <class T>
void Classifier<T>::outputs(const T* w, SparseSamples x, std::size_t samples, T* out) {
  layers_.forward(static_cast<int>(samples), w, x, out);
}

template <class T>
typename Classifier<T>::Sum Classifier<T>::evaluate(const T* w, const T* x, std::span<const std::int32_t> labels) {
  if (logits_.size() < labels.size() * classes_) logits_.resize(labels.size() * classes_);
  outputs(w, x, labels.size(), logits_.data());
  return softmax(labels);
}

template <class T>
typename Classifier<T>::Sum Classifier<T>::evaluate(const T* w, SparseSamples x, std::span<const std::int32_t> labels) {
  if (logits_.size() < labels.size() * classes_) logits_.resize(labels.size() * classes_);
  outputs(w, x, labels.size(), logits_.data());
  return softmax(labels);
}

template <class T>
void Classifier<T>::backward(int rows, const T* w, const T* x, T* dw) {
  layers_.backward(rows, w, x, nullptr, logits_.data(), nullptr, dw, scratch_);
}

template <class T>
void Classifier<T>::backward(int rows, const T* w, SparseSamples x, T* dw) {
  layers_.backward(rows, w, x, nullptr, logits_.data(), dw, scratch_);
}

template <class T>
template <class Part>
double Classifier<T>::passes(const T* w, Part part, std::span<const std::int32_t> labels, T* dw) {
  std::fill_n(dw, dim_, T(0));
  layers_.load(w);
  double loss = 0;
  const std::size_t samples = labels.size(), parts = (samples + part_ - 1) / part_;
  for (std::size_t p = 0; p < parts; ++p) {  // of equal size, give or take one
    if (p > 0 && meanwhile_) meanwhile_();
    const std::size_t first = samples * p / parts, count = samples * (p + 1) / parts - first;
    loss += evaluate(w, part(first), labels.subspan(first, count)).loss;
    Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>(logits_.data(), static_cast<Eigen::Index>(count * classes_)) /=
        static_cast<T>(samples);
    backward(static_cast<int>(count), w, part(first), dw);
  }
  layers_.store(dw);
  return loss / static_cast<double>(samples);
}

template <class T>
double Classifier<T>::gradient(const T* w, const T* x, std::span<const std::int32_t> labels, T* dw) {
  return passes(
      w, [&](std::size_t first) { return x + first * layers_.in.size(); }, labels, dw);
}

template <class T>
double Classifier<T>::gradient(const T* w, const SparseRows& x, std::span<const std::int32_t> labels, T* dw) {
  return passes(
      w,
      [&](std::size_t first) {
        return SparseSamples{&x, first};
      },
      labels, dw);
}

template <class T>
std::size_t Classifier<T>::bytes() const {
  return layers_.bytes() + logits_.size() * sizeof(T) + scratch_.bytes();
}

template class Classifier<float>;
template class Classifier<double>;

}  // namespace ecl::layers
