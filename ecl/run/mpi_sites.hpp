#pragma once

#include "ecl/base/check.hpp"
#include "ecl/contracts/sites.hpp"
#include "ecl/mpi/comm.hpp"

namespace ecl {

/// A site on each rank.
class MpiSites final : public Sites {
 public:
  /// `comm` outlives it.
  explicit MpiSites(const mpi::Comm& comm) : comm_(comm) {}

  std::vector<std::string> gather(std::vector<std::string> mine) override {
    ECL_CHECK(mine.size() == 1);
    return comm_.gather_all(mine[0]);
  }
  void together(const std::function<void()>& phase) override { comm_.together(phase); }

 private:
  const mpi::Comm& comm_;
};

}  // namespace ecl
