#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace ecl {

/// Bytes that are read once, from front to back.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// Fills the front of `out` and returns how much; 0 at the end, and only there. Throws Error (io).
  virtual std::size_t read(std::span<std::uint8_t> out) = 0;
  /// Goes on so many bytes, or to the end; returns how many. Throws as read() does.
  virtual std::uint64_t skip(std::uint64_t count);
};

/// The content of a file, unpacked if it is gzip (told by its first two bytes, not by its name), a piece at a time: a
/// file of any size takes half a megabyte.
///
/// `advice` ends the message for a file that is not there: what the user should do. Throws Error (usage) if the path
/// does not exist or is a directory, Error (io) if it cannot be opened; reading it throws Error (io) if it is truncated
/// or damaged, or has bytes after the gzip stream.
std::unique_ptr<ByteStream> open_file(const std::string& path, const std::string& advice = "check the path");

/// True if the file begins as gzip does. Throws as open_file() does.
bool is_gzip_file(const std::string& path, const std::string& advice = "check the path");

/// Bytes in memory, which must outlive the stream.
std::unique_ptr<ByteStream> memory_stream(std::span<const std::uint8_t> bytes);

/// Unpacks gzip data; several members in a row are joined, as gzip itself does. `packed` must outlive the stream;
/// `name` is for messages.
std::unique_ptr<ByteStream> gunzip_stream(std::span<const std::uint8_t> packed, const std::string& name);

}  // namespace ecl
