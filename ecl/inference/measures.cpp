#include "ecl/inference/measures.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <type_traits>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

constexpr int kMostConfused = 100;  // classes: more make no table that anybody reads

/// The bin of a difference of two logits: by the probability, but finer towards 0 and 1, where most scores of a good
/// classifier lie.
std::size_t bin_of(double difference, std::size_t bins) {
  const double place = 0.5 + std::atan(difference / 2) / M_PI;
  return std::min(bins - 1, static_cast<std::size_t>(place * static_cast<double>(bins)));
}

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

}  // namespace

ClassifierMeasures::ClassifierMeasures(int classes, std::size_t bins_of_scores)
    : classes_(classes), labels_(classes), predictions_(classes), hits_(classes) {
  if (classes <= kMostConfused) confusion_.resize(static_cast<std::size_t>(classes) * classes);
  if (classes == 2)
    for (auto& bins : bins_) bins.resize(bins_of_scores);
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
  if (classes_ == 2) ++bins_[label][bin_of(static_cast<double>(logits[1]) - logits[0], bins_[0].size())];
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
  for (std::size_t b = 0; b < bins_[0].size(); ++b) {
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

/// Few bins are told as they are: always as many bytes. Most of many are empty: those with samples are told, with their
/// numbers.
void ClassifierMeasures::archive(Archive& archive) {
  archive(samples_, log_loss_, labels_, predictions_, hits_, confusion_);
  for (auto& bins : bins_) {
    if (bins.size() <= kBinsBetweenSites) {
      archive(bins);
      continue;
    }
    std::vector<std::uint64_t> filled;
    for (std::size_t b = 0; b < bins.size(); ++b)
      if (bins[b] > 0) filled.insert(filled.end(), {b, bins[b]});
    archive.list(filled);
    if (!archive.loading()) continue;
    std::fill(bins.begin(), bins.end(), 0);
    for (std::size_t at = 0; at + 1 < filled.size(); at += 2) {
      if (filled[at] >= bins.size()) archive.fail("holds a bin that is none");
      bins[filled[at]] = filled[at + 1];
    }
  }
}

void RegressionMeasures::add(float output, float target) {
  const double error = static_cast<double>(output) - target;
  ++samples_;
  absolute_ += std::abs(error), square_ += error * error;
  sum_ += target, sum_of_squares_ += static_cast<double>(target) * target;
}

void RegressionMeasures::add(const RegressionMeasures& others) {
  samples_ += others.samples_;
  absolute_ += others.absolute_, square_ += others.square_;
  sum_ += others.sum_, sum_of_squares_ += others.sum_of_squares_;
}

double RegressionMeasures::rmse() const {
  return scale_.deviation * std::sqrt(ratio(square_, static_cast<double>(samples_)));
}

double RegressionMeasures::mae() const { return scale_.deviation * ratio(absolute_, static_cast<double>(samples_)); }

double RegressionMeasures::baseline_rmse() const {
  const auto count = static_cast<double>(samples_);
  const double mean = ratio(sum_, count);
  return scale_.deviation * std::sqrt(std::max(0.0, ratio(sum_of_squares_, count) - mean * mean));
}

double RegressionMeasures::r2() const {
  const double baseline = baseline_rmse();
  return baseline > 0 ? 1 - std::pow(rmse() / baseline, 2) : std::nan("");
}

void Measures::add(const Dataset& data, const float* outputs) {
  if (auto* numbers = std::get_if<RegressionMeasures>(&kind_))
    for (std::size_t r = 0; r < data.size(); ++r) numbers->add(outputs[r], data.targets()[r]);
  else if (auto* classes = std::get_if<ClassifierMeasures>(&kind_))
    for (std::size_t r = 0; r < data.size(); ++r) classes->add(outputs + r * classes->classes(), data.labels()[r]);
}

void Measures::add(Model& model, CVec x, const Dataset& data) {
  constexpr std::size_t kBlock = 4096;  // as many as Samples::next() gives
  Floats outputs;
  for (std::size_t first = 0; first < data.size(); first += kBlock) {
    std::vector<std::int32_t> rows(std::min(kBlock, data.size() - first));
    std::iota(rows.begin(), rows.end(), static_cast<std::int32_t>(first));
    const Dataset block = data.subset(rows);
    outputs.resize(block.size() * model.outputs());
    model.predict(x, block, outputs.data());
    add(block, outputs.data());
  }
}

void Measures::add(const Measures& others) {
  std::visit([&](auto& ours) { ours.add(std::get<std::decay_t<decltype(ours)>>(others.kind_)); }, kind_);
}

std::uint64_t Measures::samples() const {
  return std::visit([](const auto& measures) { return measures.samples(); }, kind_);
}

std::vector<std::pair<std::string, double>> Measures::named() const {
  if (const RegressionMeasures* numbers = regression())
    return {{"rmse", numbers->rmse()},
            {"mae", numbers->mae()},
            {"r2", numbers->r2()},
            {"baseline_rmse", numbers->baseline_rmse()}};
  const ClassifierMeasures& classes = *classifier();
  std::vector<std::pair<std::string, double>> all = {{"accuracy", classes.accuracy()},
                                                     {"balanced_accuracy", classes.balanced_accuracy()},
                                                     {"macro_f1", classes.macro_f1()},
                                                     {"log_loss", classes.log_loss()}};
  if (const auto auc = classes.auc()) all.insert(all.end(), {{"auc", auc->value}, {"auc_error", auc->error}});
  all.insert(all.end(),
             {{"baseline_accuracy", classes.baseline_accuracy()}, {"baseline_log_loss", classes.baseline_log_loss()}});
  return all;
}

void Measures::archive(Archive& archive) {
  std::visit([&](auto& measures) { archive(measures); }, kind_);
}

void softmax(float* logits, int classes) {
  const float top = *std::max_element(logits, logits + classes);
  float total = 0;
  for (int c = 0; c < classes; ++c) total += logits[c] = std::exp(logits[c] - top);
  for (int c = 0; c < classes; ++c) logits[c] /= total;
}

}  // namespace ecl
