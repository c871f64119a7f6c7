#include "ecl/base/files.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& path, int error) {
  throw Error("cannot write " + path + ": " + std::strerror(error), Exit::io);
}

/// A file descriptor that is closed in any case.
class File {
 public:
  File(const std::string& path, int flags) : path_(path), handle_(open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (handle_ < 0) fail(path, errno);
  }
  ~File() {
    if (handle_ >= 0) ::close(handle_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void write(std::string_view content) {
    while (!content.empty()) {
      const ssize_t written = ::write(handle_, content.data(), content.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail(path_, written < 0 ? errno : ENOSPC);
      content.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  void sync() {
    // Some file systems cannot sync folders; they say EINVAL.
    if (fsync(handle_) != 0 && errno != EINVAL) fail(path_, errno);
  }
  void close() {
    const int handle = handle_;
    handle_ = -1;
    if (::close(handle) != 0) fail(path_, errno);  // network file systems report a full disk here
  }

 private:
  const std::string& path_;
  int handle_;
};

void sync_folder_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  const std::string folder = parent.empty() ? "." : parent;
  File(folder, O_RDONLY | O_DIRECTORY).sync();
}

}  // namespace

void write_atomically(const std::string& path, std::span<const std::string_view> pieces, bool durable) {
  const std::string temporary = path + ".tmp";
  try {
    File file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    for (const std::string_view piece : pieces) file.write(piece);
    if (durable) file.sync();
    file.close();
    if (std::rename(temporary.c_str(), path.c_str()) != 0) fail(path, errno);
  } catch (const Error&) {
    unlink(temporary.c_str());
    throw;
  }
  if (durable) sync_folder_of(path);
}

void sync_file(const std::string& path) {
  File(path, O_WRONLY).sync();
  sync_folder_of(path);
}

void make_folder(const std::string& path) {
  std::error_code error;
  if (fs::create_directories(path, error)) sync_folder_of(path);
  if (error) throw Error("cannot make " + path + ": " + error.message(), Exit::io);
}

}  // namespace ecl
