#include "ecl/run/directory/events.hpp"

#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>

#include "ecl/base/files.hpp"
#include "ecl/base/text_lines.hpp"

namespace ecl {

static constexpr int kColumns = 4;

static std::string path_in(const std::string& directory) { return directory + "/events.csv"; }

void begin_events(const std::string& directory, double seconds) {
  std::string kept = "time_s,node,event,peer\n";
  std::ifstream before(path_in(directory));
  for (std::string line; std::getline(before, line);)
    if (const auto time_s = parse_number(line.substr(0, line.find(',')));
        time_s && *time_s <= seconds && std::count(line.begin(), line.end(), ',') == kColumns - 1)
      kept += line + '\n';
  write_atomically(path_in(directory), kept);
}

void note_event(const std::string& directory, const Event& event) {
  const int file = directory.empty() ? -1 : open(path_in(directory).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (file < 0) return;
  char line[128];
  const int length =
      std::snprintf(line, sizeof line, "%.3f,%d,%s,%d\n", event.time_s, event.node, event.what.c_str(), event.peer);
  [[maybe_unused]] const auto written = write(file, line, length);
  close(file);
}

}  // namespace ecl
