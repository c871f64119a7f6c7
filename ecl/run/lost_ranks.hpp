#pragma once

#include <string>
#include <vector>

#include "ecl/engines/survivors.hpp"
#include "ecl/mpi/comm.hpp"
#include "ecl/run/experiment.hpp"

namespace ecl {

/// A rank has died and the others cannot go on: one of them says so, and how the run can be taken up again; the job
/// ends with exit code 3.
[[noreturn]] void give_up(const mpi::Comm& comm, const Survivors& survivors, const Spec& spec, int dead);

/// On the lowest survivor: prints and writes the results of a run that lost ranks, judged by what the others gathered.
/// Throws Error (io).
void write_partial(const Survivors::Gathered& all, const std::vector<NodeId>& lost, const std::string& exchange,
                   const Experiment& experiment);

}  // namespace ecl
