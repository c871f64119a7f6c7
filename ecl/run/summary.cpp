#include "ecl/run/summary.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <sys/resource.h>

#include "ecl/base/build.hpp"
#include "ecl/base/text_lines.hpp"
#include "ecl/metrics/consensus.hpp"
#include "ecl/run/directory/run_directory.hpp"

namespace ecl {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kFewRounds = 30;

Json or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

/// What the rows of the last evaluation say about the network as a whole: sums, but for the staleness, which is the
/// mean of the nodes' medians and the largest of their 99 % quantiles. Accuracies are of nodes with the same test set.
struct Totals {
  double accuracy_mean = 0, accuracy_min = 1e300, consensus_error = 0, stale_p50 = 0, stale_p99 = 0;
  double exchanges_mean = 0, exchanges_min = 1e300, exchanges_max = 0;  ///< a round
  std::uint64_t steps = 0, refused = 0;
  Traffic traffic;

  Totals(const std::vector<MetricsRow>& rows, const Experiment& experiment) {
    for (const MetricsRow& row : rows) {
      accuracy_mean += row.accuracy;
      accuracy_min = std::isnan(row.accuracy) ? row.accuracy : std::min(accuracy_min, row.accuracy);
      stale_p50 += row.stale_p50;
      stale_p99 = std::max(stale_p99, row.stale_p99);
      steps += row.step;
      refused += row.messages_refused;
      const double rounds = std::ceil(static_cast<double>(row.step) / experiment.round_steps()),
                   exchanges = rounds > 0 ? static_cast<double>(row.exchanges) / rounds : 0;
      exchanges_mean += exchanges;
      exchanges_min = std::min(exchanges_min, exchanges);
      exchanges_max = std::max(exchanges_max, exchanges);
      traffic += row.traffic;
    }
    const double nodes = static_cast<double>(rows.size());
    accuracy_mean /= nodes;
    stale_p50 /= nodes;
    exchanges_mean /= nodes;
    consensus_error = consensus_error_of(rows);
    if (experiment.data.own_tests()) accuracy_mean = accuracy_min = std::nan("");
  }
};

}  // namespace

const char* name(Verdict verdict) {
  switch (verdict) {
    case Verdict::converged:
      return "converged";
    case Verdict::finished:
      return "finished";
    case Verdict::diverged:
      return "diverged";
    case Verdict::preempted:
      return "preempted";
    case Verdict::partial:
      return "partial";
  }
  return "";
}

Exit Summary::exit_code() const {
  switch (verdict) {
    case Verdict::diverged:
      return Exit::diverged;
    case Verdict::preempted:
      return Exit::preempted;
    case Verdict::partial:
      return Exit::rank_lost;
    case Verdict::converged:
    case Verdict::finished:
      break;
  }
  return Exit::ok;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double consensus_error_of(const std::vector<MetricsRow>& rows) {
  std::vector<double> distances;
  for (const MetricsRow& row : rows) distances.push_back(row.consensus_error);
  return root_mean_square(distances);
}

/// Of the nodes' average model.
static void score_consensus(Summary& summary, const Experiment& experiment, const std::vector<double>& mean) {
  const Floats x(mean.begin(), mean.end());
  if (!experiment.data.own_tests()) {
    const Dataset& tests = experiment.data.test_of(experiment.first_here());
    summary.consensus = experiment.model->score(x, tests);
    summary.measures = experiment.measure(x, tests);
  } else if (!summary.sites.empty()) {
    summary.consensus = over_all_sites(summary.sites, &SiteReport::consensus);
    summary.measures = summary.sites[0].measures;
    for (std::size_t site = 1; summary.measures && site < summary.sites.size(); ++site)
      summary.measures->add(*summary.sites[site].measures);
  } else {
    summary.consensus.loss = std::nan("");  // sites are lost, and what they would have said
  }
  if (experiment.optimum.empty()) return;
  const std::vector<double> optimum(experiment.optimum.begin(), experiment.optimum.end());
  summary.distance_to_optimum = relative_distance(x, optimum);
}

/// What is said of a model that is of less use than none; empty of others.
static std::string worse_than_none(const Measures& measures) {
  const auto no_better = [](const auto& all) {
    return all.log_loss() > all.baseline_log_loss() && all.accuracy() <= all.baseline_accuracy();
  };
  const RegressionMeasures* numbers = measures.regression();
  const LabelMeasures* labels = measures.labels();
  const bool worse = numbers ? numbers->r2() < 0 : labels ? no_better(*labels) : no_better(*measures.classifier());
  if (!worse) return "";
  return std::string("the average model is no better than ") +
         (numbers  ? "the labels' mean (R2 below 0)"
          : labels ? "saying of each label what most rows say, and its log loss is worse"
                   : "always the most frequent class, and its log loss is worse") +
         ": train longer, or try another --lr";
}

/// What the last round's steps did shows in no batch's loss: a thousand times what no model has, or of 1 an output.
static bool is_ruined(const Summary& summary, const Experiment& experiment) {
  constexpr double kGrowth = 1000;
  if (!summary.measures || summary.measures->samples() == 0 || summary.measures->weight() == 0) return false;
  const auto above = [&](double loss) {
    return !(summary.consensus.loss <= kGrowth * std::max<double>(experiment.model->outputs(), loss));
  };
  if (const RegressionMeasures* numbers = summary.measures->regression())
    return above(1) && !(numbers->r2() >= -kGrowth);
  if (const LabelMeasures* labels = summary.measures->labels()) return above(labels->baseline_log_loss());
  return above(summary.measures->classifier()->baseline_log_loss());
}

/// Where --compare-local asks for it. A NaN is of a node that did not; one that diverged has an infinite loss.
static bool all_trained_alone(const Summary& summary) {
  return std::ranges::none_of(
      summary.sites, [](const SiteReport& site) { return site.test_weight > 0 && std::isnan(site.alone.loss); });
}

void judge(Summary& summary, const Experiment& experiment, const std::vector<double>& mean) {
  score_consensus(summary, experiment, mean);
  if (summary.verdict == Verdict::finished && is_ruined(summary, experiment)) summary.verdict = Verdict::diverged;
  const double error = consensus_error_of(summary.rows), limit = experiment.spec.consensus_error;
  if (summary.verdict == Verdict::finished && error <= limit) summary.verdict = Verdict::converged;
  const Totals totals(summary.rows, experiment);
  for (const std::string& note : experiment.data.notes()) summary.warnings.push_back(note);
  for (const std::string& label : experiment.data.only_tested())
    summary.warnings.push_back("label " + ecl::quoted(label) +
                               " is in test samples alone, where it counts as wrong; is it spelt as in training?");
  const bool over = summary.verdict == Verdict::converged || summary.verdict == Verdict::finished;
  if (over && summary.measures && summary.measures->samples() > 0)
    if (const std::string text = worse_than_none(*summary.measures); !text.empty()) summary.warnings.push_back(text);
  if (over && experiment.spec.compare_local && !all_trained_alone(summary))
    summary.warnings.push_back(
        "stopped while the nodes trained alone, for --compare-local: what they would have reached is not known; the "
        "model and all else are whole");
  if (!over || !experiment.exchanges()) return;
  std::ostringstream text;
  text << std::setprecision(2);
  if (totals.traffic.messages_taken == 0)
    text << "no node has read a message of another: the nodes trained each alone; train longer";
  else if (summary.verdict == Verdict::finished)
    text << "the nodes do not agree: consensus error " << error << ", above --consensus-error " << limit << ", after "
         << summary.settle_rounds << " exchanges that followed the last step; train longer, try a smaller --lr, or "
         << (summary.settle_rounds < experiment.spec.settle ? "a longer --settle-s" : "a larger --settle");
  if (!text.str().empty()) summary.warnings.push_back(text.str());
  if (experiment.spec.own_data() && experiment.rounds() < kFewRounds) {
    std::ostringstream few;
    few << "the nodes made " << experiment.rounds() << (experiment.rounds() == 1 ? " round" : " rounds")
        << " of exchange only, and small tables want a hundred: --epochs "
        << std::ceil(100 * static_cast<double>(experiment.steps) * experiment.epochs_per_step /
                     static_cast<double>(experiment.rounds()))
        << ", a smaller --batch or fewer --local-steps";
    summary.warnings.push_back(few.str());
  }
}

std::string two_digits(double value) {
  std::ostringstream text;
  if (value >= 10)
    text << std::fixed << std::setprecision(0) << value;
  else
    text << std::setprecision(2) << value;
  return text.str();
}

std::string slow_nodes(const std::vector<double>& gradient_s, const std::vector<std::uint64_t>& samples,
                       const std::vector<std::uint64_t>& given) {
  constexpr double kMuchSlower = 2;
  std::vector<double> sorted = gradient_s;
  std::ranges::sort(sorted);
  const double usual = sorted[(sorted.size() - 1) / 2];
  if (!(usual > 0)) return "";
  std::string times, batches;
  for (std::size_t i = 0; i < gradient_s.size(); ++i) {
    const double factor = gradient_s[i] / usual, fitting = static_cast<double>(samples[i]) / factor;
    const bool slow = factor > kMuchSlower && samples[i] > 1;
    if (slow)
      times += std::string(times.empty() ? "node " : ", node ") + std::to_string(i) + "'s " + two_digits(factor);
    if (!slow && given[i] == 0) continue;
    const auto batch = slow ? static_cast<std::uint64_t>(std::max(1.0, std::round(fitting))) : given[i];
    batches += std::string(batches.empty() ? "" : ",") + std::to_string(i) + ":" + std::to_string(batch);
  }
  if (times.empty()) return "";
  return "gradients take longer than most nodes' (" + times + " times as long), so they are older, and in lock step " +
         "all wait for them: smaller batches keep pace, --node-batch " + batches;
}

std::string to_json(const Summary& summary, const Experiment& experiment) {
  const Spec& spec = experiment.spec;
  const Totals totals(summary.rows, experiment);
  Json json = {
      {"verdict", name(summary.verdict)},
      {"command", spec.command},
      {"nodes", experiment.nodes()},
      {"dataset", spec.dataset},
      {"partition", spec.partition},
      {"placement", spec.placement},
      {"devices", experiment.data.devices()},
      {"samples_moved", experiment.data.samples_moved()},
      {"raw_bytes_moved", experiment.data.raw_bytes_moved()},
      {"solver", spec.solver},
      {"topology", spec.topology},
      {"mode", spec.mode},
      {"model", spec.model},
      {"dimension", experiment.model->dim()},
      {"train_samples", experiment.data.train_samples()},
      {"test_samples", experiment.data.test_samples()},
      {"groups_to_test", experiment.data.groups_to_test()},
      {"seconds", summary.seconds},
      {"wall_seconds", summary.wall_seconds},
      {"cpu_seconds", summary.cpu_seconds},
      {"peak_memory_bytes", summary.peak_memory_bytes},
      {"steps", totals.steps},
      {"rounds", experiment.rounds()},
      {"exchanges_mean", experiment.exchanges() ? or_null(totals.exchanges_mean) : Json(nullptr)},
      {"settle_rounds", summary.settle_rounds},
      {"warnings", summary.warnings},
      {"nodes_lost", summary.nodes_lost},
      {"exchange", summary.exchange ? Json(*summary.exchange) : Json(nullptr)},
      {"gradient_samples", summary.gradient_samples},
      {"test_accuracy_mean", or_null(totals.accuracy_mean)},
      {"test_accuracy_min", or_null(totals.accuracy_min)},
      {"accuracy_own",
       summary.sites.empty() ? Json(nullptr) : or_null(over_all_sites(summary.sites, &SiteReport::own).accuracy)},
      {"accuracy_alone",
       summary.sites.empty() ? Json(nullptr) : or_null(over_all_sites(summary.sites, &SiteReport::alone).accuracy)},
      {"loss_own",
       summary.sites.empty() ? Json(nullptr) : or_null(over_all_sites(summary.sites, &SiteReport::own).loss)},
      {"loss_alone",
       summary.sites.empty() ? Json(nullptr) : or_null(over_all_sites(summary.sites, &SiteReport::alone).loss)},
      {"test_accuracy_consensus", or_null(summary.consensus.accuracy)},
      {"test_loss_consensus", or_null(summary.consensus.loss)},
      {"consensus_error", or_null(totals.consensus_error)},
      {"distance_to_optimum", summary.distance_to_optimum ? or_null(*summary.distance_to_optimum) : Json(nullptr)},
      {"bytes_sent", totals.traffic.bytes_sent},
      {"messages_sent", totals.traffic.messages_sent},
      {"messages_taken", totals.traffic.messages_taken},
      {"messages_torn", totals.traffic.messages_torn},
      {"messages_refused", totals.refused},
      {"messages_overwritten", totals.traffic.messages_overwritten},
      {"staleness_p50", totals.stale_p50},
      {"staleness_p99", totals.stale_p99},
      {"gradient_seconds", summary.gradient_seconds},
      {"exchange_seconds", summary.exchange_seconds},
      {"seed", spec.seed},
      {"version", version()},
  };
  if (summary.measures)
    for (const auto& [measure, value] : summary.measures->named()) json["test_" + measure] = or_null(value);
  return json.dump(2) + "\n";
}

/// What the average model's measures say beside the accuracy, and what needs no model.
static void print_measures(std::ostream& out, const Summary& summary, const Experiment& experiment) {
  if (!summary.measures) return;
  char line[256];
  if (const RegressionMeasures* numbers = summary.measures->regression()) {
    std::snprintf(line, sizeof line, "average model: RMSE %.6g (always the mean: %.6g), MAE %.6g, R2 %.4f",
                  numbers->rmse(), numbers->baseline_rmse(), numbers->mae(), numbers->r2());
    out << line << '\n';
    return;
  }
  if (const LabelMeasures* labels = summary.measures->labels()) {
    std::snprintf(line, sizeof line, "average model: all labels right %.2f %%, macro F1 %.4f",
                  labels->subset_accuracy(), labels->macro_f1());
    out << line;
    if (const auto auc = labels->auc())
      std::snprintf(line, sizeof line, ", AUC %.*f", auc->error < 5e-4 ? 4 : 2, auc->value), out << line;
    std::snprintf(line, sizeof line, "; always the more frequent: accuracy %.2f %%\n", labels->baseline_accuracy());
    out << line;
    return;
  }
  const ClassifierMeasures& classes = *summary.measures->classifier();
  const auto auc = classes.auc();
  std::snprintf(line, sizeof line, "average model: balanced accuracy %.2f %%, macro F1 %.4f",
                classes.balanced_accuracy(), classes.macro_f1());
  out << line;
  if (auc) std::snprintf(line, sizeof line, ", AUC %.*f", auc->error < 5e-4 ? 4 : 2, auc->value), out << line;
  const auto& names = experiment.data.example().schema.classes;
  std::snprintf(line, sizeof line, "; always %s: accuracy %.2f %%\n",
                names.empty() ? std::to_string(classes.most_frequent()).c_str()
                              : ecl::quoted(names[classes.most_frequent()]).c_str(),
                classes.baseline_accuracy());
  out << line;
}

/// Per cent of the samples, or the loss of a regression.
static std::string text_of(const Score& score) {
  char text[32];
  const bool classes = std::isfinite(score.accuracy);
  std::snprintf(text, sizeof text, classes ? "%.2f %%" : "loss %.6g", classes ? score.accuracy : score.loss);
  return text;
}

/// What the sites would have reached alone, after a comma, if that was asked for.
static void print_alone(std::ostream& out, const Summary& summary, const Experiment& experiment) {
  if (!experiment.spec.compare_local || summary.exit_code() != Exit::ok || !all_trained_alone(summary)) return;
  out << ", each alone " << text_of(over_all_sites(summary.sites, &SiteReport::alone));
}

/// Of sites that are each tested on their own samples.
static void print_sites(std::ostream& out, const Summary& summary, const Experiment& experiment) {
  out << "over the " << experiment.data.test_samples() << " test samples of " << summary.sites.size() << " sites";
  if (experiment.data.groups_to_test() > 0) out << " (" << experiment.data.groups_to_test() << " whole groups)";
  out << ": average model " << text_of(summary.consensus) << ", each node's own model "
      << text_of(over_all_sites(summary.sites, &SiteReport::own));
  print_alone(out, summary, experiment);
  out << '\n';
}

void print(std::ostream& out, std::ostream& err, const Summary& summary, const Experiment& experiment) {
  const Totals totals(summary.rows, experiment);
  char line[256];
  const auto add = [&](auto... arguments) {
    std::snprintf(line, sizeof line, arguments...);
    out << line << '\n';
  };
  add("%s: %s on %s, %d nodes, %llu steps in %.2f s", name(summary.verdict), experiment.spec.solver.c_str(),
      experiment.spec.topology.c_str(), experiment.nodes(), static_cast<unsigned long long>(totals.steps),
      summary.seconds);
  if (summary.verdict == Verdict::diverged)
    add("%s", "the loss grew a thousandfold or out of all numbers; try a smaller --lr");
  if (!std::isnan(totals.accuracy_mean)) {
    std::snprintf(line, sizeof line, "test accuracy: mean %.2f %%, worst node %.2f %%, average model %.2f %%",
                  totals.accuracy_mean, totals.accuracy_min, summary.consensus.accuracy);
    out << line;
    if (!summary.sites.empty()) print_alone(out, summary, experiment);
    out << '\n';
  }
  if (!summary.sites.empty() && experiment.data.own_tests()) print_sites(out, summary, experiment);
  print_measures(out, summary, experiment);
  if (std::isfinite(summary.consensus.loss))
    add("average model's loss %.6g, consensus error %.2e, %.1f MB sent", summary.consensus.loss, totals.consensus_error,
        static_cast<double>(totals.traffic.bytes_sent) / 1e6);
  if (const double share = experiment.spec.parsed_exchanges().share; share > 0)
    add("exchanges a round: %.1f, by node %.1f .. %.1f, in %g %% of the round's own time", totals.exchanges_mean,
        totals.exchanges_min, totals.exchanges_max, 100 * share);
  if (summary.distance_to_optimum) add("distance to the closed-form optimum: %.2e", *summary.distance_to_optimum);
  if (const auto resume = resume_command(experiment); resume && summary.verdict == Verdict::preempted)
    out << "to go on: " << *resume << '\n';
  if (summary.seconds != summary.wall_seconds)
    add("computed in %.2f s: %.0f node steps per second", summary.wall_seconds,
        static_cast<double>(totals.steps) / summary.wall_seconds);
  out.flush();
  for (const std::string& warning : summary.warnings) err << "ecl: warning: " + warning + "\n";
}

}  // namespace ecl
