#include "ecl/run/lost_ranks.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <type_traits>

#include "ecl/base/text_lines.hpp"
#include "ecl/metrics/consensus.hpp"
#include "ecl/run/average_measures.hpp"
#include "ecl/run/directory/checkpoints.hpp"
#include "ecl/run/directory/events.hpp"
#include "ecl/run/directory/run_directory.hpp"
#include "ecl/run/summary.hpp"

namespace ecl {
namespace {

static_assert(std::is_trivially_copyable_v<FinalReport>, "it travels as bytes");

FinalReport report_in(const Survivors::Last& last) {
  FinalReport report;
  std::memcpy(&report, last.report.data(), sizeof report);
  return report;
}

/// Lines of metrics.csv that belong to whole evaluations, its header aside.
std::uint64_t whole_rows(const std::string& path, NodeId nodes) {
  std::ifstream file(path);
  const auto lines = static_cast<std::uint64_t>(
      std::count(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>(), '\n'));
  return lines == 0 ? 0 : (lines - 1) / nodes * nodes;
}

}  // namespace

void give_up(const mpi::Comm& comm, Survivors& survivors, const Spec& spec, int dead, std::optional<double> now_s) {
  if (survivors.speaks()) {
    if (now_s) note_event(spec.out, {*now_s, comm.rank(), "died", dead});
    std::string line = "ecl: node " + std::to_string(dead) + " has died, and the run ends with it";
    if (survivors.can_go_on() && spec.mode != "lock-step")
      line += " (with mpirun --enable-recovery the others would have finished)";
    const std::uint64_t checkpoint = spec.out.empty() ? 0 : Checkpoints(spec.out, "").latest();
    line += checkpoint == 0 ? "; there is no checkpoint to go on from"
                            : "; the last checkpoint is " + spec.out + "/checkpoints/" + std::to_string(checkpoint) +
                                  ": go on with mpirun -n " + std::to_string(comm.size()) + " ecl train --resume " +
                                  shell_quoted(spec.out);
    std::cerr << line + "\n" << std::flush;
  }
  comm.abort(static_cast<int>(Exit::rank_lost));
}

std::vector<std::span<const std::byte>> last_words_of(const std::vector<Survivors::Last>& all, NodeId nodes) {
  std::vector<std::span<const std::byte>> words(nodes);
  for (const Survivors::Last& last : all)
    words[report_in(last).row.node] = std::span(last.report).subspan(sizeof(FinalReport));
  return words;
}

void write_partial(const std::vector<Survivors::Last>& all, const std::string& exchange, const Experiment& experiment) {
  std::vector<CVec> models;
  for (const Survivors::Last& last : all) models.push_back(last.model);
  const std::vector<double> mean = mean_of(models);
  Summary summary;
  summary.verdict = Verdict::partial;
  summary.exchange = exchange;
  bool all_made = true;
  for (const Survivors::Last& last : all) {
    const FinalReport report = report_in(last);
    all_made &= report.row.step == experiment.steps;
    if (report.diverged) summary.verdict = Verdict::diverged;
    summary.rows.push_back(report.row);
    summary.rows.back().consensus_error = relative_distance(last.model, mean);
    summary.seconds = summary.wall_seconds = std::max(summary.seconds, report.trained_s);
    summary.peak_memory_bytes = std::max(summary.peak_memory_bytes, report.memory_bytes);
    summary.cpu_seconds += report.cpu_s;
    summary.exchange_seconds += report.exchange_s;
    summary.gradient_seconds += report.step_s;
    summary.gradient_samples += report.samples;
    summary.settle_rounds = std::max(summary.settle_rounds, static_cast<std::uint64_t>(report.settle_rounds));
  }
  for (NodeId node = 0; node < experiment.nodes(); ++node)  // also those that died while the others gathered
    if (std::ranges::none_of(summary.rows, [node](const MetricsRow& row) { return row.node == node; }))
      summary.nodes_lost.push_back(node);
  if (!all_made && summary.verdict == Verdict::partial)
    summary.warnings.push_back(
        "the nodes that live were stopped before they had made their steps: the model is what they had by then");
  if (!experiment.data.own_tests()) note_average(summary.rows, measure_shares(experiment, mean));
  judge(summary, experiment, mean);
  print(std::cout, std::cerr, summary, experiment);
  Spec spec = experiment.spec;
  if (spec.out.empty()) return;
  spec.resume = true;  // the directory is there
  const RunDirectory directory(spec, experiment.nodes());
  const std::string metrics = directory.path("metrics.csv");
  Recorder(metrics, whole_rows(metrics, experiment.nodes())).write(summary.rows);
  for (std::size_t s = 0; s < models.size(); ++s) write_node_model(experiment, summary.rows[s].node, models[s]);
  directory.finish(summary, experiment, mean, Checkpoints(spec.out, "").latest());
}

}  // namespace ecl
