#include "ecl/base/files.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>
#include <utility>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& path, int error) {
  throw Error("cannot write " + path + ": " + std::strerror(error), Exit::io);
}

int open_or_fail(const std::string& path, int flags) {
  const int handle = open(path.c_str(), flags | O_CLOEXEC, 0666);
  if (handle < 0) fail(path, errno);
  return handle;
}

/// Some file systems cannot sync folders; they say EINVAL.
void sync_handle(int handle, const std::string& path) {
  if (fsync(handle) != 0 && errno != EINVAL) fail(path, errno);
}

void sync_path(const std::string& path, int flags) {
  const int handle = open_or_fail(path, flags);
  try {
    sync_handle(handle, path);
  } catch (const Error&) {
    close(handle);
    throw;
  }
  close(handle);
}

void sync_folder_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  const std::string folder = parent.empty() ? "." : parent;
  sync_path(folder, O_RDONLY | O_DIRECTORY);
}

}  // namespace

/// Where a file is to appear: where a link points to.
static std::string replaceable(const std::string& path) {
  if (path.ends_with('/')) throw Error(path + " names a folder; name a file, without the '/' at the end");
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status))
    throw Error(path + " is no regular file, and would be replaced by one; name another");
  fs::path target = path;
  constexpr int kMostLinks = 40;  // as the kernel follows
  for (int link = 0; link < kMostLinks && fs::is_symlink(target, error); ++link)
    target = target.parent_path() / fs::read_symlink(target, error);
  return target.string();
}

AtomicFile::AtomicFile(const std::string& path)
    : path_(replaceable(path)),
      temporary_(path_ + ".tmp"),
      handle_(open_or_fail(temporary_, O_WRONLY | O_CREAT | O_TRUNC)) {}

AtomicFile::~AtomicFile() {
  if (handle_ >= 0) close(handle_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view piece) {
  while (!piece.empty()) {
    const ssize_t written = ::write(handle_, piece.data(), piece.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail(temporary_, written < 0 ? errno : ENOSPC);
    piece.remove_prefix(static_cast<std::size_t>(written));
  }
}

void AtomicFile::finish(bool durable) {
  if (durable) sync_handle(handle_, temporary_);
  // Network file systems report a full disk here.
  if (close(std::exchange(handle_, -1)) != 0) fail(temporary_, errno);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_, errno);
  temporary_.clear();
  if (durable) sync_folder_of(path_);
}

void write_atomically(const std::string& path, std::span<const std::string_view> pieces, bool durable) {
  AtomicFile file(path);
  for (const std::string_view piece : pieces) file.write(piece);
  file.finish(durable);
}

void sync_file(const std::string& path) {
  sync_path(path, O_WRONLY);
  sync_folder_of(path);
}

void make_folder(const std::string& path) {
  std::error_code error;
  if (fs::create_directories(path, error)) sync_folder_of(path);
  if (error) throw Error("cannot make " + path + ": " + error.message(), Exit::io);
}

}  // namespace ecl
