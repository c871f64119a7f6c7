#include "ecl/models/layers/objective.hpp"

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
Objective<T>::Objective(const std::string& who, const Architecture& architecture, Shape in, Loss loss,
                        std::vector<float> class_weights)
    : layers_(architecture, in),
      dim_(layers_.parameters()),
      outputs_(layers_.out.channels),
      loss_(loss),
      class_weights_(std::move(class_weights)) {
  if (dim_ > kMostParameters)
    throw Error("model " + who + " would have more than " + std::to_string(kMostParameters) +
                " parameters; use a smaller one");
  part_ = std::max<std::size_t>(1, kCache / (layers_.activations() * sizeof(T)));
}

template <class T>
typename Objective<T>::Sum Objective<T>::softmax(std::span<const std::int32_t> labels, bool weighted) {
  using Row = Eigen::Map<Eigen::Array<T, 1, Eigen::Dynamic>>;
  Sum sum;
  for (std::size_t r = 0; r < labels.size(); ++r) {
    Row row(values_.data() + r * outputs_, outputs_);
    int best = 0;
    const T top = row.maxCoeff(&best);
    sum.hits += best == labels[r];
    const T at_label = row[labels[r]];
    row = (row - top).exp();
    const T total = row.sum();
    const double loss = std::log(total) + top - at_label;
    row /= total;
    row[labels[r]] -= 1;
    if (weighted) row *= static_cast<T>(class_weights_[labels[r]]);
    sum.loss += weighted ? class_weights_[labels[r]] * loss : loss;
  }
  return sum;
}

template <class T>
void Objective<T>::outputs(const T* w, const T* x, std::size_t samples, T* out) {
  layers_.forward(static_cast<int>(samples), w, x, out);
}

template <class T>
void Objective<T>::outputs(const T* w, SparseSamples x, std::size_t samples, T* out) {
  layers_.forward(static_cast<int>(samples), w, x, out);
}

template <class T>
typename Objective<T>::Sum Objective<T>::residuals(std::span<const float> targets) {
  Sum sum;
  for (std::size_t r = 0; r < targets.size(); ++r) {
    const T e = values_[r] - static_cast<T>(targets[r]);
    const bool square = loss_ == Loss::mse || (loss_ == Loss::huber && std::abs(e) < 1);
    const T weight = loss_ == Loss::huber ? T(0.5) : T(1);  // of e^2
    sum.loss += square ? weight * e * e : std::abs(e) - (loss_ == Loss::huber ? T(0.5) : T(0));
    values_[r] = square ? 2 * weight * e : static_cast<T>((e > 0) - (e < 0));
  }
  return sum;
}

template <class T>
template <class Samples>
typename Objective<T>::Sum Objective<T>::compare(const T* w, Samples x, const Truth& truth, bool weighted) {
  if (values_.size() < truth.size() * outputs_) values_.resize(truth.size() * outputs_);
  outputs(w, x, truth.size(), values_.data());
  return is_regression(loss_) ? residuals(truth.targets) : softmax(truth.labels, weighted);
}

template <class T>
typename Objective<T>::Sum Objective<T>::evaluate(const T* w, const T* x, const Truth& truth) {
  return compare(w, x, truth, false);
}

template <class T>
typename Objective<T>::Sum Objective<T>::evaluate(const T* w, SparseSamples x, const Truth& truth) {
  return compare(w, x, truth, false);
}

template <class T>
void Objective<T>::backward(int rows, const T* w, const T* x, T* dw) {
  layers_.backward(rows, w, x, nullptr, values_.data(), nullptr, dw, scratch_);
}

template <class T>
void Objective<T>::backward(int rows, const T* w, SparseSamples x, T* dw) {
  layers_.backward(rows, w, x, nullptr, values_.data(), dw, scratch_);
}

template <class T>
template <class Part>
double Objective<T>::passes(const T* w, Part part, const Truth& truth, T* dw) {
  std::fill_n(dw, dim_, T(0));
  layers_.load(w);
  double loss = 0;
  const std::size_t samples = truth.size(), parts = (samples + part_ - 1) / part_;
  for (std::size_t p = 0; p < parts; ++p) {  // of equal size, give or take one
    if (p > 0 && meanwhile_) meanwhile_();
    const std::size_t first = samples * p / parts, count = samples * (p + 1) / parts - first;
    loss += compare(w, part(first), truth.subspan(first, count), !class_weights_.empty()).loss;
    Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>(values_.data(), static_cast<Eigen::Index>(count * outputs_)) /=
        static_cast<T>(samples);
    backward(static_cast<int>(count), w, part(first), dw);
  }
  layers_.store(dw);
  return loss / static_cast<double>(samples);
}

template <class T>
double Objective<T>::gradient(const T* w, const T* x, const Truth& truth, T* dw) {
  return passes(
      w, [&](std::size_t first) { return x + first * layers_.in.size(); }, truth, dw);
}

template <class T>
double Objective<T>::gradient(const T* w, const SparseRows& x, const Truth& truth, T* dw) {
  return passes(
      w,
      [&](std::size_t first) {
        return SparseSamples{&x, first};
      },
      truth, dw);
}

template <class T>
std::size_t Objective<T>::bytes() const {
  return layers_.bytes() + values_.size() * sizeof(T) + scratch_.bytes();
}

template class Objective<float>;
template class Objective<double>;

}  // namespace ecl::layers
