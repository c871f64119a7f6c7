#include "ecl/run/lost_ranks.hpp"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>

#include "ecl/run/checkpoints.hpp"
#include "ecl/run/run_directory.hpp"
#include "ecl/run/summary.hpp"

namespace ecl {
namespace {

/// Lines of metrics.csv that belong to whole evaluations, its header aside.
std::uint64_t whole_rows(const std::string& path, NodeId nodes) {
  std::ifstream file(path);
  const auto lines = static_cast<std::uint64_t>(
      std::count(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>(), '\n'));
  return lines == 0 ? 0 : (lines - 1) / nodes * nodes;
}

}  // namespace

void give_up(const mpi::Comm& comm, const Survivors& survivors, const Spec& spec, int dead) {
  if (survivors.leads()) {
    std::string line = "ecl: node " + std::to_string(dead) + " has died, and the run ends with it";
    if (survivors.can_go_on()) line += " (with mpirun --enable-recovery the others would have finished)";
    const std::uint64_t checkpoint = spec.out.empty() ? 0 : Checkpoints(spec.out, "").latest();
    line += checkpoint == 0 ? "; there is no checkpoint to go on from"
                            : "; the last checkpoint is " + spec.out + "/checkpoints/" + std::to_string(checkpoint) +
                                  ": go on with ecl train --resume " + spec.out;
    std::cerr << line + "\n" << std::flush;
  }
  comm.abort(static_cast<int>(Exit::rank_lost));
}

void write_partial(const Survivors::Gathered& all, const std::vector<NodeId>& lost, const std::string& exchange,
                   const Experiment& experiment) {
  const std::vector<double> mean = mean_of(all.models);
  Summary summary;
  summary.verdict = Verdict::partial;
  summary.nodes_lost = lost;
  summary.exchange = exchange;
  for (std::size_t s = 0; s < all.words.size(); ++s) {
    const LastWords& words = all.words[s];
    summary.rows.push_back(words.row);
    summary.rows.back().consensus_error = relative_distance(all.models[s], mean);
    summary.seconds = summary.wall_seconds = std::max(summary.seconds, words.trained_s);
    summary.peak_memory_bytes = std::max(summary.peak_memory_bytes, words.memory_bytes);
    summary.cpu_seconds += words.cpu_s;
    summary.exchange_seconds += words.exchange_s;
    summary.gradient_seconds += words.step_s - words.exchange_s;
    summary.gradient_samples += words.samples;
  }
  score_consensus(summary, experiment, mean);
  print(std::cout, summary, experiment);
  Spec spec = experiment.spec;
  if (spec.out.empty()) return;
  spec.resume = true;  // the directory is there
  const RunDirectory directory(spec, experiment.nodes());
  const std::string metrics = directory.path("metrics.csv");
  Recorder(metrics, whole_rows(metrics, experiment.nodes())).write(summary.rows);
  directory.finish(summary, experiment, mean, 0);
}

}  // namespace ecl
