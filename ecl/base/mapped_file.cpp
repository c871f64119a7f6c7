#include "ecl/base/mapped_file.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ecl/base/check.hpp"

namespace ecl {

MappedFile::MappedFile(const std::string& path, const std::string& advice) : path_(path) {
  const auto fail = [&](int reason) { throw Error("cannot read '" + path + "': " + std::strerror(reason), Exit::io); };
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe is not waited for
  if (file < 0 && (errno == ENOENT || errno == ENOTDIR)) throw Error("there is no file '" + path + "'; " + advice);
  if (file < 0) fail(errno);
  struct stat status {};
  void* at = MAP_FAILED;
  int reason = fstat(file, &status) == 0 ? 0 : errno;
  const auto size = static_cast<std::size_t>(status.st_size);
  if (reason == 0 && S_ISREG(status.st_mode) && size > 0 &&
      (at = mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0)) == MAP_FAILED)
    reason = errno;
  close(file);
  if (reason == 0 && !S_ISREG(status.st_mode)) throw Error("'" + path + "' is no regular file; " + advice);
  if (reason != 0) fail(reason);
  if (size > 0) bytes_ = {static_cast<const std::byte*>(at), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace ecl
