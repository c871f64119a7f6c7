#include "ecl/models/softmax_prox.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <memory>

#include "ecl/base/floats.hpp"

namespace ecl {
namespace {

using Eigen::Index;
using Eigen::VectorXd;
using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr std::size_t kChunk = 256;  // samples per pass: keeps them in the cache
constexpr int kNewtonSteps = 100, kGradientSteps = 500, kHalvings = 30;

class Newton {
 public:
  explicit Newton(const Shard& shard)
      : shard_(shard),
        features_(shard.data->features()),
        classes_(shard.data->classes()),
        scale_(shard.weight / static_cast<double>(shard.rows.size())),
        raw_(kChunk * features_),
        probabilities_(shard.rows.size(), classes_) {}

  void solve(CVec pull, double curvature, Vec out) {
    pull_ = Eigen::Map<const Eigen::VectorXf>(pull.data(), static_cast<Index>(pull.size())).cast<double>();
    curvature_ = curvature;
    Eigen::Map<Eigen::VectorXf> result(out.data(), static_cast<Index>(out.size()));
    VectorXd w = result.cast<double>();
    double value = evaluate(w);
    for (int k = 0; k < kNewtonSteps; ++k) {
      const double tolerance = 1e-6 * std::max(curvature, 1e-3) * std::max(1.0, w.norm());
      if (gradient_.norm() <= tolerance) break;
      const VectorXd direction = newton_direction(0.5 * tolerance);
      const double slope = gradient_.dot(direction);
      const VectorXd start = w;
      const double before = value;
      double length = 1;
      for (int halvings = 0; halvings < kHalvings; ++halvings, length /= 2) {
        w = start + length * direction;
        value = evaluate(w);
        if (value <= before + 1e-4 * length * slope + 1e-14 * std::abs(before)) break;
      }
    }
    result = w.cast<float>();
  }

 private:
  Eigen::Map<const Rows> weight(const VectorXd& w) const { return {w.data(), classes_, features_}; }
  double weight_of(Index row) const {
    const auto& weights = shard_.data->weights();
    return weights.empty() ? 1 : weights[shard_.rows[row]];
  }
  auto bias(const VectorXd& w) const { return w.tail(classes_).transpose(); }

  /// Calls visit(X, first) for the shard's samples, chunk by chunk.
  template <class Visit>
  void over_samples(Visit visit) {
    for (std::size_t first = 0; first < shard_.rows.size(); first += kChunk) {
      const std::size_t count = std::min(kChunk, shard_.rows.size() - first);
      shard_.data->gather({shard_.rows.data() + first, count}, raw_.data());
      using RawRows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
      x_ = Eigen::Map<const RawRows>(raw_.data(), static_cast<Index>(count), features_).cast<double>();
      visit(static_cast<Index>(first));
    }
  }

  /// sum += [ errors' X | column sums of errors ]: back from logits to parameters.
  void pull_back(VectorXd& sum) const {
    Eigen::Map<Rows>(sum.data(), classes_, features_).noalias() += logits_.transpose() * x_;
    sum.tail(classes_) += logits_.colwise().sum().transpose();
  }

  void forward(const VectorXd& w) {
    logits_.noalias() = x_ * weight(w).transpose();
    logits_.rowwise() += bias(w);
  }

  /// The objective at w; leaves its gradient in gradient_ and the samples' class probabilities.
  double evaluate(const VectorXd& w) {
    double loss = 0;
    gradient_.setZero(w.size());
    over_samples([&](Index first) {
      forward(w);
      for (Index r = 0; r < logits_.rows(); ++r) {
        auto row = logits_.row(r);
        const Index label = shard_.data->labels()[shard_.rows[first + r]];
        const double top = row.maxCoeff(), at_label = row[label];
        row = (row.array() - top).exp();
        const double sum = row.sum();
        row /= sum;
        probabilities_.row(first + r) = row;
        const double weight = weight_of(first + r);
        loss += weight * (std::log(sum) + top - at_label);
        row[label] -= 1;
        row *= weight;
      }
      pull_back(gradient_);
    });
    gradient_ = scale_ * gradient_ - pull_ + curvature_ * w;
    return scale_ * loss - pull_.dot(w) + 0.5 * curvature_ * w.squaredNorm();
  }

  /// The Hessian at the last evaluated point times v.
  VectorXd hessian_times(const VectorXd& v) {
    VectorXd product = VectorXd::Zero(v.size());
    over_samples([&](Index first) {
      forward(v);
      const auto p = probabilities_.middleRows(first, logits_.rows());
      logits_ = p.cwiseProduct(logits_);
      const VectorXd mean = logits_.rowwise().sum();
      logits_ -= mean.asDiagonal() * p;
      for (Index r = 0; r < logits_.rows(); ++r) logits_.row(r) *= weight_of(first + r);
      pull_back(product);
    });
    return scale_ * product + curvature_ * v;
  }

  /// Conjugate gradients on H s = -gradient: roughly at first, closer and closer as the gradient vanishes.
  VectorXd newton_direction(double least) {
    const double size = gradient_.norm();
    const double goal = std::max(least, size * std::min(0.1, std::sqrt(size)));
    VectorXd s = VectorXd::Zero(gradient_.size()), residual = -gradient_, direction = residual;
    double square = residual.squaredNorm();
    for (int k = 0; k < kGradientSteps && std::sqrt(square) > goal; ++k) {
      const VectorXd curved = hessian_times(direction);
      const double bend = direction.dot(curved);
      if (!(bend > 0)) break;  // flat to rounding
      const double length = square / bend;
      s += length * direction;
      residual -= length * curved;
      const double next = residual.squaredNorm();
      direction = residual + (next / square) * direction;
      square = next;
    }
    return s;
  }

  Shard shard_;
  Index features_, classes_;
  double scale_;        ///< of the summed loss: N n_i / n / n_i
  Floats raw_;          ///< a chunk as the data set gives it
  Rows x_, logits_;     ///< of a chunk
  Rows probabilities_;  ///< of all samples, at the last evaluated point
  VectorXd pull_, gradient_;
  double curvature_ = 0;
};

}  // namespace

ProximalStep softmax_proximal_step(const Shard& shard) {
  const auto newton = std::make_shared<Newton>(shard);  // a std::function must be copyable
  return [newton](CVec pull, double curvature, Vec w) { newton->solve(pull, curvature, w); };
}

}  // namespace ecl
