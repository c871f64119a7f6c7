#pragma once

#include <filesystem>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <unistd.h>

namespace ecl::test {

/// A file system of `pages` pages that only this process and its children see; not mounted where that is not allowed.
class TinyDisk {
 public:
  TinyDisk(const std::filesystem::path& place, int pages) : place_(place) {
    std::filesystem::create_directory(place);
    const std::string size = "size=" + std::to_string(pages * sysconf(_SC_PAGESIZE));
    mounted_ = unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
               mount("tmpfs", place.c_str(), "tmpfs", 0, size.c_str()) == 0;
  }
  ~TinyDisk() {
    if (mounted_) umount2(place_.c_str(), MNT_DETACH);
  }
  TinyDisk(const TinyDisk&) = delete;
  TinyDisk& operator=(const TinyDisk&) = delete;
  bool mounted() const { return mounted_; }

 private:
  std::filesystem::path place_;
  bool mounted_ = false;
};

}  // namespace ecl::test
