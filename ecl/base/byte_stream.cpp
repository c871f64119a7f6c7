#include "ecl/base/byte_stream.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>
#include <zlib.h>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 18;

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw Error("'" + name + "' " + what + "; fetch or make it again", Exit::io);
}

bool is_gzip(std::span<const std::uint8_t> bytes) { return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b; }

class FileStream final : public ByteStream {
 public:
  FileStream(const std::string& path, const std::string& advice) : path_(path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored))
      throw Error("'" + path + "' is a directory, not a file; " + advice);
    file_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file_ >= 0) {
      struct stat status {};
      regular_ = fstat(file_, &status) == 0 && S_ISREG(status.st_mode);
      size_ = static_cast<std::uint64_t>(status.st_size);
      return;
    }
    const int reason = errno;
    if (reason == ENOENT || reason == ENOTDIR) throw Error("there is no file '" + path + "'; " + advice);
    throw Error("cannot open '" + path + "': " + std::strerror(reason), Exit::io);
  }
  ~FileStream() override {
    if (file_ >= 0) close(file_);
  }
  FileStream(const FileStream&) = delete;
  FileStream& operator=(const FileStream&) = delete;

  std::uint64_t skip(std::uint64_t count) override {
    if (!regular_) return ByteStream::skip(count);
    const std::uint64_t skipped = std::min(count, size_ - std::min(size_, at_));
    at_ += skipped;
    return skipped;
  }

  std::size_t read(std::span<std::uint8_t> out) override {
    while (true) {
      const ssize_t got = regular_ ? pread(file_, out.data(), out.size(), static_cast<off_t>(at_))
                                   : ::read(file_, out.data(), out.size());
      if (got >= 0) return at_ += static_cast<std::uint64_t>(got), static_cast<std::size_t>(got);
      if (errno != EINTR) throw Error("cannot read '" + path_ + "': " + std::strerror(errno), Exit::io);
    }
  }

 private:
  std::string path_;
  int file_ = -1;
  bool regular_ = false;  ///< the place can be chosen: no pipe
  std::uint64_t size_ = 0, at_ = 0;
};

class MemoryStream final : public ByteStream {
 public:
  explicit MemoryStream(std::span<const std::uint8_t> bytes) : rest_(bytes) {}
  std::size_t read(std::span<std::uint8_t> out) override {
    const std::size_t count = std::min(out.size(), rest_.size());
    std::copy_n(rest_.begin(), count, out.begin());
    rest_ = rest_.subspan(count);
    return count;
  }

 private:
  std::span<const std::uint8_t> rest_;
};

/// A stream whose beginning can be looked at.
class Peekable final : public ByteStream {
 public:
  explicit Peekable(std::unique_ptr<ByteStream> source) : source_(std::move(source)), buffer_(kChunk) {}

  /// At least two bytes that are to come, unless there are fewer.
  std::span<const std::uint8_t> ahead() {
    while (end_ - begin_ < 2 && !ended_) {
      std::copy(buffer_.begin() + begin_, buffer_.begin() + end_, buffer_.begin());
      end_ -= std::exchange(begin_, 0);
      const std::size_t got = source_->read(std::span(buffer_).subspan(end_));
      end_ += static_cast<std::ptrdiff_t>(got);
      ended_ = got == 0;
    }
    return {buffer_.data() + begin_, static_cast<std::size_t>(end_ - begin_)};
  }

  std::uint64_t skip(std::uint64_t count) override {
    const std::uint64_t held = std::min(count, static_cast<std::uint64_t>(end_ - begin_));
    begin_ += static_cast<std::ptrdiff_t>(held);
    return held == count ? count : held + source_->skip(count - held);
  }

  std::size_t read(std::span<std::uint8_t> out) override {
    if (begin_ == end_) return source_->read(out);
    const std::size_t count = std::min(out.size(), static_cast<std::size_t>(end_ - begin_));
    std::copy_n(buffer_.begin() + begin_, count, out.begin());
    begin_ += static_cast<std::ptrdiff_t>(count);
    return count;
  }

 private:
  std::unique_ptr<ByteStream> source_;
  std::vector<std::uint8_t> buffer_;
  std::ptrdiff_t begin_ = 0, end_ = 0;
  bool ended_ = false;
};

class GzipStream final : public ByteStream {
 public:
  GzipStream(std::unique_ptr<Peekable> packed, std::string name) : packed_(std::move(packed)), name_(std::move(name)) {
    ECL_CHECK(inflateInit2(&stream_, 15 + 16) == Z_OK);  // the largest window, gzip header and trailer
  }
  ~GzipStream() override { inflateEnd(&stream_); }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  std::size_t read(std::span<std::uint8_t> out) override {
    std::size_t got = 0;
    while (got == 0 && !out.empty() && (inside_ || begin_member())) got = unpack(out);
    unpacked_ += got;
    return got;
  }

 private:
  bool begin_member() {
    if (std::exchange(first_, false) || is_gzip(packed_->ahead())) {
      ECL_CHECK(inflateReset(&stream_) == Z_OK);
      return inside_ = true;
    }
    finish();
    return false;
  }

  std::size_t unpack(std::span<std::uint8_t> out) {
    const auto in = packed_->ahead();
    if (in.empty())
      fail(name_, "is truncated: its gzip data end after " + std::to_string(unpacked_) + " unpacked bytes");
    const auto room = static_cast<uInt>(std::min<std::size_t>(out.size(), 1u << 30));
    stream_.next_in = const_cast<Bytef*>(in.data());  // zlib's interface lacks a const
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = out.data();
    stream_.avail_out = room;
    const int status = inflate(&stream_, Z_NO_FLUSH);
    packed_->skip(in.size() - stream_.avail_in);
    if (status == Z_STREAM_END)
      inside_ = false;
    else if (status != Z_OK)
      fail(name_, "is damaged: gzip says '" + std::string(stream_.msg ? stream_.msg : "error") + "' after " +
                      std::to_string(unpacked_ + room - stream_.avail_out) + " unpacked bytes");
    return room - stream_.avail_out;
  }

  /// Zeros after the last member are padding (tape blocks), anything else is not ours.
  void finish() {
    std::size_t rest = 0;
    bool padding = true;
    std::array<std::uint8_t, 4096> bytes;
    while (const std::size_t got = packed_->read(bytes)) {
      rest += got;
      padding &= std::all_of(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(got),
                             [](std::uint8_t byte) { return byte == 0; });
    }
    if (!padding) fail(name_, "is damaged: " + std::to_string(rest) + " bytes follow its gzip data");
  }

  std::unique_ptr<Peekable> packed_;
  std::string name_;
  z_stream stream_{};
  bool first_ = true, inside_ = false;
  std::size_t unpacked_ = 0;
};

std::unique_ptr<Peekable> open_as_it_is(const std::string& path, const std::string& advice) {
  return std::make_unique<Peekable>(std::make_unique<FileStream>(path, advice));
}

}  // namespace

std::uint64_t ByteStream::skip(std::uint64_t count) {
  std::vector<std::uint8_t> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(count, 1 << 16)));
  std::uint64_t skipped = 0;
  for (std::size_t got = 1; skipped < count && got > 0; skipped += got)
    got = read(
        std::span(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), count - skipped))));
  return skipped;
}

std::unique_ptr<ByteStream> open_file(const std::string& path, const std::string& advice) {
  auto file = open_as_it_is(path, advice);
  if (!is_gzip(file->ahead())) return file;
  return std::make_unique<GzipStream>(std::move(file), path);
}

bool is_gzip_file(const std::string& path, const std::string& advice) {
  return is_gzip(open_as_it_is(path, advice)->ahead());
}

std::unique_ptr<ByteStream> memory_stream(std::span<const std::uint8_t> bytes) {
  return std::make_unique<MemoryStream>(bytes);
}

std::unique_ptr<ByteStream> gunzip_stream(std::span<const std::uint8_t> packed, const std::string& name) {
  return std::make_unique<GzipStream>(std::make_unique<Peekable>(memory_stream(packed)), name);
}

}  // namespace ecl
