#include "solvers/adaptive_steps.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/floats.hpp"
#include "solvers/forwarding.hpp"

namespace ecl {
namespace {

class AdaptiveSteps final : public Forwarding {
 public:
  AdaptiveSteps(std::unique_ptr<Solver> solver, const SolverSetup& setup)
      : Forwarding(std::move(solver)),
        adam_(setup.adam),
        clip_norm_(setup.clip_norm),
        longest_(solver_->step_lengths() == StepLengths::bounded ? 1 : std::numeric_limits<float>::infinity()),
        scaled_(!setup.scale.empty()),
        scale_(setup.scale.begin(), setup.scale.end()),
        direction_(setup.initial.size()),
        step_(setup.initial.size()) {
    scale_.resize(setup.initial.size(), 1);
    if (adam_) {
      first_moment_.resize(scale_.size());
      second_moment_.resize(scale_.size());
      factors_.resize(scale_.size(), 1);
    }
    steps_by_itself_ = solver_->scale_steps(factors_);
    beta1_ = steps_by_itself_ ? 0 : static_cast<float>(adam_.value_or(AdamRule()).beta1.value_or(0.9));
    if (clip_norm_ > 0 && !steps_by_itself_) added_.resize(scale_.size());
  }

  void combine(Vec x) override {
    scale_down(x);
    solver_->combine(x);
    scale_up(x);
  }
  void end_round(Vec x, int steps, double step_size) override {
    scale_down(x);
    solver_->end_round(x, steps, step_size);
    scale_up(x);
  }
  void exchange(Vec x) override {
    if (solver_->overlaps()) return solver_->exchange(x);  // which leaves x alone
    scale_down(x);
    solver_->exchange(x);
    scale_up(x);
  }
  void send(int e, CVec x, Vec message) override {
    if (!scaled_) return solver_->send(e, x, message);
    std::copy(x.begin(), x.end(), step_.begin());
    scale_down(step_);
    solver_->send(e, step_, message);
  }

  void descend(Vec x, CVec gradient, double step_size) override {
    if (clip_norm_ > 0) gradient = clipped(gradient);
    if (adam_) gradient = adapted(x, gradient);
    std::fill(step_.begin(), step_.end(), 0.0f);  // small beside x: taken off x itself it would be rounded
    solver_->descend(step_, gradient, step_size);
    if (!added_.empty() && step_size > 0) remember_what_was_added(gradient, step_size);
    const float* s = scale_.data();
    if (factors_.empty() || steps_by_itself_)
      for (std::size_t d = 0; d < x.size(); ++d) x[d] += s[d] * step_[d];
    else
      for (std::size_t d = 0; d < x.size(); ++d) x[d] += s[d] * (factors_[d] * step_[d]);
  }

  void archive(Archive& archive) override {
    archive(steps_, first_moment_, second_moment_, added_, scale_, *solver_);
    if (archive.loading() && steps_ > 0) {
      const double fix = debias(adam_ ? adam_->beta2 : 0);
      for (std::size_t d = 0; d < factors_.size(); ++d) factors_[d] = factor(d, static_cast<float>(fix));
    }
  }

 private:
  void scale_down(Vec x) const {
    for (std::size_t d = 0; scaled_ && d < x.size(); ++d) x[d] /= scale_[d];
  }
  void scale_up(Vec x) const {
    for (std::size_t d = 0; scaled_ && d < x.size(); ++d) x[d] *= scale_[d];
  }

  /// g <- a (g + c) - c.
  CVec clipped(CVec gradient) {
    const float sign = steps_by_itself_ ? -1.0f : 1.0f;
    const CVec added = steps_by_itself_ ? solver_->correction() : CVec(added_);
    double squares = 0;
#pragma omp simd reduction(+ : squares)
    for (std::size_t d = 0; d < gradient.size(); ++d) {
      const float whole = gradient[d] + sign * added[d] / scale_[d];
      squares += static_cast<double>(whole) * whole;
      direction_[d] = whole;
    }
    const double norm = std::sqrt(squares);
    if (norm <= clip_norm_) return gradient;
    const float less = static_cast<float>(1 - clip_norm_ / norm);  // a NaN stays one, and training says so
    for (std::size_t d = 0; d < gradient.size(); ++d) direction_[d] = gradient[d] - less * direction_[d];
    return direction_;
  }

  /// Brings moments and lengths up to date; returns S (m + decay x / P).
  CVec adapted(CVec x, CVec gradient) {
    ++steps_;
    const float beta1 = beta1_, beta2 = static_cast<float>(adam_->beta2), rest1 = 1 - beta1,
                rest2 = static_cast<float>(1 - adam_->beta2), decay = static_cast<float>(adam_->decay),
                fix1 = static_cast<float>(debias(beta1)), fix2 = static_cast<float>(debias(adam_->beta2));
    const float *g = gradient.data(), *s = scale_.data();
    float *m = first_moment_.data(), *v = second_moment_.data(), *p = factors_.data(), *direction = direction_.data();
#pragma omp simd
    for (std::size_t d = 0; d < x.size(); ++d) {
      m[d] = beta1 * m[d] + rest1 * g[d];
      v[d] = beta2 * v[d] + rest2 * (g[d] * g[d]);
      p[d] = factor(d, fix2);
      direction[d] = s[d] * (fix1 * m[d]) + decay * x[d] / (s[d] * p[d]);
    }
    return direction_;
  }

  /// 1 / (1 - beta^t).
  double debias(double beta) const { return 1 / (1 - std::pow(beta, static_cast<double>(steps_))); }
  /// P / S^2, bounded.
  float factor(std::size_t d, float fix) const {
    const float gradient = std::sqrt(second_moment_[d] * fix) + static_cast<float>(adam_->eps);
    return std::min(longest_, 1 / (gradient * (scale_[d] * scale_[d])));
  }

  /// c of the step just made.
  void remember_what_was_added(CVec direction, double step_size) {
    const float per_step = static_cast<float>(1 / step_size);
    for (std::size_t d = 0; d < added_.size(); ++d) added_[d] = -per_step * step_[d] - direction[d];
  }

  std::optional<AdamRule> adam_;
  double clip_norm_;
  float longest_;
  bool scaled_;
  bool steps_by_itself_ = false;  ///< Solver::scale_steps()
  float beta1_ = 0;
  std::uint64_t steps_ = 0;
  Floats scale_;          ///< S
  Floats first_moment_;   ///< m, and
  Floats second_moment_;  ///< v, not yet over 1 - beta^t
  Floats factors_;        ///< P in the solver's coordinates
  Floats added_;          ///< c there, of the last step; where clipping asks, and the solver does not say
  Floats direction_;      ///< scratch
  Floats step_;           ///< scratch
};

}  // namespace

std::unique_ptr<Solver> with_adaptive_steps(const std::string& name, const SolverSetup& setup,
                                            const std::function<std::unique_ptr<Solver>(const SolverSetup&)>& make) {
  ECL_CHECK(setup.scale.empty() || setup.scale.size() == setup.initial.size());
  Floats initial(setup.initial.begin(), setup.initial.end());
  for (std::size_t d = 0; d < setup.scale.size(); ++d) initial[d] /= setup.scale[d];
  SolverSetup inner = setup;
  inner.initial = initial;
  auto solver = make(inner);
  if (solver->step_lengths() == StepLengths::one)
    throw Error("solver " + name + " takes no steps that each node shortens by itself, as " +
                (setup.adam ? "Adam does" : "clipping does") +
                "; use optimizer sgd without a clip norm, or one that takes them: ecl, led, k_gt, lt_admm, scaffold, "
                "dpsgd, fedavg, local");
  return std::make_unique<AdaptiveSteps>(std::move(solver), setup);
}

}  // namespace ecl
