#include "ecl/mpi/probe.hpp"

#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "ecl/mpi/error.hpp"
#include "ecl/mpi/window.hpp"

namespace ecl::mpi {
namespace {

constexpr std::size_t kPayload = std::size_t{1} << 18;  // too long for a network's eager protocols
constexpr double kSilence_s = 0.08;

/// The lowest rank at `place`: the number of a host, or of a rank where there is one host only.
int rank_at(const Comm& comm, const Hosts& hosts, int place) {
  if (hosts.count() == 1) return place;
  int rank = 0;
  while (rank < comm.size() && hosts.host_of(rank) != place) ++rank;
  return rank;
}

}  // namespace

Puts puts_without_target(const Comm& comm, const Hosts& hosts) {
  std::optional<Window> window;
  bool failed = false;
  try {
    window.emplace(comm, kPayload + 64);
  } catch (const Error&) {
    failed = true;
  }
  if (comm.max(failed) > 0) return Puts::impossible;

  const int origin = rank_at(comm, hosts, 0), target = rank_at(comm, hosts, 1);
  const std::vector<std::byte> payload(kPayload);
  const auto put = [&] {
    window->put(target, 64, payload.data(), kPayload);
    window->exchange(target, 0, 1);
  };
  if (comm.rank() == origin) put();  // connections are made at the first one
  comm.barrier();
  double waited_s = 0;
  if (comm.rank() == origin) {
    std::this_thread::sleep_for(std::chrono::duration<double>(kSilence_s / 8));
    const double start = Comm::clock_s();
    put();
    waited_s = Comm::clock_s() - start;
  } else if (comm.rank() == target) {
    std::this_thread::sleep_for(std::chrono::duration<double>(kSilence_s));
  }
  return comm.max(waited_s) < kSilence_s / 2 ? Puts::complete_alone : Puts::wait;
}

}  // namespace ecl::mpi
