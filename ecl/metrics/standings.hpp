#pragma once

#include <cstdint>
#include <mpi.h>
#include <optional>
#include <vector>

#include "ecl/base/types.hpp"
#include "ecl/mpi/comm.hpp"

namespace ecl {

/// Where a node stands, for people who look at a run. Plain data: it travels as bytes.
struct Standing {
  std::uint64_t step = 0;
  double steps_per_s = 0;          ///< since it last said so
  double message_age_s = -1;       ///< since anything was heard of the neighbour that is silent longest; -1: of nobody
  std::int32_t message_from = -1;  ///< that neighbour
  std::int32_t silent = 0;         ///< 1: for longer than --stall-warn-s
  double heard_s = -1;             ///< when rank 0 was told, by its clock; -1: not yet
};

/// Of those who have told, the one that has made the fewest steps; none in a run of one.
std::optional<NodeId> slowest(const std::vector<Standing>& nodes, const std::vector<NodeId>& lost);
/// Steps made by all but those that died, as far as they have told, as a share of what they have to make.
double share_done(const std::vector<Standing>& nodes, const std::vector<NodeId>& lost, std::uint64_t steps);

/// Rank 0 learns where the others stand. Nobody waits: who finds its last word still on the way says nothing.
class Standings {
 public:
  /// Collective.
  explicit Standings(const mpi::Comm& comm) : comm_(comm.duplicate()), nodes_(comm.size()) {}

  /// Of this rank. `now_s`: by its clock.
  void tell(const Standing& standing, double now_s);
  /// Moves what is under way.
  void poke(double now_s);
  /// On rank 0: by node.
  const std::vector<Standing>& nodes() const { return nodes_; }
  /// Collective, at the end: rank 0 gets everybody's last word.
  void finish(const Standing& last, double now_s);

 private:
  mpi::Comm comm_;
  std::vector<Standing> nodes_;
  Standing sending_;
  MPI_Request request_ = MPI_REQUEST_NULL;
  std::uint64_t told_ = 0, received_ = 0;
};

}  // namespace ecl
