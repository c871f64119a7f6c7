#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "ecl/engines/recorder.hpp"
#include "ecl/mpi/comm.hpp"
#include "ecl/mpi/memory.hpp"
#include "ecl/mpi/roster.hpp"

namespace ecl {

/// What a rank tells of itself when a run ends without some of the others.
struct LastWords {
  MetricsRow row;
  double cpu_s, memory_bytes, exchange_s, step_s, trained_s, samples;
};

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
  /// This rank speaks for the others: it lives and no lower one does.
  bool leads() const { return roster_.lowest() == comm_.rank(); }

  /// This rank has made its last step. Waits until all survivors have, then brings their last words and models (d
  /// floats each) together at the lowest, which gets them here; the others get none, and wait until it has written the
  /// results, or has died, and another leads.
  struct Gathered {
    std::vector<LastWords> words;
    std::vector<std::vector<float>> models;
  };
  std::optional<Gathered> gather(const LastWords& mine, CVec x);
  /// The leader has written the results: all may leave.
  void release();

 private:
  enum Phase : std::uint64_t { training, ended, written };

  Phase phase(int rank) const;
  void show(Phase phase) { board_->exchange(comm_.rank(), 0, phase); }
  template <class Done>
  bool wait(const Done& done, int rank);
  Gathered receive(const LastWords& mine, CVec x);
  void send(const LastWords& mine, CVec x, int leader);

  mpi::Comm comm_;
  mpi::Roster roster_;
  std::unique_ptr<mpi::Memory> board_;  ///< a word of each rank: its phase
};

}  // namespace ecl
