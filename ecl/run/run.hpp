#pragma once

#include <optional>

#include "ecl/base/check.hpp"
#include "ecl/mpi/comm.hpp"
#include "ecl/run/spec.hpp"

/// The runners: the only owners of a training loop.
namespace ecl {

/// Trains over MPI, node i on rank i. Collective. Writes the run directory and prints the summary on rank 0; returns
/// the exit code, the same on every rank. Throws Error, the same on every rank.
Exit run_rma(const mpi::Comm& comm, const Spec& spec);

/// The same experiment in this process, in virtual time.
Exit run_sim(const Spec& spec);

/// Repeats the run that `ecl train --record` left in `directory`, in this process: every model bit for bit. `spec`: its
/// config.ini, and where to write (`out`). Says how the evaluations compare with metrics.csv, and how old messages were
/// and how long they stayed away, edge by edge. Returns Exit::internal if they differ. Throws Error.
Exit run_replay(const Spec& spec, const std::string& directory);

/// From here on SIGTERM, SIGUSR1 and SIGINT ask for an orderly end instead of killing: the run stops training, writes a
/// checkpoint if it has a directory, evaluates, writes its results with verdict `preempted`. A rank takes the death of
/// its launcher as such a signal.
void catch_stop_signals();
/// The end of that, in a process that goes on: whoever was told of the signals before is told again, and one that came
/// meanwhile is forgotten.
void release_stop_signals();
bool stop_requested();

}  // namespace ecl
