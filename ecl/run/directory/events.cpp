#include "ecl/run/directory/events.hpp"

#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

#include "ecl/base/files.hpp"

namespace ecl {

static std::string path_in(const std::string& directory) { return directory + "/events.csv"; }

void begin_events(const std::string& directory) { write_atomically(path_in(directory), "time_s,node,event,peer\n"); }

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
