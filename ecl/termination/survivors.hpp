#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "ecl/base/types.hpp"
#include "ecl/mpi/comm.hpp"
#include "ecl/mpi/memory.hpp"
#include "ecl/mpi/roster.hpp"

namespace ecl {

/// The ranks that go on when others have died, on a single host. Collective calls of MPI would wait for the dead: here
/// each rank shows in shared memory how far it is, and what must be gathered goes by messages to the lowest survivor.
class Survivors {
 public:
  /// Collective.
  Survivors(const mpi::Comm& comm, const mpi::Hosts& hosts);

  /// Ranks found dead since the last call.
  std::vector<int> newly_dead() { return roster_.newly_dead(); }
  /// Whether those who live can end the run in good order: all ranks are on one host, and share memory.
  bool can_go_on() const { return board_ != nullptr; }
  /// This rank speaks for the others of its host: it lives and no lower one does.
  bool leads() const { return roster_.ahead() == 0; }
  /// What is to be said once, before the job ends, whoever is first to say it: true for one rank of a host. The others
  /// leave it the time; without memory in common they then have their turn, if the job has not ended.
  bool speaks();

  /// This rank has made its last step.
  void show_end() { show(ended); }
  /// All survivors have made theirs, or stop.
  bool all_ended();
  /// This rank was told to stop, before its last step: so are all, who may not have heard.
  void show_stop() { show(stopped); }
  bool any_stopped() const;

  /// What a survivor says of itself at the end: a report (bytes, of the same length on all ranks) and its model.
  struct Last {
    std::vector<std::byte> report;
    std::vector<float> model;
  };
  /// This rank has nothing left to do. Waits until all survivors are at their end, then brings what they say together
  /// at the lowest, which gets it here; the others get nothing, and wait until it has written the results, or has died,
  /// and another leads.
  std::vector<Last> gather(std::span<const std::byte> report, CVec x);
  /// The leader has written the results: all may leave.
  void release();

 private:
  enum Phase : std::uint64_t { training, ended, stopped, written };

  Phase phase(int rank) const;
  void show(Phase phase) { board_->exchange(comm_.rank(), 0, phase); }
  template <class Done>
  bool wait(const Done& done, int rank);
  std::vector<Last> receive(Last mine);
  void send(std::span<const std::byte> report, CVec x, int leader);

  mpi::Comm comm_;
  mpi::Roster roster_;
  std::unique_ptr<mpi::Memory> board_;  ///< a word of each rank: its phase; then rank 0's: somebody has spoken
};

}  // namespace ecl
