#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <mpi.h>
#include <span>
#include <vector>

#include "ecl/mpi/comm.hpp"

namespace ecl {

/// How ranks that never wait for each other come to know that something ends, and where everybody stood.
///
/// Any rank may call, at any time. It tells the others by a message each; a rank that hears of it must call too. Each
/// says a few words about itself when it does, and once all have, all know what all said.
class CallOff {
 public:
  using Words = std::array<std::uint64_t, 3>;

  /// Collective.
  explicit CallOff(const mpi::Comm& comm) : comm_(comm.duplicate()) {}

  /// Call it once; and, unless heard(), only while the others cannot have left yet.
  void call(const Words& mine);
  bool called() const { return called_; }
  /// Another rank has called: this one must too. Cheap; false once it has.
  bool heard();
  /// All have called. Waits for nobody, but for messages that are on their way then.
  bool counted();
  /// What they said, by rank; once counted().
  std::span<const Words> all() const { return said_; }
  /// Collective: leaves nothing half said. If any rank has called, those who did not hear of it call now.
  void finish(const Words& mine);

 private:
  mpi::Comm comm_;
  bool called_ = false, heard_ = false, counted_ = false;
  struct Said {
    Words words;
    std::uint64_t told;  ///< 1 if the rank sent the others a message
  };
  Said mine_{};
  std::vector<Said> everybody_;
  std::vector<Words> said_;
  MPI_Request counting_ = MPI_REQUEST_NULL;
  std::vector<MPI_Request> telling_;
};

/// Rank 0 learns which ranks are done with what, by its number. Nobody waits.
class Tally {
 public:
  /// Collective.
  explicit Tally(const mpi::Comm& comm) : comm_(comm.duplicate()) {}

  /// This rank is done with `number`; says so once.
  void report(std::uint64_t number);
  /// Moves what is under way.
  void poke();
  /// On rank 0: all ranks are done with it.
  bool complete(std::uint64_t number) const;
  /// Collective: waits until all reports have come.
  void finish();

 private:
  struct Report {
    std::uint64_t number;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  mpi::Comm comm_;
  std::deque<Report> sending_;  ///< a deque: MPI reads the numbers where they are
  std::map<std::uint64_t, int> done_;
  std::uint64_t reported_ = 0, received_ = 0;
};

}  // namespace ecl
