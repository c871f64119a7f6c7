#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

/// Files that are whole whenever somebody looks: before, during and after a crash.
namespace ecl {

/// Puts the pieces, one after the other, into `path`: into PATH.tmp first, then in place by a rename, so that there is
/// the old file or the new one, never half of it. On disk when this returns, unless not `durable`: then a crash of the
/// machine (not of the program) may bring the old one back. Throws Error (io); the old file is then as it was.
void write_atomically(const std::string& path, std::span<const std::string_view> pieces, bool durable = true);
inline void write_atomically(const std::string& path, std::string_view content, bool durable = true) {
  write_atomically(path, {&content, 1}, durable);
}

/// A file that is written piece by piece, and is there when it is finished.
class AtomicFile {
 public:
  /// Writes into PATH.tmp. Throws Error (io), as the others do.
  explicit AtomicFile(const std::string& path);
  /// Without finish() nothing is left.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view piece);
  /// `durable`: as above.
  void finish(bool durable = true);

 private:
  std::string path_, temporary_;
  int handle_;
};

/// Makes a file durable that was not. Throws Error (io).
void sync_file(const std::string& path);

/// Makes the folder, its parents too, and its name lasts through a crash. Throws Error (io).
void make_folder(const std::string& path);

}  // namespace ecl
