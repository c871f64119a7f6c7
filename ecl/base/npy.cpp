#include "ecl/base/npy.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/text_lines.hpp"

namespace ecl {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error("'" + path + "' " + what + "; numpy.save writes such files", Exit::io);
}

/// A whole number of any size.
std::string in_digits(double value) {
  char text[512];  // the largest has 309
  std::snprintf(text, sizeof text, "%.0f", value);
  return text;
}

/// What follows `key` and a colon in NumPy's header, up to one of `ends`.
std::optional<std::string_view> value_of(std::string_view header, std::string_view key, std::string_view ends) {
  const std::size_t at = header.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = header.substr(at + key.size());
  rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(": (")));
  return rest.substr(0, rest.find_first_of(ends));
}

constexpr std::string_view kNumbers[] = {"<f4", "<f8", "|b1", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8"};

/// Bytes of one value of `type`; 0 if it is none that is read.
std::size_t width_of(std::string_view type) {
  if (type.starts_with("<U") || type.starts_with("|S")) {
    constexpr std::size_t kMost = 1 << 20;
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(type.data() + 2, type.data() + type.size(), length);
    const bool known = error == std::errc{} && end == type.data() + type.size() && length > 0 && length < kMost;
    return !known ? 0 : type[1] == 'U' ? 4 * length : length;
  }
  const bool known = std::find(std::begin(kNumbers), std::end(kNumbers), type) != std::end(kNumbers);
  return known ? static_cast<std::size_t>(type[2] - '0') : 0;
}

[[noreturn]] void refuse_type(const std::string& path, const std::string& type) {
  if (type.starts_with(">"))
    fail(path, "is big-endian, of type '" + type + "'; .astype('" + type.substr(1) + "') turns the bytes round");
  if (type.starts_with("|O"))
    fail(path, "holds objects of Python, which only Python reads; .astype('float32'), 'int64' or str makes others");
  fail(path, "holds values of type '" + type + "'; .astype('float32') or 'int32' makes others");
}

template <class From, class To>
void convert(const NpyArray& array, std::size_t first, std::size_t count, To* out) {
  const std::byte* from = array.data() + first * sizeof(From);
  for (std::size_t i = 0; i < count; ++i, from += sizeof(From)) {
    From value;
    std::memcpy(&value, from, sizeof value);
    if constexpr (std::is_integral_v<To> && std::is_integral_v<From>)
      if (!std::in_range<To>(value))
        fail(array.file->path(), "holds the number " + std::to_string(value) + ", which is beyond 63 bits");
    out[i] = static_cast<To>(value);
  }
}

template <class To>
void convert_any(const NpyArray& array, std::size_t first, std::size_t count, To* out) {
  const auto from = [&]<class From>(From) { convert<From>(array, first, count, out); };
  if (array.is_text() || (std::is_integral_v<To> && array.kind() == 'f'))
    fail(array.file->path(),
         "holds values of type '" + array.type + "', not " + (std::is_integral_v<To> ? "whole numbers" : "numbers"));
  const bool is_unsigned = array.kind() == 'u' || array.kind() == 'b';
  if (array.kind() == 'f') return array.width == 4 ? from(float{}) : from(double{});
  switch (array.width) {
    case 1:
      return is_unsigned ? from(std::uint8_t{}) : from(std::int8_t{});
    case 2:
      return is_unsigned ? from(std::uint16_t{}) : from(std::int16_t{});
    case 4:
      return is_unsigned ? from(std::uint32_t{}) : from(std::int32_t{});
    default:
      return is_unsigned ? from(std::uint64_t{}) : from(std::int64_t{});
  }
}

void add_utf8(std::string& text, std::uint32_t letter) {
  if (letter < 0x80) {
    text += static_cast<char>(letter);
    return;
  }
  const int more = letter < 0x800 ? 1 : letter < 0x10000 ? 2 : 3;
  constexpr unsigned kFirst[] = {0, 0xC0, 0xE0, 0xF0};
  text += static_cast<char>(kFirst[more] | letter >> 6 * more);
  for (int rest = more - 1; rest >= 0; --rest) text += static_cast<char>(0x80 | (letter >> 6 * rest & 0x3F));
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
  if (type->starts_with('[')) fail(path, "holds records of several fields; save the columns as one array of numbers");
  array.type = type->substr(1, type->find('\'', 1) - 1);
  array.width = width_of(array.type);
  if (array.width == 0) refuse_type(path, array.type);
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
  array.offset = begin + length;
  const double expected = static_cast<double>(array.offset) + values * static_cast<double>(array.width);
  if (expected != static_cast<double>(text.size()))
    fail(path, "is damaged: it should hold " + in_digits(expected) + " bytes and holds " + std::to_string(text.size()));
  return array;
}

void read_npy(const NpyArray& array, std::size_t first, std::size_t count, float* out) {
  convert_any(array, first, count, out);
}

void read_npy(const NpyArray& array, std::size_t first, std::size_t count, double* out) {
  convert_any(array, first, count, out);
}

void read_npy(const NpyArray& array, std::size_t first, std::size_t count, std::int64_t* out) {
  convert_any(array, first, count, out);
}

std::string read_npy_text(const NpyArray& array, std::size_t at) {
  const std::byte* from = array.data() + at * array.width;
  std::string text;
  if (array.kind() == 'S') {
    text.assign(reinterpret_cast<const char*>(from), array.width);
    text.resize(text.find_last_not_of('\0') + 1);
  } else {
    for (std::size_t i = 0; i < array.width; i += 4) {
      std::uint32_t letter = 0;
      std::memcpy(&letter, from + i, sizeof letter);
      if (letter == 0) break;
      add_utf8(text, std::min<std::uint32_t>(letter, 0x1FFFFF));
    }
  }
  if (!is_utf8(text)) fail(array.file->path(), "holds text that is not UTF-8 in row " + std::to_string(at));
  return text;
}

}  // namespace ecl
