#pragma once

#include <string>

namespace ecl {

/// While it lives, no other process trains in `directory`, which has a config.ini: on no host, where the file system
/// tells all hosts of locks on files, as NFS does. The system ends it with the process, however that ends; where a file
/// system knows no locks, it does nothing.
class RunLock {
 public:
  enum class Kind {
    exclusive,  ///< a job's first process
    shared      ///< its others, once the first shares
  };
  /// Waits five seconds for another process to be done: ranks whose mpirun was killed still write their checkpoint.
  /// Throws Error after that. `directory` may be empty: nothing is locked.
  explicit RunLock(const std::string& directory, Kind kind = Kind::exclusive);
  /// From here on other processes of the job can have it, too.
  void share();
  /// Whether any process has it, as far as the file system tells.
  static bool held(const std::string& directory);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int file_ = -1;
};

}  // namespace ecl
