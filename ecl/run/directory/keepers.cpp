#include "ecl/run/directory/keepers.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <unistd.h>

#include "ecl/base/check.hpp"
#include "ecl/base/host.hpp"

namespace ecl {
namespace {

/// Makes an empty file in `directory`; its path, which no other file has.
std::string make_token(const std::string& directory) {
  std::string path = directory + "/.kept-on-" + host_name() + "-XXXXXX";
  const int file = mkstemp(path.data());
  if (file < 0) throw Error("cannot write " + path + ": " + std::strerror(errno), Exit::io);
  close(file);
  return path;
}

}  // namespace

Keepers::Keepers(const mpi::Comm& comm, const mpi::Hosts& hosts, const std::string& directory,
                 const std::function<void()>& open) {
  constexpr int kNobody = std::numeric_limits<int>::max();
  for (bool seen = false;;) {
    const bool candidate = !seen && hosts.here().rank() == 0;
    const auto keeper = static_cast<int>(-comm.max(candidate ? -comm.rank() : -static_cast<double>(kNobody)));
    if (keeper == kNobody) return;
    std::string token;
    comm.together([&] {
      if (comm.rank() != keeper) return;
      open();
      token = make_token(directory);
    });
    token = comm.gather_all(token)[keeper];
    seen |= hosts.here().max(access(token.c_str(), F_OK) == 0) > 0;
    comm.barrier();  // all have looked
    if (comm.rank() == keeper) here_ = true, unlink(token.c_str());
    if (keeper != 0) others_.push_back(keeper);
  }
}

}  // namespace ecl
