#pragma once

#include <array>
#include <cstdint>
#include <mpi.h>
#include <span>
#include <vector>

#include "ecl/mpi/comm.hpp"

namespace ecl {

/// How ranks that never wait for each other agree that something ends, and learn where everybody stood (in the
/// literature: termination detection).
///
/// Any rank may announce the end, at any time. It tells the others by a message each; a rank that hears of it must
/// announce it too. Each makes a statement about itself when it does (three numbers, the caller's), and once all have,
/// all know all statements.
class StopAgreement {
 public:
  using Statement = std::array<std::uint64_t, 3>;

  /// Collective.
  explicit StopAgreement(const mpi::Comm& comm) : comm_(comm.duplicate()), counts_(comm.duplicate()) {}

  /// Call it once; and, unless heard(), only while the others cannot have left yet.
  void announce(const Statement& mine);
  bool announced() const { return announced_; }
  /// Another rank has announced the end: this one must too. Cheap; false once it has.
  bool heard();
  /// All have announced it. Waits for nobody, but for messages that are on their way then.
  bool reached();
  /// What they stated, by rank; once reached().
  std::span<const Statement> statements() const { return statements_; }
  /// Collective: leaves nothing half said. If any rank has announced the end, those who did not hear of it do so now.
  void finish(const Statement& mine);

 private:
  mpi::Comm comm_;
  mpi::Comm counts_;  ///< for finish(): on comm_ those who have announced gather already
  bool announced_ = false, heard_ = false, reached_ = false;
  struct Announcement {
    Statement statement;
    std::uint64_t told;  ///< 1 if the rank sent the others a message
  };
  Announcement mine_{};
  std::vector<Announcement> everybody_;
  std::vector<Statement> statements_;
  MPI_Request gathering_ = MPI_REQUEST_NULL;
  std::vector<MPI_Request> telling_;
};

}  // namespace ecl
