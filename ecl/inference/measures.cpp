#include "ecl/inference/measures.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
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

void ClassifierMeasures::add(const float* logits, std::int32_t label, double weight) {
  const float* best = std::max_element(logits, logits + classes_);
  const std::ptrdiff_t predicted = best - logits;
  ++samples_, weight_ += weight, labels_[label] += weight, predictions_[predicted] += weight;
  if (predicted == label) hits_[label] += weight;
  if (counts_confusion()) confusion_[label * classes_ + predicted] += weight;
  double total = 0;
  for (int c = 0; c < classes_; ++c) total += std::exp(static_cast<double>(logits[c]) - *best);
  log_loss_ += weight * (std::log(total) + *best - logits[label]);
  if (classes_ == 2) bins_[label][bin_of(static_cast<double>(logits[1]) - logits[0], bins_[0].size())] += weight;
}

void ClassifierMeasures::add(const ClassifierMeasures& others) {
  ECL_CHECK(others.classes_ == classes_);
  samples_ += others.samples_;
  weight_ += others.weight_, log_loss_ += others.log_loss_;
  const auto sum = [](auto& ours, const auto& theirs) {
    std::transform(ours.begin(), ours.end(), theirs.begin(), ours.begin(), std::plus<>());
  };
  sum(labels_, others.labels_), sum(predictions_, others.predictions_), sum(hits_, others.hits_);
  sum(confusion_, others.confusion_);
  for (int b = 0; b < 2; ++b) sum(bins_[b], others.bins_[b]);
}

double ClassifierMeasures::accuracy() const {
  return ratio(100.0 * std::accumulate(hits_.begin(), hits_.end(), 0.0), weight_);
}

double ClassifierMeasures::balanced_accuracy() const {
  double sum = 0, present = 0;
  for (int c = 0; c < classes_; ++c) {
    if (labels_[c] == 0) continue;
    sum += 100.0 * hits_[c] / labels_[c];
    present += 1;
  }
  return ratio(sum, present);
}

double ClassifierMeasures::macro_f1() const {
  double sum = 0, present = 0;
  for (int c = 0; c < classes_; ++c) {
    if (labels_[c] + predictions_[c] == 0) continue;
    sum += 2 * hits_[c] / (labels_[c] + predictions_[c]);
    present += 1;
  }
  return ratio(sum, present);
}

double ClassifierMeasures::log_loss() const { return ratio(log_loss_, weight_); }

std::optional<ClassifierMeasures::Auc> ClassifierMeasures::auc() const {
  if (classes_ != 2 || labels_[0] == 0 || labels_[1] == 0) return std::nullopt;
  const double pairs = labels_[0] * labels_[1];
  double above = 0, together = 0, first_below = 0;
  for (std::size_t b = 0; b < bins_[0].size(); ++b) {
    const double first = bins_[0][b], second = bins_[1][b];
    above += second * first_below;
    together += second * first;
    first_below += first;
  }
  return Auc{(above + together / 2) / pairs, together / 2 / pairs};
}

int ClassifierMeasures::most_frequent() const {
  return static_cast<int>(std::max_element(labels_.begin(), labels_.end()) - labels_.begin());
}

double ClassifierMeasures::baseline_accuracy() const { return ratio(100.0 * labels_[most_frequent()], weight_); }

double ClassifierMeasures::baseline_balanced_accuracy() const {
  const auto present = std::ranges::count_if(labels_, [](double weight) { return weight > 0; });
  return ratio(100, static_cast<double>(present));
}

double ClassifierMeasures::baseline_log_loss() const {
  double sum = 0;
  for (int c = 0; c < classes_; ++c)
    if (const double share = ratio(labels_[c], weight_); share > 0) sum -= share * std::log(share);
  return sum;
}

/// Few bins are told as they are: always as many bytes. Most of many are empty: those with samples are told, with their
/// numbers.
void ClassifierMeasures::archive(Archive& archive) {
  archive(samples_, weight_, log_loss_, labels_, predictions_, hits_, confusion_);
  for (auto& bins : bins_) {
    if (bins.size() <= kBinsBetweenSites) {
      archive(bins);
      continue;
    }
    std::vector<double> filled;
    for (std::size_t b = 0; b < bins.size(); ++b)
      if (bins[b] > 0) filled.insert(filled.end(), {static_cast<double>(b), bins[b]});
    archive.list(filled);
    if (!archive.loading()) continue;
    std::fill(bins.begin(), bins.end(), 0);
    for (std::size_t at = 0; at + 1 < filled.size(); at += 2) {
      if (!(filled[at] >= 0 && filled[at] < static_cast<double>(bins.size()))) archive.fail("holds a bin that is none");
      bins[static_cast<std::size_t>(filled[at])] = filled[at + 1];
    }
  }
}

LabelMeasures::LabelMeasures(int labels, std::size_t bins) {
  // Of many labels fewer each: between sites they travel at every evaluation, as many bytes each time.
  const bool between_sites = bins <= ClassifierMeasures::kBinsBetweenSites;
  const std::size_t in_all = std::size_t{1} << (between_sites ? 15 : 20), least = std::min<std::size_t>(bins, 32);
  each_.assign(labels, ClassifierMeasures(2, std::clamp<std::size_t>(in_all / labels, least, bins)));
}

void LabelMeasures::add(const float* logits, const float* present, double weight) {
  bool all_right = true;
  for (std::size_t k = 0; k < each_.size(); ++k) {
    const float two[] = {0, logits[k]};
    each_[k].add(two, present[k] > 0, weight);
    all_right &= (logits[k] > 0) == (present[k] > 0);
  }
  if (all_right) all_right_ += weight;
}

void LabelMeasures::add(const LabelMeasures& others) {
  ECL_CHECK(others.each_.size() == each_.size());
  for (std::size_t k = 0; k < each_.size(); ++k) each_[k].add(others.each_[k]);
  all_right_ += others.all_right_;
}

double LabelMeasures::mean(double (ClassifierMeasures::*measure)() const) const {
  double sum = 0;
  for (const ClassifierMeasures& label : each_) sum += (label.*measure)();
  return sum / static_cast<double>(each_.size());
}

double LabelMeasures::accuracy() const { return mean(&ClassifierMeasures::accuracy); }

double LabelMeasures::subset_accuracy() const { return ratio(100 * all_right_, each_[0].weight()); }

std::optional<double> f1_of_label(const ClassifierMeasures& label) {
  const double hits = label.confused(1, 1), all = 2 * hits + label.confused(0, 1) + label.confused(1, 0);
  if (all == 0) return std::nullopt;
  return 2 * hits / all;
}

double LabelMeasures::macro_f1() const {
  double sum = 0, present = 0;
  for (const ClassifierMeasures& label : each_)
    if (const auto f1 = f1_of_label(label)) sum += *f1, present += 1;
  return ratio(sum, present);
}

double LabelMeasures::log_loss() const {
  return mean(&ClassifierMeasures::log_loss) * static_cast<double>(each_.size());
}

std::optional<ClassifierMeasures::Auc> LabelMeasures::auc() const {
  ClassifierMeasures::Auc sum{0, 0};
  double present = 0;
  for (const ClassifierMeasures& label : each_)
    if (const auto auc = label.auc()) sum.value += auc->value, sum.error += auc->error, present += 1;
  if (present == 0) return std::nullopt;
  return ClassifierMeasures::Auc{sum.value / present, sum.error / present};
}

double LabelMeasures::baseline_accuracy() const { return mean(&ClassifierMeasures::baseline_accuracy); }

double LabelMeasures::baseline_log_loss() const {
  return mean(&ClassifierMeasures::baseline_log_loss) * static_cast<double>(each_.size());
}

void LabelMeasures::archive(Archive& archive) {
  archive(all_right_);
  for (ClassifierMeasures& label : each_) archive(label);
}

void RegressionMeasures::add(float output, float target, double weight) {
  const double error = static_cast<double>(output) - target;
  ++samples_, weight_ += weight;
  absolute_ += weight * std::abs(error), square_ += weight * (error * error);
  sum_ += weight * target, sum_of_squares_ += weight * (static_cast<double>(target) * target);
}

void RegressionMeasures::add(const RegressionMeasures& others) {
  samples_ += others.samples_, weight_ += others.weight_;
  absolute_ += others.absolute_, square_ += others.square_;
  sum_ += others.sum_, sum_of_squares_ += others.sum_of_squares_;
}

double RegressionMeasures::rmse() const { return scale_.deviation * std::sqrt(ratio(square_, weight_)); }

double RegressionMeasures::mae() const { return scale_.deviation * ratio(absolute_, weight_); }

double RegressionMeasures::baseline_rmse() const {
  const double mean = ratio(sum_, weight_), square = ratio(sum_of_squares_, weight_);
  const double variance = square - mean * mean;
  constexpr double kRounding = 1e-12;  // all labels are equal
  return variance > kRounding * square ? scale_.deviation * std::sqrt(variance) : 0;
}

double RegressionMeasures::r2() const {
  const double baseline = baseline_rmse();
  return baseline > 0 ? 1 - std::pow(rmse() / baseline, 2) : std::nan("");
}

Measures Measures::of(Loss loss, int classes, const std::optional<TargetScale>& target, std::size_t bins) {
  if (target) return Measures(RegressionMeasures(*target));
  return loss == Loss::logistic ? Measures(LabelMeasures(classes, bins)) : Measures(ClassifierMeasures(classes, bins));
}

void Measures::add(const Dataset& data, const float* outputs) {
  const auto weight = [&](std::size_t r) { return data.weights().empty() ? 1.0 : data.weights()[r]; };
  const auto& targets = data.targets();
  for (std::size_t r = 0; r < data.size(); ++r)
    if (auto* numbers = std::get_if<RegressionMeasures>(&kind_))
      numbers->add(outputs[r], targets[r], weight(r));
    else if (auto* labels = std::get_if<LabelMeasures>(&kind_))
      labels->add(outputs + r * data.classes(), targets.data() + r * data.classes(), weight(r));
    else if (auto* classes = std::get_if<ClassifierMeasures>(&kind_))
      classes->add(outputs + r * classes->classes(), data.labels()[r], weight(r));
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

double Measures::weight() const {
  return std::visit([](const auto& measures) { return measures.weight(); }, kind_);
}

std::vector<std::pair<std::string, double>> Measures::named() const {
  if (const RegressionMeasures* numbers = regression())
    return {{"rmse", numbers->rmse()},
            {"mae", numbers->mae()},
            {"r2", numbers->r2()},
            {"baseline_rmse", numbers->baseline_rmse()}};
  std::vector<std::pair<std::string, double>> all;
  const auto name_all = [&](const auto& own, const char* second, double value) {
    all = {{"accuracy", own.accuracy()}, {second, value}, {"macro_f1", own.macro_f1()}, {"log_loss", own.log_loss()}};
    if (const auto auc = own.auc()) all.insert(all.end(), {{"auc", auc->value}, {"auc_error", auc->error}});
    all.insert(all.end(),
               {{"baseline_accuracy", own.baseline_accuracy()}, {"baseline_log_loss", own.baseline_log_loss()}});
  };
  if (const LabelMeasures* own = labels()) name_all(*own, "subset_accuracy", own->subset_accuracy());
  if (const ClassifierMeasures* own = classifier()) name_all(*own, "balanced_accuracy", own->balanced_accuracy());
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

/// Above 0.5 for logits above 0 alone, however floats round: who goes by either finds the same labels.
float sigmoid(float logit) {
  constexpr float kAboveHalf = 0.5F + std::numeric_limits<float>::epsilon() / 2;
  const float probability = 1 / (1 + std::exp(-logit));
  return logit > 0 ? std::max(probability, kAboveHalf) : probability;
}

}  // namespace ecl
