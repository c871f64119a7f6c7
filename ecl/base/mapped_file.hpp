#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace ecl {

/// A file seen as memory: the system reads a page when it is looked at, and drops it again when memory is short. So a
/// file may be larger than memory.
class MappedFile {
 public:
  /// Throws Error (usage) if there is no such file, Error (io) if it cannot be mapped.
  explicit MappedFile(const std::string& path, const std::string& advice = "check the path");
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::span<const std::byte> bytes_;
};

}  // namespace ecl
