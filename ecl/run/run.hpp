#pragma once

#include <optional>

#include "ecl/mpi/comm.hpp"
#include "ecl/run/spec.hpp"
#include "ecl/words/check.hpp"

/// The two runners: the only owners of a training loop.
namespace ecl {

/// Trains over MPI, node i on rank i. Collective. Writes the run directory and prints the summary on rank 0; returns
/// the exit code, the same on every rank. Throws Error, the same on every rank.
Exit run_rma(const mpi::Comm& comm, const Spec& spec);

/// The same experiment in this process, in virtual time.
Exit run_sim(const Spec& spec);

/// From here on SIGTERM, SIGUSR1 and SIGINT ask for an orderly end instead of killing: the run stops training, writes a
/// checkpoint if it has a directory, evaluates, writes its results with verdict `preempted`.
void catch_stop_signals();
bool stop_requested();

}  // namespace ecl
