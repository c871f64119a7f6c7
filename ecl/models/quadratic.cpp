#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/contracts/model.hpp"
#include "ecl/models/quadratic_prox.hpp"

/// The mean of quadratics 1/2 (w - b)' H (w - b), one per sample, H = (I - 2vv') D (I - 2vv') with a diagonal D > 0 and
/// a unit vector v: Hessians that do not commute, at O(d) a gradient. A sample's features are [D | v | b], 3 d floats.
namespace ecl {
namespace {

class Quadratic final : public Model {
 public:
  explicit Quadratic(const ModelSetup& setup) : dim_(setup.features / 3) {
    if (setup.classes != 0 || is_regression(setup.loss) || setup.features % 3 != 0 || dim_ == 0)
      throw Error("model quadratic needs --dataset quadratic; for this data set use --model softmax, linear or mlp");
  }

  std::size_t dim() const override { return dim_; }

  void init(Vec x, Random&) const override { std::fill(x.begin(), x.end(), 0.0f); }

  double gradient(CVec x, const Batch& batch, Vec g) override {
    std::fill(g.begin(), g.end(), 0.0f);
    const std::size_t samples = batch.labels.size();
    const float share = 1.0f / static_cast<float>(samples);
    double loss = 0;
    for (std::size_t s = 0; s < samples; ++s) loss += add_gradient(x, batch.features.data() + 3 * dim_ * s, share, g);
    return loss / static_cast<double>(samples);
  }

  /// Through the mean Hessian, so that scoring many nodes costs O(d^2) each, whatever the number of samples.
  Score score(CVec x, const Dataset& data) override {
    summarise(data);
    const Eigen::VectorXd w = Eigen::Map<const Eigen::VectorXf>(x.data(), dim_).cast<double>();
    return {.loss = 0.5 * w.dot(hessian_ * w) - w.dot(slope_) + constant_};
  }

  std::vector<float> optimum(const Dataset& data) const override {
    Quadratic scratch(*this);
    scratch.summarise(data);
    const Eigen::VectorXf w = scratch.hessian_.ldlt().solve(scratch.slope_).cast<float>();
    return {w.data(), w.data() + w.size()};
  }

  /// Through the shard's mean Hessian.
  ProximalStep proximal_step(const Shard& shard) const override {
    const Dataset own = shard.data->subset(shard.rows);
    Quadratic scratch(*this);
    scratch.summarise(own);
    return quadratic_proximal_step(shard.weight * scratch.hessian_, shard.weight * scratch.slope_);
  }

 private:
  /// g += share * H (x - b); returns the sample's loss.
  double add_gradient(CVec x, const float* sample, float share, Vec g) {
    const float *diagonal = sample, *v = sample + dim_, *b = sample + 2 * dim_;
    distance_.resize(dim_);
    reflected_.resize(dim_);
    using Array = Eigen::Map<Eigen::ArrayXf>;
    using ConstArray = Eigen::Map<const Eigen::ArrayXf>;
    const Eigen::Index d = static_cast<Eigen::Index>(dim_);
    const ConstArray axis(v, d);
    Array distance(distance_.data(), d), reflected(reflected_.data(), d);
    distance = ConstArray(x.data(), d) - ConstArray(b, d);
    reflected = ConstArray(diagonal, d) * (distance - 2 * (axis * distance).sum() * axis);
    reflected -= 2 * (axis * reflected).sum() * axis;
    Array(g.data(), d) += share * reflected;
    return 0.5 * static_cast<double>((reflected * distance).sum());
  }

  /// Mean of H, of H b and of b'Hb/2 over the samples, in double; kept for the last dataset asked about,
  /// which must outlive that.
  void summarise(const Dataset& data) {
    if (summarised_ == &data) return;
    const Eigen::Index d = static_cast<Eigen::Index>(dim_);
    hessian_.setZero(d, d);
    slope_.setZero(d);
    constant_ = 0;
    std::vector<float> features(3 * dim_);
    for (std::size_t s = 0; s < data.size(); ++s) {
      data.gather(s, 1, features.data());
      using Part = Eigen::Map<const Eigen::VectorXf>;
      const Eigen::VectorXd diagonal = Part(features.data(), d).cast<double>();
      const Eigen::VectorXd v = Part(features.data() + dim_, d).cast<double>();
      const Eigen::VectorXd b = Part(features.data() + 2 * dim_, d).cast<double>();
      // (I - 2vv') D (I - 2vv') = D - 2 v (Dv)' - 2 (Dv) v' + 4 (v'Dv) vv', a rank-two change of D
      const Eigen::VectorXd u = diagonal.cwiseProduct(v);
      const Eigen::VectorXd c = 2 * (v.dot(u) * v - u);
      hessian_.diagonal() += diagonal;
      hessian_.noalias() += v * c.transpose() + c * v.transpose();
      const Eigen::VectorXd slope = diagonal.cwiseProduct(b) + c * v.dot(b) + v * c.dot(b);
      slope_ += slope;
      constant_ += 0.5 * b.dot(slope);
    }
    const double share = 1.0 / static_cast<double>(data.size());
    hessian_ *= share, slope_ *= share, constant_ *= share;
    summarised_ = &data;
  }

  std::size_t dim_;
  Floats distance_, reflected_;
  const Dataset* summarised_ = nullptr;
  Eigen::MatrixXd hessian_;
  Eigen::VectorXd slope_;
  double constant_ = 0;
};

}  // namespace

std::unique_ptr<Model> make_quadratic(const ModelSetup& setup, Params&) { return std::make_unique<Quadratic>(setup); }

}  // namespace ecl
