#include "ecl/contracts/dataset.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/checksum.hpp"
#include "ecl/base/memory.hpp"

namespace ecl {

Dataset::Dataset(int features, int classes, std::vector<float> values, std::vector<std::int32_t> labels)
    : features_(features),
      classes_(classes),
      rows_(FloatRows{features, std::move(values)}),
      labels_(std::move(labels)) {
  ECL_CHECK(std::get<FloatRows>(rows_).values.size() == labels_.size() * static_cast<std::size_t>(features));
}

Dataset::Dataset(int features, int classes, std::vector<std::uint8_t> bytes, const std::vector<Normalisation>& channels,
                 std::vector<std::int32_t> labels)
    : features_(features), classes_(classes), labels_(std::move(labels)) {
  ECL_CHECK(bytes.size() == labels_.size() * static_cast<std::size_t>(features));
  ECL_CHECK(!channels.empty() && features % channels.size() == 0);
  ByteRows rows{features, std::move(bytes), {}};
  for (const auto& [mean, deviation] : channels)
    rows.scales.push_back({1.0f / (255.0f * deviation), -mean / deviation});
  rows_ = std::move(rows);
}

Dataset::Dataset(int classes, Rows rows, std::vector<std::int32_t> labels)
    : features_(std::visit([](const auto& stored) { return stored.features; }, rows)),
      classes_(classes),
      rows_(std::move(rows)),
      labels_(std::move(labels)) {
  ECL_CHECK(std::visit([](const auto& stored) { return stored.size(); }, rows_) == labels_.size());
}

std::size_t Dataset::bytes_per_sample() const {
  const std::size_t bytes = std::visit([](const auto& rows) { return rows.bytes(); }, rows_);
  return sizeof(std::int32_t) + (labels_.empty() ? 0 : bytes / labels_.size());
}

std::vector<Normalisation> Dataset::channels() const {
  std::vector<Normalisation> channels;
  if (const auto* bytes = std::get_if<ByteRows>(&rows_))
    for (const auto [factor, offset] : bytes->scales) {
      const float deviation = 1.0f / (255.0f * factor);
      channels.push_back({-offset * deviation, deviation});
    }
  return channels;
}

float Dataset::black(int f) const {
  const auto* bytes = std::get_if<ByteRows>(&rows_);
  return bytes ? bytes->scales[f / bytes->plane()].offset : 0;
}

void Dataset::gather(std::span<const std::int32_t> wanted, float* out) const {
  std::visit(
      [&](const auto& rows) {
        for (const std::int32_t row : wanted) rows.gather(row, out), out += features_;
      },
      rows_);
}

void Dataset::gather(std::size_t first, std::size_t count, float* out) const {
  std::visit(
      [&](const auto& rows) {
        for (std::size_t row = first; row < first + count; ++row) rows.gather(row, out), out += features_;
      },
      rows_);
}

void Dataset::gather(std::span<const std::int32_t> wanted, SparseRows& out) const {
  out.features = features_;
  for (const std::int32_t row : wanted) out.add(std::get<SparseRows>(rows_), row);
}

void Dataset::gather(std::size_t first, std::size_t count, SparseRows& out) const {
  out.features = features_;
  for (std::size_t row = first; row < first + count; ++row) out.add(std::get<SparseRows>(rows_), row);
}

void Dataset::make_sparse() {
  const auto* const dense = std::get_if<FloatRows>(&rows_);
  if (!dense) return;
  SparseRows sparse{.features = features_, .ends = {}, .at = {}, .values = {}};
  for (std::size_t row = 0; row < size(); ++row) {
    const float* const values = dense->values.data() + row * features_;
    for (int f = 0; f < features_; ++f)
      if (values[f] != 0) sparse.at.push_back(f), sparse.values.push_back(values[f]);
    sparse.ends.push_back(sparse.values.size());
  }
  rows_ = std::move(sparse);
}

void Dataset::make_dense() {
  const auto* const sparse = std::get_if<SparseRows>(&rows_);
  if (!sparse) return;
  const std::string what =
      std::to_string(size()) + " sparse samples as rows of " + std::to_string(features_) + " numbers";
  require_memory(static_cast<double>(size()) * features_ * sizeof(float), what, "leave out features or rows");
  FloatRows dense{features_, std::vector<float>(size() * features_)};
  for (std::size_t row = 0; row < size(); ++row) sparse->gather(row, dense.values.data() + row * features_);
  rows_ = std::move(dense);
}

void Dataset::number_samples(std::vector<std::int32_t> numbers) {
  ECL_CHECK(numbers.size() == size());
  numbers_ = std::move(numbers);
}

void Dataset::set_targets(std::vector<float> targets) {
  ECL_CHECK(targets.size() == size());
  targets_ = std::move(targets);
}

void Dataset::set_multi_label(std::vector<float> present) {
  ECL_CHECK(present.size() == size() * classes_);
  targets_ = std::move(present);
  multi_label_ = true;
}

void Dataset::set_weights(std::vector<float> weights) {
  ECL_CHECK(weights.size() == size());
  weights_ = std::move(weights);
}

void Dataset::scale_weights(double factor) {
  for (float& weight : weights_) weight = static_cast<float>(factor * weight);
}

double Dataset::total_weight() const {
  return weights_.empty() ? static_cast<double>(size()) : std::accumulate(weights_.begin(), weights_.end(), 0.0);
}

void Dataset::scale_targets(const TargetScale& scale) {
  for (float& y : targets_) y = static_cast<float>((y - scale.mean) / scale.deviation);
}

void Dataset::relabel(std::span<const std::int32_t> number_of, int classes) {
  ECL_CHECK(number_of.size() == static_cast<std::size_t>(classes_));
  if (multi_label_) {
    std::vector<float> present(size() * classes, 0.0f);
    for (std::size_t at = 0; at < targets_.size(); ++at)
      if (const std::int32_t number = number_of[at % classes_]; number >= 0 && targets_[at] > 0)
        present[at / classes_ * classes + number] = 1;  // two spellings may be one label
    targets_ = std::move(present), classes_ = classes;
    return;
  }
  for (std::int32_t& label : labels_) label = number_of[label];
  classes_ = classes;
}

void Dataset::scale(const Scale& scale) {
  ECL_CHECK(scale.mean.size() == static_cast<std::size_t>(features_) || scale.mean.empty());
  ECL_CHECK(scale.fill.size() == static_cast<std::size_t>(features_) || scale.fill.empty());
  std::vector<double> factor;
  for (const double deviation : scale.deviation) factor.push_back(1 / deviation);
  if (auto* const mapped = std::get_if<MappedRows>(&rows_)) {
    mapped->mean = scale.mean, mapped->factor = std::move(factor), mapped->fill = scale.fill;
    return;
  }
  constexpr double kLimit = std::numeric_limits<float>::max();  // a test row may be far outside the training range
  auto& values = std::get<FloatRows>(rows_).values;
  for (float* row = values.data(); row != values.data() + values.size(); row += features_) {
    for (std::size_t f = 0; f < scale.fill.size(); ++f)
      if (std::isnan(row[f])) row[f] = static_cast<float>(scale.fill[f]);
    for (std::size_t f = 0; f < factor.size(); ++f)
      row[f] = static_cast<float>(std::clamp((row[f] - scale.mean[f]) * factor[f], -kLimit, kLimit));
  }
}

void Dataset::widen(int features) {
  ECL_CHECK(features >= features_);
  if (auto* const sparse = std::get_if<SparseRows>(&rows_)) {
    sparse->features = features;
  } else if (features != features_) {
    auto& dense = std::get<FloatRows>(rows_);
    std::vector<float> wide(size() * features, 0.0f);
    for (std::size_t row = 0; row < size(); ++row) dense.gather(row, wide.data() + row * features);
    dense = {features, std::move(wide)};
  }
  features_ = features;
}

void Dataset::replace_features(FloatRows rows) {
  ECL_CHECK(rows.values.size() == size() * static_cast<std::size_t>(rows.features));
  features_ = rows.features;
  rows_ = std::move(rows);
}

std::uint32_t Dataset::checksum(std::uint32_t before) const {
  before = std::visit([&](const auto& rows) { return rows.checksum(before); }, rows_);
  before = ecl::checksum(std::as_bytes(std::span(labels_)), before);
  for (const auto* values : {&targets_, &weights_})
    if (!values->empty()) before = ecl::checksum(std::as_bytes(std::span(*values)), before);
  return before;
}

Dataset Dataset::subset(std::span<const std::int32_t> rows) const {
  Dataset part;
  part.features_ = features_, part.classes_ = classes_;
  part.image = image;
  part.schema = schema;
  std::visit([&](const auto& all) { part.rows_ = all.subset(rows); }, rows_);
  const auto pick = [&](const auto& from) {
    std::decay_t<decltype(from)> to;
    to.reserve(rows.size());
    for (const std::int32_t row : rows) to.push_back(from[row]);
    return to;
  };
  part.labels_ = pick(labels_);
  part.multi_label_ = multi_label_;
  if (!weights_.empty()) part.weights_ = pick(weights_);
  if (is_regression()) part.targets_ = pick(targets_);
  for (const std::int32_t row : multi_label_ ? rows : std::span<const std::int32_t>()) {
    const auto first = targets_.begin() + std::ptrdiff_t{row} * classes_;
    part.targets_.insert(part.targets_.end(), first, first + classes_);
  }
  part.numbers_.reserve(rows.size());
  for (const std::int32_t row : rows) part.numbers_.push_back(number(row));
  for (const auto& [name, groups] : columns) part.columns[name] = pick(groups);
  return part;
}

bool disjoint_and_complete(const Partition& partition, std::size_t samples) {
  std::vector<bool> seen(samples, false);
  std::size_t count = 0;
  for (const auto& rows : partition) {
    for (const std::int32_t row : rows) {
      if (row < 0 || static_cast<std::size_t>(row) >= samples || seen[row]) return false;
      seen[row] = true;
      ++count;
    }
  }
  return count == samples;
}

}  // namespace ecl
