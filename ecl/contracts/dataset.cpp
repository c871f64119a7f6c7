#include "ecl/contracts/dataset.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/checksum.hpp"

namespace ecl {

Dataset::Dataset(int features, int classes, std::vector<float> values, std::vector<std::int32_t> labels)
    : features_(features), classes_(classes), values_(std::move(values)), labels_(std::move(labels)) {
  ECL_CHECK(values_.size() == labels_.size() * static_cast<std::size_t>(features));
}

Dataset::Dataset(int features, int classes, std::vector<std::uint8_t> bytes, const std::vector<Normalisation>& channels,
                 std::vector<std::int32_t> labels)
    : features_(features), classes_(classes), bytes_(std::move(bytes)), labels_(std::move(labels)) {
  ECL_CHECK(bytes_.size() == labels_.size() * static_cast<std::size_t>(features));
  ECL_CHECK(!channels.empty() && features % channels.size() == 0);
  for (const auto& [mean, deviation] : channels) scales_.push_back({1.0f / (255.0f * deviation), -mean / deviation});
}

std::vector<Normalisation> Dataset::channels() const {
  std::vector<Normalisation> channels;
  for (const auto [factor, offset] : scales_) {
    const float deviation = 1.0f / (255.0f * factor);
    channels.push_back({-offset * deviation, deviation});
  }
  return channels;
}

void Dataset::gather_row(std::size_t row, float* out) const {
  const std::size_t at = row * features_;
  if (bytes_.empty()) {
    std::copy_n(values_.data() + at, features_, out);
    return;
  }
  const std::uint8_t* bytes = bytes_.data() + at;
  const int plane = this->plane();
  for (const auto [factor, offset] : scales_) {
    for (int f = 0; f < plane; ++f) out[f] = static_cast<float>(bytes[f]) * factor + offset;
    bytes += plane, out += plane;
  }
}

void Dataset::gather(std::span<const std::int32_t> rows, float* out) const {
  for (const std::int32_t row : rows) gather_row(row, out), out += features_;
}

void Dataset::gather(std::size_t first, std::size_t count, float* out) const {
  for (std::size_t row = first; row < first + count; ++row) gather_row(row, out), out += features_;
}

void Dataset::number_samples(std::vector<std::int32_t> numbers) {
  ECL_CHECK(numbers.size() == size());
  numbers_ = std::move(numbers);
}

void Dataset::relabel(std::span<const std::int32_t> number_of, int classes) {
  ECL_CHECK(number_of.size() == static_cast<std::size_t>(classes_));
  for (std::int32_t& label : labels_) label = number_of[label];
  classes_ = classes;
}

void Dataset::scale(const Scale& scale) {
  ECL_CHECK(bytes_.empty() && scale.mean.size() == static_cast<std::size_t>(features_));
  constexpr double kLimit = std::numeric_limits<float>::max();  // a test row may be far outside the training range
  std::vector<double> factor;
  for (const double deviation : scale.deviation) factor.push_back(1 / deviation);
  for (float* row = values_.data(); row != values_.data() + values_.size(); row += features_)
    for (int f = 0; f < features_; ++f)
      row[f] = static_cast<float>(std::clamp((row[f] - scale.mean[f]) * factor[f], -kLimit, kLimit));
}

void Dataset::widen(int features) {
  ECL_CHECK(bytes_.empty() && features >= features_);
  if (features == features_) return;
  std::vector<float> wide(size() * features, 0.0f);
  for (std::size_t row = 0; row < size(); ++row)
    std::copy_n(values_.data() + row * features_, features_, wide.data() + row * features);
  values_ = std::move(wide);
  features_ = features;
}

std::uint32_t Dataset::checksum(std::uint32_t before) const {
  const auto add = [&](const auto& values) { before = ecl::checksum(std::as_bytes(std::span(values)), before); };
  add(values_), add(bytes_), add(labels_);
  return before;
}

Dataset Dataset::subset(std::span<const std::int32_t> rows) const {
  Dataset part;
  part.features_ = features_, part.classes_ = classes_;
  part.image = image;
  part.schema = schema;
  part.scales_ = scales_;
  const auto copy_rows = [&](const auto& from, auto& to) {
    if (from.empty()) return;
    to.reserve(rows.size() * features_);
    for (const std::int32_t row : rows) {
      const auto begin = from.begin() + static_cast<std::ptrdiff_t>(row) * features_;
      to.insert(to.end(), begin, begin + features_);
    }
  };
  copy_rows(values_, part.values_);
  copy_rows(bytes_, part.bytes_);
  const auto pick = [&](const std::vector<std::int32_t>& from) {
    std::vector<std::int32_t> to;
    to.reserve(rows.size());
    for (const std::int32_t row : rows) to.push_back(from[row]);
    return to;
  };
  part.labels_ = pick(labels_);
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
