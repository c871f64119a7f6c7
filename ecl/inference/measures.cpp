#include "ecl/inference/measures.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

constexpr std::size_t kBins = std::size_t{1} << 16;
constexpr int kMostConfused = 100;  // classes: more make no table that anybody reads

/// The bin of a difference of two logits: by the probability, but finer towards 0 and 1, where most scores of a good
/// classifier lie.
std::size_t bin_of(double difference) {
  const double place = 0.5 + std::atan(difference / 2) / M_PI;
  return std::min(kBins - 1, static_cast<std::size_t>(place * kBins));
}

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

}  // namespace

ClassifierMeasures::ClassifierMeasures(int classes)
    : classes_(classes), labels_(classes), predictions_(classes), hits_(classes) {
  if (classes <= kMostConfused) confusion_.resize(static_cast<std::size_t>(classes) * classes);
  if (classes == 2)
    for (auto& bins : bins_) bins.resize(kBins);
}

void ClassifierMeasures::add(const float* logits, std::int32_t label) {
  const float* best = std::max_element(logits, logits + classes_);
  const std::ptrdiff_t predicted = best - logits;
  ++samples_, ++labels_[label], ++predictions_[predicted];
  if (predicted == label) ++hits_[label];
  if (counts_confusion()) ++confusion_[label * classes_ + predicted];
  double total = 0;
  for (int c = 0; c < classes_; ++c) total += std::exp(static_cast<double>(logits[c]) - *best);
  log_loss_ += std::log(total) + *best - logits[label];
  if (classes_ == 2) ++bins_[label][bin_of(static_cast<double>(logits[1]) - logits[0])];
}

void ClassifierMeasures::add(const ClassifierMeasures& others) {
  ECL_CHECK(others.classes_ == classes_);
  samples_ += others.samples_;
  log_loss_ += others.log_loss_;
  const auto sum = [](auto& ours, const auto& theirs) {
    std::transform(ours.begin(), ours.end(), theirs.begin(), ours.begin(), std::plus<>());
  };
  sum(labels_, others.labels_), sum(predictions_, others.predictions_), sum(hits_, others.hits_);
  sum(confusion_, others.confusion_);
  for (int b = 0; b < 2; ++b) sum(bins_[b], others.bins_[b]);
}

double ClassifierMeasures::accuracy() const {
  const std::uint64_t hits = std::accumulate(hits_.begin(), hits_.end(), std::uint64_t{0});
  return ratio(100.0 * static_cast<double>(hits), static_cast<double>(samples_));
}

double ClassifierMeasures::balanced_accuracy() const {
  double sum = 0, present = 0;
  for (int c = 0; c < classes_; ++c) {
    if (labels_[c] == 0) continue;
    sum += 100.0 * static_cast<double>(hits_[c]) / static_cast<double>(labels_[c]);
    present += 1;
  }
  return ratio(sum, present);
}

double ClassifierMeasures::macro_f1() const {
  double sum = 0, present = 0;
  for (int c = 0; c < classes_; ++c) {
    if (labels_[c] + predictions_[c] == 0) continue;
    sum += 2 * static_cast<double>(hits_[c]) / static_cast<double>(labels_[c] + predictions_[c]);
    present += 1;
  }
  return ratio(sum, present);
}

double ClassifierMeasures::log_loss() const { return ratio(log_loss_, static_cast<double>(samples_)); }

std::optional<ClassifierMeasures::Auc> ClassifierMeasures::auc() const {
  if (classes_ != 2 || labels_[0] == 0 || labels_[1] == 0) return std::nullopt;
  const double pairs = static_cast<double>(labels_[0]) * static_cast<double>(labels_[1]);
  double above = 0, together = 0, first_below = 0;
  for (std::size_t b = 0; b < kBins; ++b) {
    const auto first = static_cast<double>(bins_[0][b]), second = static_cast<double>(bins_[1][b]);
    above += second * first_below;
    together += second * first;
    first_below += first;
  }
  return Auc{(above + together / 2) / pairs, together / 2 / pairs};
}

int ClassifierMeasures::most_frequent() const {
  return static_cast<int>(std::max_element(labels_.begin(), labels_.end()) - labels_.begin());
}

double ClassifierMeasures::baseline_accuracy() const {
  return ratio(100.0 * static_cast<double>(labels_[most_frequent()]), static_cast<double>(samples_));
}

double ClassifierMeasures::baseline_log_loss() const {
  double sum = 0;
  for (int c = 0; c < classes_; ++c)
    if (const double share = ratio(static_cast<double>(labels_[c]), static_cast<double>(samples_)); share > 0)
      sum -= share * std::log(share);
  return sum;
}

void softmax(float* logits, int classes) {
  const float top = *std::max_element(logits, logits + classes);
  float total = 0;
  for (int c = 0; c < classes; ++c) total += logits[c] = std::exp(logits[c] - top);
  for (int c = 0; c < classes; ++c) logits[c] /= total;
}

}  // namespace ecl
