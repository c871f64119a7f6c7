#include "ecl/trace/trace_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "ecl/base/build.hpp"
#include "ecl/base/check.hpp"
#include "ecl/base/files.hpp"

namespace ecl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Kind = TraceEvent::Kind;

constexpr int kWork = 0, kMessages = 1;  // threads of a node
constexpr double kMicro = 1e6, kShown_us = 1e-3;
constexpr std::size_t kPiece = 1 << 20;

const char* name(Kind kind) {
  constexpr std::array kNames = {"gradient", "post", "take", "wait", "slowed", "evaluation", "average", "checkpoint"};
  return kNames[static_cast<std::size_t>(kind)];
}

bool is_message(const TraceEvent& event) { return event.kind == Kind::post || event.kind == Kind::take; }

/// Which messages of a directed edge have both ends in the file, and the numbers that their arrows go by.
struct Flow {
  std::uint64_t first_posted = 0, last_posted = 0;  ///< posts are numbered one by one, and the newest are kept
  std::vector<std::uint64_t> taken;                 ///< in ascending order
  std::uint64_t first_id = 0;                       ///< of the arrow of taken[0]

  /// 0: there is none.
  std::uint64_t arrow(std::uint64_t number) const {
    const auto at = std::lower_bound(taken.begin(), taken.end(), number);
    const bool both = at != taken.end() && *at == number && number >= first_posted && number <= last_posted;
    return both ? first_id + static_cast<std::uint64_t>(at - taken.begin()) : 0;
  }
};

/// By sender and its local edge.
using Flows = std::vector<std::vector<Flow>>;

/// The edge that a message of node i's event went over, at its sender.
HalfEdge at_sender(const Graph& graph, NodeId i, const TraceEvent& event) {
  const HalfEdge edge = graph.edges(i)[event.edge];
  return event.kind == Kind::post ? HalfEdge{.peer = i, .twin = event.edge} : edge;
}

Flows flows_of(const std::vector<NodeTrace>& nodes, const Graph& graph) {
  Flows flows(nodes.size());
  for (NodeId i = 0; i < graph.size(); ++i) flows[i].resize(graph.degree(i));
  for (NodeId i = 0; i < graph.size(); ++i)
    for (const TraceEvent& event : nodes[i].events) {
      if (!is_message(event)) continue;
      const HalfEdge sender = at_sender(graph, i, event);
      Flow& flow = flows[sender.peer][sender.twin];
      if (event.kind == Kind::take) {
        flow.taken.push_back(event.number);
        continue;
      }
      if (flow.first_posted == 0) flow.first_posted = event.number;
      flow.last_posted = event.number;
    }
  std::uint64_t id = 1;
  for (auto& edges : flows)
    for (Flow& flow : edges) {
      std::sort(flow.taken.begin(), flow.taken.end());
      flow.first_id = id;
      id += flow.taken.size();
    }
  return flows;
}

/// traceEvents, one a line, into a file.
class Events {
 public:
  explicit Events(AtomicFile& file) : file_(file) {}

  /// A line that is JSON already.
  void add(std::string_view event) {
    text_ += first_ ? "\n" : ",\n";
    first_ = false;
    text_ += event;
    if (text_.size() > kPiece) flush();
  }
  template <class... Values>
  void add(const char* format, Values... values) {
    char line[256];
    const int length = std::snprintf(line, sizeof line, format, values...);
    ECL_CHECK(length > 0 && length < static_cast<int>(sizeof line));
    add(std::string_view(line, length));
  }
  void flush() {
    file_.write(text_);
    text_.clear();
  }

 private:
  AtomicFile& file_;
  std::string text_;
  bool first_ = true;
};

/// Where a node, or a thread of it, stands in a viewer, and under what name.
void add_names(Events& events, NodeId i, const NodeTrace& node) {
  const auto meta = [&](int thread, const char* what, const Json& value) {
    const Json event = {{"ph", "M"}, {"name", what}, {"pid", i}, {"tid", thread}, {"args", value}};
    events.add(event.dump(-1, ' ', false, Json::error_handler_t::replace));
  };
  std::string title = "node " + std::to_string(i);
  if (!node.host.empty()) title += " on " + node.host;
  if (node.died) title += ": died, and its events with it";
  meta(kWork, "process_name", {{"name", title}});
  meta(kWork, "process_sort_index", {{"sort_index", i}});
  meta(kWork, "thread_name", {{"name", "work"}});
  meta(kMessages, "thread_name", {{"name", "messages"}});
  if (node.dropped > 0)
    events.add(R"({"ph":"i","name":"%llu earlier events were dropped","pid":%d,"tid":0,"ts":%.3f,"s":"p"})",
               static_cast<unsigned long long>(node.dropped), i, kMicro * node.known_from_s());
}

void add_message(Events& events, NodeId i, const TraceEvent& event, const Graph& graph, const Flows& flows) {
  const bool post = event.kind == Kind::post;
  const NodeId peer = graph.edges(i)[event.edge].peer;
  const double ts = kMicro * event.start_s, dur = std::max(kMicro * (event.end_s - event.start_s), kShown_us);
  events.add(R"({"ph":"X","name":"%s","cat":"message","pid":%d,"tid":1,"ts":%.3f,"dur":%.3f,)"
             R"("args":{"edge":"%d -> %d","number":%llu}})",
             name(event.kind), i, ts, dur, post ? i : peer, post ? peer : i,
             static_cast<unsigned long long>(event.number));
  const HalfEdge sender = at_sender(graph, i, event);
  if (const std::uint64_t id = flows[sender.peer][sender.twin].arrow(event.number))
    events.add(R"({"ph":"%s","name":"message","cat":"message","id":%llu,"pid":%d,"tid":1,"ts":%.3f%s})",
               post ? "s" : "f", static_cast<unsigned long long>(id), i, post ? ts : ts + dur - kShown_us,
               post ? "" : R"(,"bp":"e")");
}

void add_events(Events& events, NodeId i, NodeTrace& node, const Graph& graph, const Flows& flows) {
  // What lies within another comes after it; and what happens at one moment keeps its order.
  std::stable_sort(node.events.begin(), node.events.end(), [](const TraceEvent& a, const TraceEvent& b) {
    return a.start_s != b.start_s ? a.start_s < b.start_s : a.end_s > b.end_s;
  });
  for (const TraceEvent& event : node.events) {
    if (is_message(event)) {
      add_message(events, i, event, graph, flows);
      continue;
    }
    char arguments[48] = "";
    if (event.number > 0)
      std::snprintf(arguments, sizeof arguments, R"(,"args":{"%s":%llu})",
                    event.kind == Kind::gradient ? "step" : "number", static_cast<unsigned long long>(event.number));
    events.add(R"({"ph":"X","name":"%s","cat":"work","pid":%d,"tid":0,"ts":%.3f,"dur":%.3f%s})", name(event.kind), i,
               kMicro * event.start_s, kMicro * std::max(event.end_s - event.start_s, 0.0), arguments);
  }
}

double end_of(const std::vector<NodeTrace>& nodes) {
  double end_s = 0;
  for (const NodeTrace& node : nodes)
    for (const TraceEvent& event : node.events) end_s = std::max(end_s, event.end_s);
  return end_s;
}

Json facts(const std::vector<NodeTrace>& nodes, const std::string& command) {
  Json by_node = Json::array(), died = Json::array();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const NodeTrace& node = nodes[i];
    by_node.push_back({{"node", i},
                       {"clock_error_s", node.clock_error_s},
                       {"events", node.events.size()},
                       {"dropped", node.dropped},
                       {"kept_from_s", node.known_from_s()}});
    if (node.died) died.push_back(i);
  }
  return {
      {"command", command},       {"version", version()},
      {"seconds", end_of(nodes)}, {"nodes", by_node},
      {"nodes_died", died},       {"warning", missing_from(nodes).empty() ? Json(nullptr) : Json(missing_from(nodes))}};
}

}  // namespace

double NodeTrace::known_from_s() const {
  return dropped == 0 || events.empty() ? 0 : events.front().end_s;  // events are kept in the order of their ends
}

void check_trace_path(const std::string& path, const std::string& made_later) {
  const std::string what = "--trace " + path + ": ";
  std::error_code error;
  if (fs::is_directory(path, error))
    throw Error(what + "that is a directory; name a file, as in " + path + "/trace.json");
  const fs::path parent = fs::absolute(path, error).lexically_normal().parent_path();
  if (fs::is_directory(parent, error)) {
    if (access(parent.c_str(), W_OK) != 0) throw Error(what + "cannot be written: " + std::strerror(errno), Exit::io);
    return;
  }
  if (!made_later.empty() && parent == fs::absolute(made_later + "/.", error).lexically_normal().parent_path()) return;
  throw Error(what + "there is no directory " + parent.string() + "; make it, or name a file elsewhere");
}

void write_trace(const std::string& path, std::vector<NodeTrace> nodes, const Graph& graph,
                 const std::string& command) {
  ECL_CHECK(static_cast<NodeId>(nodes.size()) == graph.size());
  const Json other = facts(nodes, command);
  const Flows flows = flows_of(nodes, graph);
  AtomicFile file(path);
  file.write(R"({"displayTimeUnit":"ms","otherData":)" + other.dump(-1, ' ', false, Json::error_handler_t::replace) +
             ",\n\"traceEvents\":[");
  Events events(file);
  for (NodeId i = 0; i < graph.size(); ++i) {
    add_names(events, i, nodes[i]);
    add_events(events, i, nodes[i], graph, flows);
  }
  events.flush();
  file.write("\n]}\n");
  file.finish();
}

std::string missing_from(const std::vector<NodeTrace>& nodes) {
  std::uint64_t dropped = 0;
  double from_s = 0;
  std::string died;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    dropped += nodes[i].dropped;
    from_s = std::max(from_s, nodes[i].known_from_s());
    if (nodes[i].died) died += (died.empty() ? "node " : ", node ") + std::to_string(i);
  }
  std::string line;
  char text[160];
  if (dropped > 0) {
    std::snprintf(text, sizeof text,
                  "%llu earlier events were dropped to keep it small: it shows all nodes from %.3f s to %.3f s",
                  static_cast<unsigned long long>(dropped), from_s, end_of(nodes));
    line = text;
  }
  if (!died.empty()) line += (line.empty() ? "" : "; ") + died + " died, and its events with it";
  return line;
}

}  // namespace ecl
