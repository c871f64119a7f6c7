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
typename Objective<T>::Sum Objective<T>::softmax(T* outputs, std::int32_t label, bool weighted) const {
  Eigen::Map<Eigen::Array<T, 1, Eigen::Dynamic>> row(outputs, outputs_);
  int best = 0;
  const T top = row.maxCoeff(&best);
  const T at_label = row[label];
  row = (row - top).exp();
  const T total = row.sum();
  const double loss = std::log(total) + top - at_label;
  row /= total;
  row[label] -= 1;
  if (weighted) row *= static_cast<T>(class_weights_[label]);
  return {weighted ? class_weights_[label] * loss : loss, best == label ? 1.0 : 0.0};
}

/// -log sigmoid(z) = log(1 + e^-z), written so that no exponential is large.
template <class T>
typename Objective<T>::Sum Objective<T>::logistic(T* outputs, const float* targets, bool weighted) const {
  Sum sum;
  for (int k = 0; k < outputs_; ++k) {
    const T z = outputs[k], small = std::exp(-std::abs(z)), sigmoid = (z >= 0 ? 1 : small) / (1 + small);
    const bool present = targets[k] > 0;
    const T weight = present && weighted ? static_cast<T>(class_weights_[k]) : T(1);
    sum.loss += weight * (std::max(present ? -z : z, T(0)) + std::log1p(small));
    sum.hits += (z > 0) == present;
    outputs[k] = weight * (sigmoid - static_cast<T>(present));
  }
  sum.hits /= outputs_;
  return sum;
}

template <class T>
typename Objective<T>::Sum Objective<T>::residual(T* output, float target) const {
  const T e = *output - static_cast<T>(target);
  const bool square = loss_ == Loss::mse || (loss_ == Loss::huber && std::abs(e) < 1);
  const T weight = loss_ == Loss::huber ? T(0.5) : T(1);  // of e^2
  *output = square ? 2 * weight * e : static_cast<T>((e > 0) - (e < 0));
  return {square ? weight * e * e : std::abs(e) - (loss_ == Loss::huber ? T(0.5) : T(0)), 0};
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
template <class Samples>
typename Objective<T>::Sum Objective<T>::compare(const T* w, Samples x, const Truth& truth, bool weighted) {
  if (values_.size() < truth.size() * outputs_) values_.resize(truth.size() * outputs_);
  outputs(w, x, truth.size(), values_.data());
  Sum sum;
  for (std::size_t r = 0; r < truth.size(); ++r) {
    T* const row = values_.data() + r * outputs_;
    const Sum one = loss_ == Loss::cross_entropy ? softmax(row, truth.labels[r], weighted)
                    : loss_ == Loss::logistic    ? logistic(row, &truth.targets[r * outputs_], weighted)
                                                 : residual(row, truth.targets[r]);
    const double weight = truth.weights.empty() ? 1 : truth.weights[r];
    sum.loss += weight * one.loss, sum.hits += weight * one.hits;
    if (!truth.weights.empty()) Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>(row, outputs_) *= static_cast<T>(weight);
  }
  return sum;
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
