#include "ecl/models/linear_model.hpp"

#include <Eigen/Cholesky>
#include <algorithm>

#include "ecl/base/check.hpp"
#include "ecl/models/quadratic_prox.hpp"
#include "ecl/models/softmax_prox.hpp"

namespace ecl {
namespace {

constexpr std::size_t kChunk = 256;  // samples per pass: keeps them in the cache
constexpr double kMostWork = 1e9;    // multiplications for an optimum that nobody asked for
constexpr int kMostFeatures = 4096;  // whose d^2 doubles are kept for exact steps: 134 MB

/// The mean squared error over some samples as a quadratic of the parameters: w'Hw/2 - b'w + constant.
struct LeastSquares {
  Eigen::MatrixXd hessian;
  Eigen::VectorXd slope;

  LeastSquares(const Dataset& data, std::span<const std::int32_t> rows) {
    using RawRows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Eigen::Index features = data.features(), d = features + 1;
    hessian.setZero(d, d), slope.setZero(d);
    Floats raw(kChunk * data.features());
    for (std::size_t first = 0; first < rows.size(); first += kChunk) {
      const std::size_t count = std::min(kChunk, rows.size() - first);
      data.gather(rows.subspan(first, count), raw.data());
      Eigen::MatrixXd x = Eigen::MatrixXd::Ones(static_cast<Eigen::Index>(count), d);  // the last column: the bias
      x.leftCols(features) =
          Eigen::Map<const RawRows>(raw.data(), static_cast<Eigen::Index>(count), features).cast<double>();
      Eigen::VectorXd y(static_cast<Eigen::Index>(count));
      for (std::size_t r = 0; r < count; ++r) y[static_cast<Eigen::Index>(r)] = data.targets()[rows[first + r]];
      Eigen::MatrixXd weighted = x;
      for (std::size_t r = 0; r < count && !data.weights().empty(); ++r)
        weighted.row(static_cast<Eigen::Index>(r)) *= data.weights()[rows[first + r]];
      hessian.noalias() += weighted.transpose() * x;
      slope.noalias() += weighted.transpose() * y;
    }
    const double share = 2.0 / static_cast<double>(rows.size());
    hessian *= share, slope *= share;
  }
};

}  // namespace

LinearModel::LinearModel(const std::string& who, const ModelSetup& setup)
    : Network(who, setup, {layers::Linear{"linear", outputs_of(who, setup)}}),
      loss_(setup.loss),
      weighted_(!setup.class_weights.empty()) {}

void LinearModel::init(Vec x, Random&) const { std::ranges::fill(x, 0.0f); }

std::vector<float> LinearModel::optimum(const Dataset& data) const {
  const double d = data.features() + 1.0;
  if (loss_ != Loss::mse || !data.is_regression() || static_cast<double>(data.size()) * d * d > kMostWork) return {};
  const std::vector<std::int32_t> rows = all_rows(data.size());
  const LeastSquares problem(data, rows);
  const Eigen::LDLT<Eigen::MatrixXd> factor(problem.hessian);
  const Eigen::VectorXd pivots = factor.vectorD();
  if (!(pivots.minCoeff() > 1e-9 * pivots.maxCoeff())) return {};  // features that follow from each other
  const Eigen::VectorXf w = factor.solve(problem.slope).cast<float>();
  return {w.data(), w.data() + w.size()};
}

ProximalStep LinearModel::proximal_step(const Shard& shard) const {
  if (weighted_) throw Error("exact steps know no class weights; use --solver ecl, or leave out --class-weights");
  if (loss_ == Loss::cross_entropy) return softmax_proximal_step(shard);
  if (loss_ != Loss::mse) return {};
  if (shard.data->features() > kMostFeatures)
    throw Error("exact steps of least squares keep the products of all features, of " + std::to_string(kMostFeatures) +
                " at most; use --solver ecl");
  const LeastSquares problem(*shard.data, shard.rows);
  return quadratic_proximal_step(shard.weight * problem.hessian, shard.weight * problem.slope);
}

}  // namespace ecl
