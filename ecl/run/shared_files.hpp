#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ecl/base/byte_stream.hpp"
#include "ecl/mpi/comm.hpp"

namespace ecl {

/// Packed files that all ranks of a host read: the lowest rank unpacks each of them once, into memory that the others
/// read. Nobody waits for a rank that has failed, and nothing is left when the processes end.
class SharedFiles {
 public:
  /// Collective over `here`, the ranks of a host. It must live until all of them have read. Who waits for the first
  /// rank calls `watch` a few times a second.
  explicit SharedFiles(const mpi::Comm& here, std::function<void()> watch = {});
  ~SharedFiles();
  SharedFiles(const SharedFiles&) = delete;
  SharedFiles& operator=(const SharedFiles&) = delete;

  /// As open_file(); ranks may open different files, in any order.
  std::unique_ptr<ByteStream> open(const std::string& path, const std::string& advice);
  /// This rank opens no more.
  void close();

 private:
  struct Board;

  std::unique_ptr<ByteStream> unpack(const std::string& path, const std::string& advice);
  std::unique_ptr<ByteStream> find(const std::string& path) const;

  bool first_;
  std::function<void()> watch_;
  std::string process_;     ///< where the system shows the first rank's files
  Board* board_ = nullptr;  ///< what the first rank says, seen by all; null where that is impossible
  std::vector<int> files_;  ///< of this process
};

}  // namespace ecl
