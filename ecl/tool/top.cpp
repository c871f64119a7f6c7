#include "ecl/tool/top.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <sys/ioctl.h>
#include <thread>
#include <unistd.h>

#include "ecl/base/check.hpp"
#include "ecl/base/host.hpp"
#include "ecl/metrics/progress.hpp"
#include "ecl/run/directory/run_directory.hpp"
#include "ecl/run/directory/run_lock.hpp"
#include "ecl/tool/parse.hpp"

namespace ecl {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;
using Json = nlohmann::json;
using Lines = std::vector<std::string>;

constexpr std::chrono::seconds kLook{1};
constexpr double kOld_s = 10;  // status.json and what nodes tell are renewed about every second
constexpr int kIdleLooks = 3;  // a run makes its directory, then locks it, then writes status.json

struct TopOptions {
  std::string run;
  bool once = false;
};

/// Nothing if it was --help, which is then printed.
std::optional<TopOptions> read_top_options(const std::vector<std::string>& arguments) {
  TopOptions wanted;
  po::options_description options("Options");
  options.add_options()("run", po::value(&wanted.run), "directory of the run: what it gave to --out")(
      "once", po::bool_switch(&wanted.once),
      "print it and stop, as where standard output is no terminal; else it is shown anew every second until the run "
      "ends")("help", "this text");
  po::variables_map values;
  parse_arguments(arguments, options, {"run"}, "ecl top", values);
  po::notify(values);
  if (values.count("help")) {
    std::cout << "ecl top RUN [--once]: how far the nodes of a run are, from another terminal\n\n" << options;
    return std::nullopt;
  }
  if (wanted.run.empty()) throw Error("ecl top needs the directory of a run, as in ecl top runs/a");
  return wanted;
}

/// What a run says of itself from outside.
struct Look {
  Json status;       ///< null: it has not begun to train
  double age_s = 0;  ///< of status.json
  bool locked = false;

  /// Nobody is at work there, or what is shows nothing yet.
  bool idle() const { return status.is_null() && !locked; }
};

Look look_at(const std::string& run) {
  Look look;
  const std::string path = run + "/status.json";
  std::error_code error;
  const auto written = fs::last_write_time(path, error);
  std::ifstream file(path);
  look.locked = RunLock::held(run);
  if (error || !file) return look;
  look.age_s = std::chrono::duration<double>(fs::file_time_type::clock::now() - written).count();
  look.status = Json::parse(std::string(std::istreambuf_iterator<char>(file), {}), nullptr, false);
  if (!look.status.is_object()) throw Error("'" + path + "' is damaged: it is no JSON object", Exit::io);
  return look;
}

template <class... Values>
std::string text(const char* format, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, format, values...);
  return line;
}

/// The value as `format` shows it; `-` for null, or where it is missing.
std::string shown(const Json& object, const char* key, const char* format) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? "-" : text(format, found->get<double>());
}

/// The process that keeps status.json is gone, without having said that the run ended; its number may be another's.
bool is_dead(const Json& status) {
  if (status.at("state") != "running" || status.at("host") != host_name()) return false;
  const std::uint64_t started = process_started(status.at("pid").get<std::int64_t>());
  const auto told = status.find("pid_started");  // not in files of before
  return started == 0 || (told != status.end() && told->get<std::uint64_t>() != started);
}

/// Its rank 0 is gone, and processes are at work: they read its data to go on, or are the ranks that live. status.json
/// is of before.
bool is_busy(const Look& look) {
  return look.locked && (look.status.at("state") == "preempted" || is_dead(look.status));
}

bool is_over(const Look& look) {
  if (look.status.is_null() || is_busy(look)) return false;
  return look.status.at("state") != "running" || is_dead(look.status);
}

/// Whole ones, of the steps that are to be made: 100 is all of them.
double percent(double made, double steps) { return steps > 0 ? std::floor(100 * made / steps) : 0; }

/// Of the steps of all nodes, those that have died aside, as far as they have told.
double percent_done(const Json& status) {
  double made = 0, nodes = 0;
  for (const Json& node : status.at("by_node"))
    if (!node.at("died").get<bool>()) made += node.at("step").is_null() ? 0 : node.at("step").get<double>(), ++nodes;
  return percent(made, nodes * status.at("steps").get<double>());
}

std::string headline(const std::string& run, const Look& look) {
  const Json& status = look.status;
  const std::string state = status.at("state");
  std::string line = run + ": " + (is_dead(status) ? "killed" : state);
  if (is_busy(look)) line += ", but processes are at work there (it is about to go on, or without rank 0)";
  line += text(", %.0f %% of %llu steps, epoch %.1f, %s of training", percent_done(status),
               status.at("steps").get<unsigned long long>(), status.at("epoch").get<double>(),
               duration_text(status.at("seconds").get<double>()).c_str());
  if (!is_over(look) && !is_busy(look) && look.age_s > kOld_s)
    line += "; no news for " + duration_text(look.age_s) + ": is process " +
            std::to_string(status.at("pid").get<long>()) + " on " + status.at("host").get<std::string>() + " stopped?";
  return line;
}

std::string measures(const Json& status) {
  return "accuracy so far: nodes' mean " + shown(status, "accuracy", "%.2f %%") + ", average model " +
         shown(status, "accuracy_consensus", "%.2f %%") + "; consensus error " +
         shown(status, "consensus_error", "%.2e");
}

std::string row(const Json& node, double steps, bool over) {
  std::string line =
      text("%5d %10s %6s %9s %9s", node.at("node").get<int>(), shown(node, "step", "%.0f").c_str(),
           node.at("step").is_null() ? "-" : text("%.0f %%", percent(node.at("step").get<double>(), steps)).c_str(),
           shown(node, "steps_per_s", "%.1f").c_str(), shown(node, "accuracy", "%.2f").c_str());
  if (node.at("died").get<bool>()) return line + "  died";
  if (over) return line;
  if (!node.at("told_s_ago").is_null() && node.at("told_s_ago").get<double>() > kOld_s)
    return line + "  has said nothing for " + duration_text(node.at("told_s_ago").get<double>()) + ": is it stopped?";
  if (node.at("message_age_s").is_null()) return line;
  line += text("  %.1f s, from %d", node.at("message_age_s").get<double>(), node.at("message_from").get<int>());
  if (node.at("neighbour_silent").get<bool>()) line += ": silent";
  return line;
}

/// The slowest first where not all fit into `most` lines.
Lines table(const Json& status, std::size_t most, bool over) {
  std::vector<Json> nodes = status.at("by_node");
  const std::size_t all = nodes.size();
  if (all > most) {
    std::ranges::stable_sort(
        nodes, {}, [](const Json& node) { return node.at("step").is_null() ? -1 : node.at("step").get<double>(); });
    nodes.resize(most - 1);
  }
  Lines lines = {" node       step   done   steps/s  accuracy" +
                 std::string(over ? "" : "  oldest news of a neighbour")};
  for (const Json& node : nodes) lines.push_back(row(node, status.at("steps").get<double>(), over));
  if (all > most) lines.push_back("  ... and " + std::to_string(all - nodes.size()) + " that are farther");
  return lines;
}

/// Of a run that is over; empty where there is nothing to say. One that was killed may have made its first checkpoint
/// after its last status.json.
std::string way_on(const std::string& run, const Json& status) {
  std::error_code error;
  const bool checkpoint = !status.at("checkpoint").is_null() || fs::exists(run + "/checkpoints/latest", error);
  const bool resume = !status.at("resume").is_null();
  if (resume && checkpoint) return "to go on: " + status.at("resume").get<std::string>();
  if (resume && status.at("state") == "running")
    return "there is no checkpoint to go on from; to begin anew: " + status.at("resume").get<std::string>();
  return status.at("state") == "partial" && !checkpoint ? "there is no checkpoint to go on from" : "";
}

Lines lines_of(const std::string& run, const Look& look, std::size_t most_nodes) {
  if (look.status.is_null()) return {run + ": the run has not begun to train, or it ended before"};
  const Json& status = look.status;
  try {
    const bool over = is_over(look);
    Lines lines = {headline(run, look), measures(status)};
    if (!status.at("exchange").is_null()) lines.push_back("exchange: " + status.at("exchange").get<std::string>());
    for (std::string& line : table(status, most_nodes, over)) lines.push_back(std::move(line));
    if (over)
      if (std::string way = way_on(run, status); !way.empty()) lines.push_back(std::move(way));
    return lines;
  } catch (const Json::exception&) {
    throw Error("'" + run + "/status.json' has not what ecl writes there; was the run made by another version?",
                Exit::io);
  }
}

/// Shows the lines where those before were.
class Screen {
 public:
  void show(const Lines& lines) {
    winsize size{};
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    std::string all = shown_ > 0 ? text("\033[%zuA\r\033[J", shown_) : std::string();
    for (const std::string& line : lines) (all += known ? line.substr(0, size.ws_col) : line) += '\n';
    std::cout << all << std::flush;
    shown_ = lines.size();
  }
  /// Of nodes: the others stand above and below.
  static std::size_t room() {
    constexpr std::size_t kOthers = 6;
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row <= kOthers + 2) return 20;
    return size.ws_row - kOthers;
  }

 private:
  std::size_t shown_ = 0;  ///< lines
};

}  // namespace

void top_command(const std::vector<std::string>& arguments) {
  const auto wanted = read_top_options(arguments);
  if (!wanted) return;
  begun_run(wanted->run);
  if (wanted->once || isatty(STDOUT_FILENO) == 0) {
    for (const std::string& line : lines_of(wanted->run, look_at(wanted->run), SIZE_MAX)) std::cout << line << '\n';
    return;
  }
  int idle = 0;  // looks, one after the other
  for (Screen screen;; std::this_thread::sleep_for(kLook)) {
    const Look look = look_at(wanted->run);
    screen.show(lines_of(wanted->run, look, Screen::room()));
    idle = look.idle() ? idle + 1 : 0;
    if (is_over(look) || idle == kIdleLooks || !std::cout) return;
  }
}

}  // namespace ecl
