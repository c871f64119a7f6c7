#include "ecl/run/shared_files.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/memory.hpp"

namespace ecl {
namespace {

constexpr std::size_t kMostFiles = 64;
constexpr std::size_t kPiece = std::size_t{1} << 18;
constexpr double kSpare = 256e6;  // bytes of memory that are left to others
constexpr int kLooksBetweenWatches = 200;

/// Of a file, whatever path leads to it.
struct Identity {
  dev_t device = 0;
  ino_t number = 0;
  bool operator==(const Identity&) const = default;
};

Identity identity(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

bool write_all(int file, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

/// Zeros to begin with, as new memory is.
struct SharedFiles::Board {
  struct Entry {
    Identity packed;
    int file;  ///< the first rank's handle on what it has unpacked
  };
  std::array<Entry, kMostFiles> entries;
  std::atomic<std::size_t> count;
  std::atomic<bool> closed;  ///< there will be no more
};

SharedFiles::SharedFiles(const mpi::Comm& here, std::function<void()> watch)
    : first_(here.rank() == 0), watch_(std::move(watch)) {
  struct Place {
    int process, file;
  } mine{getpid(), -1};
  if (first_ && here.size() > 1) {
    mine.file = memfd_create("ecl-board", MFD_CLOEXEC);
    if (mine.file >= 0) files_.push_back(mine.file);
    if (mine.file >= 0 && ftruncate(mine.file, sizeof(Board)) != 0) mine.file = -1;
  }
  std::vector<Place> all(here.size());
  here.gather_all(&mine, sizeof mine, all.data());
  process_ = "/proc/" + std::to_string(all[0].process) + "/fd/";
  if (all[0].file < 0) return;
  const std::string path = process_ + std::to_string(all[0].file);
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  files_.push_back(file);
  struct stat status {};  // where the ranks have process numbers of their own it may be anything
  if (fstat(file, &status) != 0 || status.st_size != sizeof(Board)) return;
  void* const at = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (at != MAP_FAILED) board_ = static_cast<Board*>(at);
}

SharedFiles::~SharedFiles() {
  close();
  if (board_) munmap(board_, sizeof(Board));
  for (const int file : files_) ::close(file);
}

void SharedFiles::close() {
  if (first_ && board_) board_->closed = true;
}

std::unique_ptr<ByteStream> SharedFiles::open(const std::string& path, const std::string& advice) {
  if (!board_ || !is_gzip_file(path, advice)) return open_file(path, advice);
  if (first_) return unpack(path, advice);
  // What the first rank does not have when it is done, it never will: it opens other files, or has failed.
  bool closed = false;
  for (int looks = 1;; ++looks, std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
    if (watch_ && looks % kLooksBetweenWatches == 0) watch_();
    if (auto found = find(path)) return found;
    if (closed) return open_file(path, advice);
    closed = board_->closed;
  }
}

std::unique_ptr<ByteStream> SharedFiles::unpack(const std::string& path, const std::string& advice) {
  if (auto found = find(path)) return found;
  const std::size_t number = board_->count;
  const int file = number < kMostFiles ? memfd_create("ecl-unpacked", MFD_CLOEXEC) : -1;
  if (file < 0) return open_file(path, advice);
  files_.push_back(file);
  auto packed = open_file(path, advice);
  std::vector<std::uint8_t> piece(kPiece);
  while (const std::size_t got = packed->read(piece))
    if (free_memory_bytes() < kSpare || !write_all(file, std::span(piece).first(got))) {
      if (ftruncate(file, 0) != 0) throw Error("cannot give memory back", Exit::io);
      return open_file(path, advice);
    }
  board_->entries[number] = {identity(path), file};
  board_->count = number + 1;
  return find(path);
}

std::unique_ptr<ByteStream> SharedFiles::find(const std::string& path) const {
  const Identity wanted = identity(path);
  for (std::size_t e = 0; e < board_->count; ++e)
    if (const auto& entry = board_->entries[e]; entry.packed == wanted) {
      const std::string unpacked = process_ + std::to_string(entry.file);
      // Another process may not be allowed to look there.
      return access(unpacked.c_str(), R_OK) == 0 ? open_file(unpacked) : open_file(path);
    }
  return nullptr;
}

}  // namespace ecl
