#pragma once

#include <optional>

#include "ecl/base/check.hpp"
#include "ecl/contracts/sites.hpp"
#include "ecl/mpi/hosts.hpp"
#include "ecl/run/shared_files.hpp"

namespace ecl {

/// A site on each rank.
class MpiSites final : public Sites {
 public:
  /// `comm` outlives it. Collective.
  explicit MpiSites(const mpi::Comm& comm) : comm_(comm), hosts_(comm) {}

  std::vector<std::string> gather(std::vector<std::string> mine) override {
    ECL_CHECK(mine.size() == 1);
    return comm_.gather_all(mine[0]);
  }
  void together(const std::function<void()>& phase) override {
    files_.emplace(hosts_.here(), [this] { comm_.look(); });
    comm_.together([&] {
      try {
        phase();
      } catch (...) {
        files_->close();
        throw;
      }
      files_->close();
    });
    files_.reset();
  }
  std::unique_ptr<ByteStream> open(const std::string& path, const std::string& advice) override {
    return files_->open(path, advice);
  }

 private:
  const mpi::Comm& comm_;
  const mpi::Hosts hosts_;
  std::optional<SharedFiles> files_;  ///< while all read
};

}  // namespace ecl
