#include "ecl/contracts/rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "ecl/base/checksum.hpp"

namespace ecl {
namespace {

template <class T>
std::uint32_t add_checksum(std::span<const T> values, std::uint32_t before) {
  return checksum(std::as_bytes(values), before);
}

template <class T>
std::vector<T> pick_rows(const std::vector<T>& values, std::size_t features, std::span<const std::int32_t> rows) {
  std::vector<T> picked;
  picked.reserve(rows.size() * features);
  for (const std::int32_t row : rows) {
    const T* const from = values.data() + static_cast<std::size_t>(row) * features;
    picked.insert(picked.end(), from, from + features);
  }
  return picked;
}

}  // namespace

std::vector<std::int32_t> all_rows(std::size_t count) {
  std::vector<std::int32_t> rows(count);
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

void FloatRows::gather(std::size_t row, float* out) const {
  std::copy_n(values.data() + row * features, features, out);
}

FloatRows FloatRows::subset(std::span<const std::int32_t> rows) const {
  return {features, pick_rows(values, features, rows)};
}

std::uint32_t FloatRows::checksum(std::uint32_t before) const { return add_checksum(std::span(values), before); }

void ByteRows::gather(std::size_t row, float* out) const {
  const std::uint8_t* bytes = values.data() + row * features;
  const int plane = this->plane();
  for (const auto [factor, offset] : scales) {
    for (int f = 0; f < plane; ++f) out[f] = static_cast<float>(bytes[f]) * factor + offset;
    bytes += plane, out += plane;
  }
}

ByteRows ByteRows::subset(std::span<const std::int32_t> rows) const {
  return {features, pick_rows(values, features, rows), scales};
}

std::uint32_t ByteRows::checksum(std::uint32_t before) const { return add_checksum(std::span(values), before); }

void SparseRows::add(const SparseRows& from, std::size_t row) {
  const auto first = static_cast<std::ptrdiff_t>(from.begin(row)), last = static_cast<std::ptrdiff_t>(from.ends[row]);
  at.insert(at.end(), from.at.begin() + first, from.at.begin() + last);
  values.insert(values.end(), from.values.begin() + first, from.values.begin() + last);
  ends.push_back(values.size());
}

void SparseRows::clear() { ends.clear(), at.clear(), values.clear(); }

void SparseRows::gather(std::size_t row, float* out) const {
  std::fill_n(out, features, 0.0f);
  for (std::size_t v = begin(row); v < ends[row]; ++v) out[at[v]] = values[v];
}

SparseRows SparseRows::subset(std::span<const std::int32_t> rows) const {
  SparseRows part{.features = features, .ends = {}, .at = {}, .values = {}};
  std::size_t count = 0;
  for (const std::int32_t row : rows) count += ends[row] - begin(row);
  part.ends.reserve(rows.size()), part.at.reserve(count), part.values.reserve(count);
  for (const std::int32_t row : rows) part.add(*this, row);
  return part;
}

std::size_t SparseRows::bytes() const {
  return ends.size() * sizeof ends[0] + values.size() * (sizeof at[0] + sizeof values[0]);
}

std::uint32_t SparseRows::checksum(std::uint32_t before) const {
  before = add_checksum(std::span(ends), before);
  return add_checksum(std::span(values), add_checksum(std::span(at), before));
}

const float* MappedRows::row(std::size_t r) const {
  const auto at = offset + static_cast<std::size_t>(rows[r]) * features * sizeof(float);
  return reinterpret_cast<const float*>(file->bytes().data() + at);
}

void MappedRows::gather(std::size_t r, float* out) const {
  std::copy_n(row(r), features, out);
  for (std::size_t f = 0; f < fill.size(); ++f)
    if (std::isnan(out[f])) out[f] = static_cast<float>(fill[f]);
  constexpr double kLimit = std::numeric_limits<float>::max();
  for (std::size_t f = 0; f < mean.size(); ++f)
    out[f] = static_cast<float>(std::clamp((out[f] - mean[f]) * factor[f], -kLimit, kLimit));
}

MappedRows MappedRows::subset(std::span<const std::int32_t> of) const {
  MappedRows part = *this;
  part.rows.clear();
  for (const std::int32_t r : of) part.rows.push_back(rows[r]);
  return part;
}

std::uint32_t MappedRows::checksum(std::uint32_t before) const {
  for (std::size_t r = 0; r < rows.size(); ++r) before = add_checksum(std::span(row(r), features), before);
  for (const auto* numbers : {&mean, &factor, &fill}) before = add_checksum(std::span(*numbers), before);
  return before;
}

}  // namespace ecl
