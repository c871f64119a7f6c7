#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/metrics/recorder.hpp"
#include "ecl/run/experiment.hpp"
#include "ecl/run/site_report.hpp"

namespace ecl {

enum class Verdict {
  converged,  ///< all steps were made, and the nodes agree to within --consensus-error
  finished,   ///< all steps were made; the nodes' models still differ
  diverged,
  preempted,  ///< stopped by a signal
  partial     ///< some ranks died; the others made their steps, or were stopped: a warning says so
};
const char* name(Verdict verdict);

/// How a run ended; the content of summary.json.
struct Summary {
  Verdict verdict = Verdict::finished;
  double seconds = 0;                                 ///< of training: wall clock, or virtual in the simulator
  double wall_seconds = 0;                            ///< of training
  double cpu_seconds = 0;                             ///< of all processes, start and evaluation included
  double peak_memory_bytes = 0;                       ///< of the largest process
  double gradient_seconds = 0, exchange_seconds = 0;  ///< summed over nodes; wall clock
  std::optional<std::string> exchange;                ///< what carried the messages; over ranks
  double gradient_samples = 0;
  std::uint64_t settle_rounds = 0;            ///< exchanges of node 0 after its last step
  std::vector<std::string> warnings;          ///< why the run may not be what its user meant
  std::vector<NodeId> nodes_lost;             ///< they died; what follows is of the others
  std::vector<MetricsRow> rows;               ///< the last evaluation, in node order
  std::vector<SiteReport> sites;              ///< of a run with own data, in node order
  std::string edges;                          ///< edges.csv; empty where nobody asked all nodes
  Score consensus;                            ///< of the nodes' average model, over all test samples
  std::optional<Measures> measures;           ///< of the same
  std::optional<double> distance_to_optimum;  ///< of the average model, relative; where the optimum is known

  Exit exit_code() const;
};

/// Fills what follows from the last evaluation: scores of the mean model, distance to the optimum; whether a run that
/// made all its steps has converged; warnings.
void judge(Summary& summary, const Experiment& experiment, const std::vector<double>& mean);
/// What is said of nodes whose gradients take more than twice as long as most nodes', with the batches that would let
/// them keep pace; empty where there are none. By node: seconds of a gradient; its samples; the batch that --node-batch
/// gave it, or 0.
std::string slow_nodes(const std::vector<double>& gradient_s, const std::vector<std::uint64_t>& samples,
                       const std::vector<std::uint64_t>& given);
/// For messages: to two digits, or whole.
std::string two_digits(double value);
/// The consensus error of an evaluation.
double consensus_error_of(const std::vector<MetricsRow>& rows);

/// summary.json as one JSON object; keys that do not apply are null.
std::string to_json(const Summary& summary, const Experiment& experiment);
/// A few lines for a person; the warnings go to `err`.
void print(std::ostream& out, std::ostream& err, const Summary& summary, const Experiment& experiment);

/// CPU seconds of this process so far.
double cpu_seconds();

}  // namespace ecl
