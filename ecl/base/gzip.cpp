#include "ecl/base/gzip.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "ecl/base/byte_stream.hpp"
#include "ecl/base/check.hpp"
#include "ecl/base/memory.hpp"

namespace ecl {
namespace {

constexpr std::size_t kLargestContent = std::size_t{1} << 33;  // a few bytes of gzip can claim any amount of memory
constexpr std::size_t kChunk = std::size_t{1} << 18;

/// All that is to come, in a buffer that doubles when it is full, up to the limit.
Bytes read_all(ByteStream& stream, const std::string& name) {
  Bytes content;
  std::size_t used = 0;
  for (std::size_t got = 1; got > 0; used += got) {
    if (used == kLargestContent) throw Error("'" + name + "' holds more than 8 GiB; fetch or make it again", Exit::io);
    if (used == content.size()) content.resize(std::min(kLargestContent, std::max(kChunk, 2 * used)));
    got = stream.read(std::span(content).subspan(used));
  }
  content.resize(used);
  return content;
}

}  // namespace

Bytes gunzip(std::span<const std::uint8_t> packed, const std::string& name) {
  return read_all(*gunzip_stream(packed, name), name);
}

Bytes read_file(const std::string& path, const std::string& advice) {
  const auto stream = open_file(path, advice);
  std::error_code ignored;
  if (const auto size = std::filesystem::file_size(path, ignored); !ignored)
    require_memory(static_cast<double>(size), "reading '" + path + "'", "read a part of it, or on a larger machine");
  return read_all(*stream, path);
}

}  // namespace ecl
