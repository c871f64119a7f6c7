#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ecl/metrics/recorder.hpp"
#include "ecl/mpi/comm.hpp"
#include "ecl/run/experiment.hpp"
#include "ecl/termination/survivors.hpp"

namespace ecl {

/// A rank has died and the others cannot go on: one of its host says so, and how the run can be taken up again; the job
/// ends with exit code 3. `now_s`: seconds of training, for events.csv.
[[noreturn]] void give_up(const mpi::Comm& comm, Survivors& survivors, const Spec& spec, int dead,
                          std::optional<double> now_s = std::nullopt);

/// What a rank tells of itself when a run ends without some of the others. Plain data: it travels as bytes.
struct FinalReport {
  MetricsRow row;
  double cpu_s, memory_bytes, exchange_s, step_s, trained_s, samples, settle_rounds;
  bool diverged;
};

/// What each node's report has after its FinalReport; empty of a node that died.
std::vector<std::span<const std::byte>> last_words_of(const std::vector<Survivors::Last>& all, NodeId nodes);

/// On the lowest survivor: prints and writes the results of a run that lost ranks, judged by what the others gathered
/// (their reports begin with a FinalReport). Throws Error (io).
void write_partial(const std::vector<Survivors::Last>& all, const std::string& exchange, const Experiment& experiment);

}  // namespace ecl
