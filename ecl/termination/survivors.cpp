#include "ecl/termination/survivors.hpp"

#include <atomic>
#include <chrono>
#include <mpi.h>
#include <thread>
#include <utility>

#include "ecl/mpi/error.hpp"
#include "ecl/mpi/hosts.hpp"
#include "ecl/mpi/shared_window.hpp"

namespace ecl {
namespace {

constexpr int kReportTag = 1, kModelTag = 2;
constexpr std::chrono::milliseconds kPause{1}, kTurn{300};
constexpr std::size_t kSpoken = sizeof(std::uint64_t);

}  // namespace

Survivors::Survivors(const mpi::Comm& comm, const mpi::Hosts& hosts) : comm_(comm.duplicate()), roster_(comm, hosts) {
  try {
    if (hosts.count() == 1) board_ = std::make_unique<mpi::SharedWindow>(hosts.here(), 2 * kSpoken);
  } catch (const mpi::Error&) {  // this MPI shares no memory
  }
  if (comm.max(board_ && roster_.sees_all() ? 0 : 1) > 0) board_.reset();
}

Survivors::Phase Survivors::phase(int rank) const {
  auto* word = reinterpret_cast<std::uint64_t*>(board_->of(rank));
  return static_cast<Phase>(std::atomic_ref(*word).load(std::memory_order_acquire));
}

bool Survivors::speaks() {
  const bool first = board_ && board_->exchange(0, kSpoken, 1) == 0;
  if (!first) std::this_thread::sleep_for((board_ ? 1 : roster_.ahead()) * kTurn);  // who speaks needs it
  return first || !board_;
}

/// Until `done`; false if `rank` dies before.
template <class Done>
bool Survivors::wait(const Done& done, int rank) {
  while (!done()) {
    if (!roster_.alive(rank)) return done();
    roster_.newly_dead();
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

bool Survivors::all_ended() {
  for (int rank = 0; rank < comm_.size(); ++rank)
    if (phase(rank) == training && roster_.alive(rank)) return false;
  return true;
}

bool Survivors::any_stopped() const {
  for (int rank = 0; rank < comm_.size(); ++rank)
    if (phase(rank) == stopped) return true;
  return false;
}

std::vector<Survivors::Last> Survivors::gather(std::span<const std::byte> report, CVec x) {
  if (phase(comm_.rank()) == training) show(ended);
  for (int rank = 0; rank < comm_.size(); ++rank) wait([&] { return phase(rank) != training; }, rank);
  for (;;) {
    const int leader = roster_.lowest();
    if (leader == comm_.rank()) return receive({{report.begin(), report.end()}, {x.begin(), x.end()}});
    send(report, x, leader);
    if (wait([&] { return phase(leader) == written; }, leader)) return {};
  }
}

void Survivors::send(std::span<const std::byte> report, CVec x, int leader) {
  MPI_Request requests[2];
  mpi::check(MPI_Isend(report.data(), static_cast<int>(report.size()), MPI_BYTE, leader, kReportTag, comm_.handle(),
                       &requests[0]),
             "MPI_Isend");
  mpi::check(
      MPI_Isend(x.data(), static_cast<int>(x.size()), MPI_FLOAT, leader, kModelTag, comm_.handle(), &requests[1]),
      "MPI_Isend");
  for (MPI_Request& request : requests) wait([&] { return comm_.finished(request); }, leader);
}

std::vector<Survivors::Last> Survivors::receive(Last mine) {
  const std::size_t bytes = mine.report.size(), floats = mine.model.size();
  std::vector<Last> all;
  all.push_back(std::move(mine));
  for (int rank = 0; rank < comm_.size(); ++rank) {
    if (rank == comm_.rank() || !roster_.alive(rank)) continue;
    // Kept alive for MPI, which may write into it even if the sender dies.
    auto* last = new Last{std::vector<std::byte>(bytes), std::vector<float>(floats)};
    MPI_Request requests[2];
    mpi::check(MPI_Irecv(last->report.data(), static_cast<int>(bytes), MPI_BYTE, rank, kReportTag, comm_.handle(),
                         &requests[0]),
               "MPI_Irecv");
    mpi::check(MPI_Irecv(last->model.data(), static_cast<int>(floats), MPI_FLOAT, rank, kModelTag, comm_.handle(),
                         &requests[1]),
               "MPI_Irecv");
    bool came = true;
    for (MPI_Request& request : requests) came = came && wait([&] { return comm_.finished(request); }, rank);
    if (!came) continue;  // what was begun is left to the end of the process
    all.push_back(std::move(*last));
    delete last;
  }
  return all;
}

void Survivors::release() { show(written); }

}  // namespace ecl
