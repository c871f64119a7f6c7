#include "ecl/base/npy.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/text_lines.hpp"

namespace ecl {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error("'" + path + "' " + what + "; numpy.save writes such files", Exit::io);
}

/// What follows `key` and a colon in NumPy's header, up to one of `ends`.
std::optional<std::string_view> value_of(std::string_view header, std::string_view key, std::string_view ends) {
  const std::size_t at = header.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = header.substr(at + key.size());
  rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(": (")));
  return rest.substr(0, rest.find_first_of(ends));
}

/// Bytes of one value of `type`; 0 if it is none that is read.
std::size_t size_of(std::string_view type) {
  for (const auto& [name, size] : {std::pair{"<f4", 4}, {"<f8", 8}, {"<i4", 4}, {"<i8", 8}, {"|u1", 1}, {"|i1", 1}})
    if (type == name) return static_cast<std::size_t>(size);
  return 0;
}

template <class T>
std::vector<std::int32_t> to_integers(const NpyArray& array) {
  std::vector<std::int32_t> numbers;
  numbers.reserve(array.shape[0]);
  for (std::size_t i = 0; i < array.shape[0]; ++i) {
    T value;
    std::memcpy(&value, array.data() + i * sizeof value, sizeof value);
    if (!std::in_range<std::int32_t>(value))
      fail(array.file->path(), "holds the number " + std::to_string(value) + ", which is beyond 31 bits");
    numbers.push_back(static_cast<std::int32_t>(value));
  }
  return numbers;
}

}  // namespace

std::string npy_header(const std::string& type, std::span<const std::size_t> shape) {
  std::string sizes;
  for (const std::size_t size : shape) sizes += std::to_string(size) + ", ";
  if (shape.size() > 1)
    sizes.resize(sizes.size() - 2);
  else
    sizes.resize(sizes.size() - 1);  // a tuple of one ends in a comma
  std::string header = "{'descr': '";
  header += type + "', 'fortran_order': False, 'shape': (" + sizes + "), }";
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string text(kMagic);
  text += std::string("\x01\x00", 2);
  text += static_cast<char>(header.size() & 0xff);
  text += static_cast<char>(header.size() >> 8);
  return text + header;
}

NpyArray open_npy(const std::string& path, const std::string& advice) {
  NpyArray array{.file = std::make_shared<MappedFile>(path, advice), .type = {}, .shape = {}};
  const std::string_view text(reinterpret_cast<const char*>(array.file->bytes().data()), array.file->bytes().size());
  if (text.size() < 12 || !text.starts_with(kMagic)) fail(path, "is no array of NumPy");
  const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(text[at])); };
  const std::size_t begin = text[6] == 1 ? 10 : 12;
  std::size_t length = byte(8) | byte(9) << 8;
  if (begin == 12) length |= byte(10) << 16 | byte(11) << 24;
  if (length > text.size() - begin) fail(path, "is truncated");
  const std::string_view header = text.substr(begin, length);
  const auto type = value_of(header, "'descr'", ",}"), order = value_of(header, "'fortran_order'", ",}"),
             shape = value_of(header, "'shape'", ")");
  if (!type || !order || !shape || type->size() < 2) fail(path, "has a header that cannot be read");
  array.type = type->substr(1, type->find('\'', 1) - 1);
  if (*order != "False") fail(path, "is in Fortran's order; numpy.ascontiguousarray makes rows of it");
  std::string_view rest = *shape;
  double values = 1;
  for (std::string_view word = next_word(rest, ", "); !word.empty(); word = next_word(rest, ", ")) {
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), size);
    if (error != std::errc{} || end != word.data() + word.size()) fail(path, "has a header that cannot be read");
    array.shape.push_back(size);
    values *= static_cast<double>(size);
  }
  const std::size_t size = size_of(array.type);
  if (size == 0) fail(path, "holds values of type '" + array.type + "'; .astype('float32') or 'int32' makes others");
  array.offset = begin + length;
  const double expected = static_cast<double>(array.offset) + values * static_cast<double>(size);
  if (expected != static_cast<double>(text.size()))
    fail(path, "is damaged: it should hold " + std::to_string(static_cast<std::uint64_t>(expected)) +
                   " bytes and holds " + std::to_string(text.size()));
  return array;
}

/// An array of one dimension.
static NpyArray open_column(const std::string& path, const std::string& advice) {
  NpyArray array = open_npy(path, advice);
  if (array.shape.size() != 1) fail(path, "has " + std::to_string(array.shape.size()) + " dimensions, not one");
  return array;
}

template <class T>
static std::vector<float> to_floats(const NpyArray& array) {
  std::vector<float> numbers(array.shape[0]);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    T value;
    std::memcpy(&value, array.data() + i * sizeof value, sizeof value);
    numbers[i] = static_cast<float>(value);
    if (!std::isfinite(numbers[i])) fail(array.file->path(), "holds no finite float in row " + std::to_string(i));
  }
  return numbers;
}

std::vector<float> read_npy_floats(const std::string& path, const std::string& advice) {
  const NpyArray array = open_column(path, advice);
  if (array.type == "<f4") return to_floats<float>(array);
  if (array.type == "<f8") return to_floats<double>(array);
  if (array.type == "<i4") return to_floats<std::int32_t>(array);
  if (array.type == "<i8") return to_floats<std::int64_t>(array);
  if (array.type == "|u1") return to_floats<std::uint8_t>(array);
  return to_floats<std::int8_t>(array);
}

std::vector<std::int32_t> read_npy_integers(const std::string& path, const std::string& advice) {
  const NpyArray array = open_column(path, advice);
  if (array.type == "<i4") return to_integers<std::int32_t>(array);
  if (array.type == "<i8") return to_integers<std::int64_t>(array);
  if (array.type == "|u1") return to_integers<std::uint8_t>(array);
  if (array.type == "|i1") return to_integers<std::int8_t>(array);
  fail(path, "holds values of type '" + array.type + "', not whole numbers; .astype('int32') makes them");
}

}  // namespace ecl
