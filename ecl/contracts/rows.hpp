#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "ecl/base/mapped_file.hpp"

/// The ways to store the features of samples, row after row. All answer the same calls; Dataset holds one of them.
namespace ecl {

/// How bytes become features: (byte / 255 - mean) / deviation.
struct Normalisation {
  float mean, deviation;
};

/// Feature f becomes (value - mean[f]) / deviation[f], or the largest float where that is beyond; empty: features are
/// as they were.
struct Scale {
  std::vector<double> mean, deviation;
  std::vector<double> fill =
      {};  ///< what a missing value (NaN) is taken for, before it is scaled; empty: none is missing
};

/// Values in memory.
struct FloatRows {
  int features = 0;
  std::vector<float> values;

  std::size_t size() const { return features == 0 ? 0 : values.size() / features; }
  void gather(std::size_t row, float* out) const;
  FloatRows subset(std::span<const std::int32_t> rows) const;
  std::size_t bytes() const { return values.size() * sizeof(float); }
  std::uint32_t checksum(std::uint32_t before) const;
};

/// Bytes that are scaled when they are read (pictures): a quarter of the memory and of the memory traffic.
struct ByteRows {
  /// value = byte * factor + offset
  struct Scale {
    float factor, offset;
  };
  int features = 0;
  std::vector<std::uint8_t> values;
  std::vector<Scale> scales;  ///< of each of the equal parts, one after the other, of a row: a picture's planes

  std::size_t size() const { return features == 0 ? 0 : values.size() / features; }
  int plane() const { return features / static_cast<int>(scales.size()); }
  void gather(std::size_t row, float* out) const;
  ByteRows subset(std::span<const std::int32_t> rows) const;
  std::size_t bytes() const { return values.size(); }
  std::uint32_t checksum(std::uint32_t before) const;
};

/// Rows most of whose values are 0: the others, with their features (compressed sparse rows).
struct SparseRows {
  int features = 0;
  std::vector<std::size_t> ends;  ///< of each row, in the two below
  std::vector<std::int32_t> at;   ///< feature of each value, ascending in a row
  std::vector<float> values;

  std::size_t size() const { return ends.size(); }
  std::size_t begin(std::size_t row) const { return row == 0 ? 0 : ends[row - 1]; }
  /// Adds a row of `from`.
  void add(const SparseRows& from, std::size_t row);
  /// Forgets the rows, keeps their memory.
  void clear();

  void gather(std::size_t row, float* out) const;
  SparseRows subset(std::span<const std::int32_t> rows) const;
  std::size_t bytes() const;
  std::uint32_t checksum(std::uint32_t before) const;
};

/// Values that stay in their file, which may be larger than memory.
struct MappedRows {
  int features = 0;
  std::shared_ptr<const MappedFile> file;
  std::size_t offset = 0;            ///< of the first row, in bytes: a multiple of 4
  std::vector<std::int32_t> rows;    ///< which rows of the file
  std::vector<double> mean, factor;  ///< what they are scaled by, if they are
  std::vector<double> fill = {};     ///< what is missing (NaN) is taken for, before that; empty: as in Scale

  std::size_t size() const { return rows.size(); }
  const float* row(std::size_t r) const;
  void gather(std::size_t row, float* out) const;
  MappedRows subset(std::span<const std::int32_t> rows) const;
  std::size_t bytes() const { return rows.size() * features * sizeof(float); }
  std::uint32_t checksum(std::uint32_t before) const;
};

/// 0 .. count-1.
std::vector<std::int32_t> all_rows(std::size_t count);

using Rows = std::variant<FloatRows, ByteRows, SparseRows, MappedRows>;

}  // namespace ecl
