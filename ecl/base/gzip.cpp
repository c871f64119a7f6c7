#include "ecl/base/gzip.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <zlib.h>

#include "ecl/base/check.hpp"
#include "ecl/base/memory.hpp"

namespace ecl {
namespace {

constexpr std::size_t kLargestContent = std::size_t{1} << 33;  // a few bytes of gzip can claim any amount of memory
constexpr std::size_t kChunk = std::size_t{1} << 18;

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw Error("'" + name + "' " + what + "; fetch or make it again", Exit::io);
}

bool is_gzip(std::span<const std::uint8_t> bytes) { return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b; }

/// Doubles `out` when it is full, up to the limit.
void make_room(Bytes& out, std::size_t used, const std::string& name) {
  if (used < out.size()) return;
  if (used >= kLargestContent) fail(name, "holds more than 8 GiB");
  out.resize(std::min(kLargestContent, std::max(kChunk, 2 * used)));
}

class Inflater {
 public:
  Inflater() {
    ECL_CHECK(inflateInit2(&stream_, 15 + 16) == Z_OK);  // the largest window, gzip header and trailer
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Unpacks the member at the front of `packed` and removes it there; appends to `out` from `used` on.
  void member(std::span<const std::uint8_t>& packed, Bytes& out, std::size_t& used, const std::string& name) {
    ECL_CHECK(inflateReset(&stream_) == Z_OK);
    for (int status = Z_OK; status != Z_STREAM_END;) {
      make_room(out, used, name);
      const auto in = static_cast<uInt>(std::min<std::size_t>(packed.size(), 1u << 30));
      const auto room = static_cast<uInt>(std::min<std::size_t>(out.size() - used, 1u << 30));
      stream_.next_in = const_cast<Bytef*>(packed.data());  // zlib's interface lacks a const
      stream_.avail_in = in;
      stream_.next_out = out.data() + used;
      stream_.avail_out = room;
      status = inflate(&stream_, Z_NO_FLUSH);
      packed = packed.subspan(in - stream_.avail_in);
      used += room - stream_.avail_out;
      if (status == Z_BUF_ERROR || (status == Z_OK && packed.empty() && stream_.avail_out > 0))
        fail(name, "is truncated: its gzip data end after " + std::to_string(used) + " unpacked bytes");
      if (status != Z_OK && status != Z_STREAM_END)
        fail(name, "is damaged: gzip says '" + std::string(stream_.msg ? stream_.msg : "error") + "' after " +
                       std::to_string(used) + " unpacked bytes");
    }
  }

 private:
  z_stream stream_{};
};

}  // namespace

Bytes gunzip(std::span<const std::uint8_t> packed, const std::string& name) {
  Inflater inflater;
  Bytes out;
  std::size_t used = 0;
  do inflater.member(packed, out, used, name);
  while (is_gzip(packed));
  // Zeros after the last member are padding (tape blocks), anything else is not ours.
  if (std::any_of(packed.begin(), packed.end(), [](std::uint8_t byte) { return byte != 0; }))
    fail(name, "is damaged: " + std::to_string(packed.size()) + " bytes follow its gzip data");
  out.resize(used);
  return out;
}

Bytes read_file(const std::string& path, const std::string& advice) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) throw Error("'" + path + "' is a directory, not a file; " + advice);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) {
    const int reason = errno;
    if (reason == ENOENT || reason == ENOTDIR) throw Error("there is no file '" + path + "'; " + advice);
    throw Error("cannot open '" + path + "': " + std::strerror(reason), Exit::io);
  }
  if (const auto size = std::filesystem::file_size(path, ignored); !ignored)
    require_memory(static_cast<double>(size), "reading '" + path + "'", "read a part of it, or on a larger machine");
  Bytes content;
  std::size_t used = 0;
  for (std::size_t got = 1; got > 0; used += got) {
    make_room(content, used, path);
    got = std::fread(content.data() + used, 1, content.size() - used, file.get());
  }
  if (std::ferror(file.get())) throw Error("cannot read '" + path + "': " + std::strerror(errno), Exit::io);
  content.resize(used);
  return is_gzip(content) ? gunzip(content, path) : content;
}

}  // namespace ecl
