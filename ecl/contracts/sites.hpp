#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ecl/base/byte_stream.hpp"

namespace ecl {

/// Those who train together, each with data of its own, while they agree on what the data mean. A process holds one of
/// them (a rank) or all (the simulator).
class Sites {
 public:
  virtual ~Sites() = default;

  /// What every site says, in the order of the sites, the same in all processes. `mine`: of the sites that this process
  /// holds. All processes call it in the same order, and none inside together().
  virtual std::vector<std::string> gather(std::vector<std::string> mine) = 0;
  /// Runs `phase` in all processes. If it throws Error in any, all throw the first one's.
  virtual void together(const std::function<void()>& phase) = 0;
  /// Inside together(): a file that other sites read as well, which is then unpacked once on a host. As open_file().
  virtual std::unique_ptr<ByteStream> open(const std::string& path, const std::string& advice) {
    return open_file(path, advice);
  }
};

/// All sites are in this process.
class LocalSites final : public Sites {
 public:
  std::vector<std::string> gather(std::vector<std::string> mine) override { return mine; }
  void together(const std::function<void()>& phase) override { phase(); }
};

}  // namespace ecl
