#include "ecl/run/directory/keepers.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

#include "ecl/base/check.hpp"
#include "ecl/base/host.hpp"

namespace ecl {
namespace {

/// Makes an empty file in `directory`; its path, which no other file has.
std::string make_token(const std::string& directory) {
  std::string path = directory + "/.rank-0-on-" + host_name() + "-XXXXXX";
  const int file = mkstemp(path.data());
  if (file < 0) throw Error("cannot write " + path + ": " + std::strerror(errno), Exit::io);
  close(file);
  return path;
}

}  // namespace

Keepers::Keepers(const mpi::Comm& comm, const mpi::Hosts& hosts, const std::string& directory) {
  std::string token;
  comm.together([&] {
    if (comm.rank() == 0) token = make_token(directory);
  });
  token = comm.gather_all(token)[0];
  const bool seen = hosts.here().max(access(token.c_str(), F_OK) == 0) > 0;
  here_ = comm.rank() == 0 || (!seen && hosts.here().rank() == 0);
  const char mine = here_;
  std::vector<char> all(comm.size());
  comm.gather_all(&mine, 1, all.data());  // when this is over all have looked
  for (int rank = 1; rank < comm.size(); ++rank)
    if (all[rank]) others_.push_back(rank);
  if (comm.rank() == 0) unlink(token.c_str());
}

}  // namespace ecl
