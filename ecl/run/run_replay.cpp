#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "ecl/base/checksum.hpp"
#include "ecl/base/gzip.hpp"
#include "ecl/base/host.hpp"
#include "ecl/base/params.hpp"
#include "ecl/data/site_path.hpp"
#include "ecl/replay/delivery_report.hpp"
#include "ecl/replay/replay_port.hpp"
#include "ecl/run/directory/run_directory.hpp"
#include "ecl/run/directory/run_lock.hpp"
#include "ecl/run/local_run.hpp"
#include "ecl/run/run.hpp"
#include "ecl/run/summary.hpp"

namespace ecl {
namespace {

/// What a recorded run left behind.
struct Recording {
  std::vector<Bytes> content;  ///< of the logs
  std::vector<DeliveryReader> logs;
  std::vector<std::string> metrics;  ///< lines of metrics.csv, the names of the columns first

  explicit Recording(const std::string& directory) {
    const std::string advice = "ecl replay takes the directory of an ecl train --record --out";
    NodeId nodes = 1;
    for (NodeId i = 0; i < nodes; ++i) {
      const std::string path = delivery_log_path(directory, i);
      content.push_back(read_file(path, advice));
      const DeliveryReader& log = logs.emplace_back(path, content.back());
      if (i == 0) nodes = log.origin().nodes;
      if (log.origin().node != i || log.origin().nodes != nodes)
        throw Error("'" + path + "' is another node's, or of another run", Exit::io);
    }
    const Bytes text = read_file(directory + "/metrics.csv", "the recorded run has left none");
    auto lines = split({reinterpret_cast<const char*>(text.data()), text.size()}, '\n');
    if (!text.empty() && text.back() != '\n') lines.pop_back();  // cut off by a kill
    std::erase(lines, "");
    metrics = std::move(lines);
  }

  NodeId nodes() const { return static_cast<NodeId>(logs.size()); }
};

/// The nodes of a recorded run, stepped in an order that their logs allow.
class ReplayRun final : public LocalRun<ReplayPort> {
 public:
  ReplayRun(Experiment& experiment, const Recording& recording)
      : LocalRun(experiment),
        recording_(recording),
        network_(experiment.graph, experiment.message_floats(), recording.logs),
        report_(experiment.graph) {
    place_nodes(network_);
    for (const DeliveryReader& log : recording.logs) tracks_.push_back({.log = log});
    find_last_evaluation();
  }

  void run(Recorder& recorder, const RunDirectory& directory) {
    recorder_ = &recorder;
    start_clock();
    show_in(directory, status());
    for (NodeId i = 0; i < experiment_.nodes(); ++i) fetch(i);
    while (const auto i = next_node()) {
      play(*i);
      if (status_is_old()) write_status(status());
    }
    for (NodeId i = 0; i < experiment_.nodes(); ++i)
      for (int e = 0; e < experiment_.graph.degree(i); ++e) report_.close(i, e, steps_of(i), network_.posted(i, e));
    finish_without_lost();
    finish_progress();
  }

  Summary summary() {
    const bool complete = evaluations_.done() == last_evaluation_, partial = !mean_left_.empty();
    if (!complete && !partial) evaluate_as_it_stands();
    const Verdict verdict = partial                           ? Verdict::partial
                            : diverged_                       ? Verdict::diverged
                            : complete && stopped_early_ == 0 ? Verdict::finished
                                                              : Verdict::preempted;
    Summary summary = summarise(verdict, recorded_s(), mean());
    summary.nodes_lost.assign(lost_.begin(), lost_.end());
    return summary;
  }

  const std::vector<double>& mean() const { return mean_left_.empty() ? LocalRun::mean() : mean_left_; }
  const DeliveryReport& report() const { return report_; }

  /// How the replay compares with what was recorded, in a line for a person.
  std::pair<std::string, Exit> comparison() const {
    const std::size_t recorded = recording_.metrics.empty() ? 0 : recording_.metrics.size() - 1;
    if (!difference_.empty())
      return {"the replay differs from the recorded run first in " + difference_ +
                  "; was the run made by another build of ecl, or on another kind of processor?",
              Exit::internal};
    const std::string rows = std::to_string(std::min(compared_, recorded)) + " of " + std::to_string(recorded) +
                             " rows of metrics.csv and " + std::to_string(models_compared_) +
                             " models equal the recorded ones bit for bit";
    return {rows + waiting(), compared_ < recorded ? Exit::io : Exit::ok};
  }

 private:
  /// Of the recorded run's training, up to the last evaluation.
  double recorded_s() const { return std::ranges::max_element(tracks_, {}, &Track::time_s)->time_s; }
  Status status() const { return {.seconds = recorded_s(), .lost = {lost_.begin(), lost_.end()}}; }

  /// Where a node is in its log.
  struct Track {
    DeliveryReader log;  ///< at the event to come
    bool ended = false;
    std::uint64_t evaluations = 0;
    bool stopped_early = false;
    double time_s = 0;  ///< of its last evaluation
  };

  /// If a run is stopped early, its last evaluation is the one after the foremost node's last; if nodes died, that of
  /// the others. Reads all logs to the end, so that damage is found before anything is trained.
  void find_last_evaluation() {
    std::uint64_t foremost = 0;
    for (DeliveryReader log : recording_.logs) {
      std::uint64_t begun = 0;
      bool stopped_early = false;
      while (log.next()) {
        const DeliveryEvent& event = log.event();
        if (event.kind == DeliveryEvent::Kind::evaluation) ++begun;
        if (event.kind == DeliveryEvent::Kind::stopped_early) stopped_early = true;
        if (event.kind == DeliveryEvent::Kind::drop)
          lost_.insert(experiment_.graph.edges(log.origin().node)[event.edge].peer);
        if (event.step > experiment_.steps) throw Error("'" + log.path() + "' is damaged", Exit::io);
      }
      foremost = std::max(foremost, begun);
      stopped_early_ += stopped_early;
    }
    const bool whole = stopped_early_ == 0 || !lost_.empty();
    last_evaluation_ = whole ? experiment_.evaluations() : std::min(foremost + 1, experiment_.evaluations());
  }

  /// The node furthest behind among those whose next messages are there; none: the end, or that of a log.
  std::optional<NodeId> next_node() const {
    std::optional<NodeId> best;
    for (NodeId i = 0; i < experiment_.nodes(); ++i)
      if (!tracks_[i].ended && network_.posted(i, tracks_[i].log.event()) && (!best || steps_of(i) < steps_of(*best)))
        best = i;
    return best;
  }

  /// Goes with node i to its next event; what happens before that needs nobody. A run that was killed ends in the
  /// middle of a round: what it sent at that round's end may have reached others.
  void fetch(NodeId i) {
    Track& track = tracks_[i];
    track.ended = !track.log.next();
    if (!track.ended)
      step_to(i, track.log.event().step);
    else if (!track.stopped_early)
      while (steps_of(i) < experiment_.steps && !nodes_[i].optimizer().takes_messages()) make_step(i);
  }

  void play(NodeId i) {
    Track& track = tracks_[i];
    const DeliveryEvent& event = track.log.event();
    switch (event.kind) {
      case DeliveryEvent::Kind::round:
      case DeliveryEvent::Kind::serve:
      case DeliveryEvent::Kind::settle:
      case DeliveryEvent::Kind::exchange:
        take(i, event);
        break;
      case DeliveryEvent::Kind::drop:
        if (event.begun) nodes_[i].begin();
        nodes_[i].optimizer().drop(event.edge);
        break;
      case DeliveryEvent::Kind::exchanges_set:
        nodes_[i].optimizer().set_exchanges(event.exchanges);
        break;
      case DeliveryEvent::Kind::evaluation:
        evaluate(i, event, ++track.evaluations);
        break;
      case DeliveryEvent::Kind::stopped_early:
        track.stopped_early = true;
        if (!lost_.empty())
          leave(i, event);
        else if (track.evaluations < last_evaluation_)
          evaluate(i, event, last_evaluation_);
        break;
    }
    fetch(i);
  }

  void step_to(NodeId i, std::uint64_t goal) {
    while (steps_of(i) < goal) make_step(i);
  }

  void take(NodeId i, const DeliveryEvent& event) {
    for (int e = 0; e < experiment_.graph.degree(i); ++e)
      if (event.taken[e] != 0) report_.add(i, e, event.step, SentAt::of(network_.next_stamp(i, e)).step);
    network_.expect(i, event);
    if (event.kind == DeliveryEvent::Kind::serve)
      nodes_[i].serve();
    else if (event.kind == DeliveryEvent::Kind::settle)
      nodes_[i].settle();
    else if (event.kind == DeliveryEvent::Kind::exchange)
      nodes_[i].exchange();
    else if (nodes_[i].optimizer().begun() || !nodes_[i].optimizer().receives_at_start())
      make_step(i);
    else
      nodes_[i].begin();
    network_.check_taken(i);
  }

  void evaluate(NodeId i, const DeliveryEvent& event, std::uint64_t k) {
    look_at(i, event);
    LocalRun::evaluate(i, k);
  }

  /// The last evaluation of a node that outlived others.
  void leave(NodeId i, const DeliveryEvent& event) {
    look_at(i, event);
    const CVec x = nodes_[i].x();
    left_.rows[i] = row(i);
    left_.models[i].assign(x.begin(), x.end());
  }

  /// Brings node i to an evaluation.
  void look_at(NodeId i, const DeliveryEvent& event) {
    if (event.begun) nodes_[i].begin();
    tracks_[i].time_s = event.time_s;
    network_.set_clock(i, event.time_s);
    const CVec x = nodes_[i].x();
    ++models_compared_;
    if (checksum(std::as_bytes(x)) != event.model)
      note_difference("node " + std::to_string(i) + "'s model at step " + std::to_string(event.step));
  }

  void finished(const std::vector<MetricsRow>& rows) override {
    // When nodes died, the evaluations that were still being gathered were given up.
    if (!lost_.empty() && compared_ + rows.size() + stopped_early_ >= recording_.metrics.size()) return;
    write(rows);
  }

  /// Once all who outlived the dead have left.
  void finish_without_lost() {
    if (lost_.empty() || left_.rows.size() < stopped_early_ || left_.rows.empty()) return;
    std::vector<MetricsRow> rows;
    std::vector<CVec> models;
    for (const auto& [i, model] : left_.models) rows.push_back(left_.rows[i]), models.push_back(model);
    mean_left_ = mean_of(models);
    for (std::size_t s = 0; s < rows.size(); ++s) rows[s].consensus_error = relative_distance(models[s], mean_left_);
    if (!experiment_.data.own_tests()) note_average(rows, measure_shares(experiment_, mean_left_));
    write(rows);
  }

  void write(const std::vector<MetricsRow>& rows) {
    for (const MetricsRow& r : rows) compare(to_csv(r));
    recorder_->write(rows);
    last_rows_ = rows;
  }

  void compare(const std::string& line) {
    if (++compared_ >= recording_.metrics.size() || line == recording_.metrics[compared_]) return;
    const auto names = split(recording_.metrics[0], ','), mine = split(line, ','),
               recorded = split(recording_.metrics[compared_], ',');
    std::size_t column = 0;
    while (column + 1 < std::min({names.size(), mine.size(), recorded.size()}) && mine[column] == recorded[column])
      ++column;
    note_difference("line " + std::to_string(compared_ + 1) + " of metrics.csv, " + names[column] + ": " +
                    recorded[column] + " recorded, " + mine[column] + " replayed");
  }

  void note_difference(const std::string& what) {
    if (difference_.empty()) difference_ = what;
  }

  /// A recording that was cut off: who waits for what is not in it.
  std::string waiting() const {
    for (NodeId i = 0; i < experiment_.nodes(); ++i)
      if (!tracks_[i].ended)
        return "; the recording goes no further: node " + std::to_string(i) + " waits at step " +
               std::to_string(steps_of(i)) + " for a message from beyond its neighbours' logs";
    return compared_ + 1 < recording_.metrics.size() ? "; the recording ends before the run did" : "";
  }

  /// The last row of a run that was killed: the models where the recording leaves them.
  void evaluate_as_it_stands() {
    evaluations_.clear();
    for (NodeId i = 0; i < experiment_.nodes(); ++i) LocalRun::evaluate(i, last_evaluation_);
  }

  const Recording& recording_;
  Recorder* recorder_ = nullptr;
  ReplayNetwork network_;
  DeliveryReport report_;
  std::vector<Track> tracks_;
  std::uint64_t last_evaluation_ = 0;
  std::size_t stopped_early_ = 0;  ///< nodes that did not go to the end
  std::set<NodeId> lost_;          ///< nodes that died
  struct {
    std::map<NodeId, MetricsRow> rows;
    std::map<NodeId, std::vector<float>> models;
  } left_;                         ///< the others then
  std::vector<double> mean_left_;  ///< of their models
  std::size_t compared_ = 0, models_compared_ = 0;
  std::string difference_;  ///< the first
};

/// The recording is of this experiment.
void check_origins(const Recording& recording, const Experiment& experiment, const std::string& directory) {
  for (const DeliveryReader& log : recording.logs) {
    const DeliveryOrigin now = experiment.delivery_origin(log.origin().node), &then = log.origin();
    if (now.config != then.config)
      throw Error("'" + directory + "/config.ini' was edited after the run: its recording does not fit it any more");
    if (now.data != then.data)
      throw Error("node " + std::to_string(now.node) +
                  "'s samples, or the test set, are not those of the recorded run" +
                  (experiment.spec.data.empty() ? "" : " (" + experiment.spec.data + ")"));
    if (!(now == then)) throw Error("'" + log.path() + "' is damaged, or of another run", Exit::io);
  }
}

}  // namespace

Exit run_replay(const Spec& spec, const std::string& directory) {
  const Recording recording(directory);
  if (names_host(spec.data) || names_host(spec.test))
    throw Error("'" + directory +
                "' is of a run whose data are on several machines ({host} in --data): it cannot be "
                "repeated on one");
  LocalSites sites;
  Experiment experiment(spec, recording.nodes(), sites);
  check_origins(recording, experiment, directory);
  ReplayRun run(experiment, recording);
  const RunDirectory out(spec, recording.nodes());  // last of all: whatever is refused leaves nothing behind
  const RunLock lock(spec.out);
  out.begin(experiment, std::vector(recording.nodes(), host_name()), 0);
  write_own_inputs(experiment);
  Recorder recorder(out.path("metrics.csv"));
  run.run(recorder, out);
  const auto [comparison, code] = run.comparison();
  const Summary summary = run.summary();
  for (NodeId i = 0; i < experiment.nodes(); ++i) write_node_model(experiment, i, run.model_of(i));
  out.finish(summary, experiment, run.mean(), 0);
  print(std::cout, std::cerr, summary, experiment);
  run.report().print(std::cout, experiment.graph);
  if (code != Exit::ok) throw Error(comparison, code);
  std::cout << comparison << '\n';
  return Exit::ok;
}

}  // namespace ecl
