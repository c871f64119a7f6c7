#include "ecl/run/directory/run_lock.hpp"

#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <sys/file.h>
#include <thread>
#include <unistd.h>

#include "ecl/base/check.hpp"

namespace ecl {

RunLock::RunLock(const std::string& directory, Kind kind) {
  if (directory.empty()) return;
  file_ =
      open((directory + "/config.ini").c_str(), O_RDWR | O_CLOEXEC);  // a file: NFS does not tell of locked directories
  constexpr int kLooks = 50;
  const int operation = (kind == Kind::shared ? LOCK_SH : LOCK_EX) | LOCK_NB;
  for (int looks = 0; file_ >= 0 && flock(file_, operation) != 0; ++looks) {
    if (errno != EWOULDBLOCK) return;
    if (looks == kLooks) {
      close(file_);
      throw Error(directory + ": another process trains there (its status.json says where); wait for it, or end it");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

void RunLock::share() {
  if (file_ >= 0) flock(file_, LOCK_SH);
}

bool RunLock::held(const std::string& directory) {
  const std::string path = directory + "/config.ini";
  int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) file = open(path.c_str(), O_RDONLY | O_CLOEXEC);  // another user's run; NFS then tells of no lock
  if (file < 0) return false;
  const auto locked = [&] { return flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK; };
  bool held = locked();
  if (held) {  // it may be another one who looks
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    held = locked();
  }
  close(file);
  return held;
}

RunLock::~RunLock() {
  if (file_ >= 0) close(file_);
}

}  // namespace ecl
