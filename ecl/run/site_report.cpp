#include "ecl/run/site_report.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>

#include "ecl/run/run.hpp"
#include "ecl/simulator/sim_port.hpp"

namespace ecl {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// Trains node i as long as in the run, on its own samples, without neighbours. Nothing after a stop signal: it comes
/// when all else is done, and must not keep the results from being written.
std::optional<Floats> train_alone(const Experiment& experiment, NodeId i) {
  const Graph single(1, {}, "alone");
  SimNetwork network(single, 0, {}, Mode::lock_step);
  Workspace workspace;
  auto node = experiment.make_lone_node(i, single, SimPort(network, 0), workspace);
  for (std::uint64_t step = 0; step < experiment.steps; ++step) {
    if (stop_requested()) return std::nullopt;
    if (!std::isfinite(node.step())) break;
  }
  return Floats(node.x().begin(), node.x().end());
}

/// "down=16;up=14": the classes that a site has.
std::string class_text(const std::vector<std::uint64_t>& counts, const Schema& schema) {
  std::string text;
  for (std::size_t c = 0; c < counts.size(); ++c) {
    if (counts[c] == 0) continue;
    text += (text.empty() ? "" : ";");
    text += schema.classes.empty() ? std::to_string(c) : schema.classes[c];
    text += '=' + std::to_string(counts[c]);
  }
  std::string quoted = "\"";
  for (const char letter : text) quoted += letter == '"' ? "\"\"" : std::string(1, letter);
  return quoted + '"';
}

/// A cell of the table; empty where there is nothing to say.
std::string cell(double value, const char* format) {
  if (!std::isfinite(value)) return "";
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}
std::string percent(const Score& score) { return cell(score.accuracy, "%.4f"); }
std::string loss(const Score& score) { return cell(score.loss, "%.6g"); }
/// What is told of the average model on a site's test samples, and of whoever knows these samples' labels alone.
constexpr std::array kOfTheAverage = {"balanced_accuracy", "macro_f1", "log_loss", "auc", "mae", "r2"};
constexpr std::array kOfNoModel = {"baseline_accuracy", "baseline_log_loss", "baseline_rmse"};

/// In the label's own unit, or per cent; empty where it does not apply.
std::string measure(const SiteReport& site, std::string_view wanted) {
  if (!site.measures || site.test_weight == 0) return "";
  for (const auto& [name, value] : site.measures->named())
    if (name == wanted) return cell(value, "%.6g");
  return "";
}

}  // namespace

SiteReport report_site(const Experiment& experiment, NodeId i, const std::vector<double>& mean, CVec own_model,
                       bool with_alone) {
  const Dataset& test = experiment.data.test_of(i);
  const Floats average(mean.begin(), mean.end());
  const auto score = [&](CVec model) {
    return test.total_weight() == 0 ? Score{kNone, kNone} : experiment.model->score(model, test);
  };
  SiteReport report{.node = i,
                    .train = experiment.data.shard_sizes()[i],
                    .test = test.size(),
                    .test_weight = test.total_weight(),
                    .class_counts = experiment.data.class_counts()[i],
                    .consensus = score(average),
                    .own = score(own_model),
                    .alone = {kNone, kNone},
                    .measures = experiment.measure(average, test)};
  if (with_alone && experiment.spec.compare_local)
    if (const auto alone = train_alone(experiment, i)) {
      report.alone = score(*alone);
      if (std::isnan(report.alone.loss)) report.alone.loss = std::numeric_limits<double>::infinity();  // it diverged
    }
  return report;
}

std::vector<SiteReport> gather_reports(Sites& sites, const std::vector<SiteReport>& mine) {
  std::vector<std::string> bytes;
  for (SiteReport report : mine) {
    Archive archive;
    archive(report);
    bytes.push_back(archive.bytes());
  }
  std::vector<SiteReport> all;
  for (const std::string& text : sites.gather(std::move(bytes))) {
    Archive archive(text, "what a site said");
    archive(all.emplace_back(mine.front()));  // of the same shape
    archive.finish();
  }
  return all;
}

Score over_all_sites(const std::vector<SiteReport>& sites, Score SiteReport::*which) {
  Score sum{0, 0};
  double samples = 0;
  for (const SiteReport& site : sites) {
    if (site.test_weight == 0) continue;
    sum.loss += site.test_weight * (site.*which).loss;
    sum.accuracy += site.test_weight * (site.*which).accuracy;
    samples += site.test_weight;
  }
  return {sum.loss / samples, sum.accuracy / samples};
}

std::string to_csv(const std::vector<SiteReport>& sites, const Schema& schema) {
  std::ostringstream text;
  text << "node,train_samples,test_samples,accuracy_consensus,accuracy_own,accuracy_alone,"
          "loss_consensus,loss_own,loss_alone,rmse_consensus,classes";
  for (const std::string_view name : kOfTheAverage) text << ',' << name << "_consensus";
  for (const std::string_view name : kOfNoModel) text << ',' << name;
  text << '\n';
  for (const SiteReport& site : sites) {
    text << site.node << ',' << site.train << ',' << site.test << ',' << percent(site.consensus) << ','
         << percent(site.own) << ',' << percent(site.alone) << ',' << loss(site.consensus) << ',' << loss(site.own)
         << ',' << loss(site.alone) << ',' << measure(site, "rmse") << ',' << class_text(site.class_counts, schema);
    for (const std::string_view name : kOfTheAverage) text << ',' << measure(site, name);
    for (const std::string_view name : kOfNoModel) text << ',' << measure(site, name);
    text << '\n';
  }
  return text.str();
}

}  // namespace ecl
