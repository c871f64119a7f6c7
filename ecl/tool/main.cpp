#include <fcntl.h>
#include <string>
#include <unistd.h>

#include "ecl/tool/run_tool.hpp"

namespace {

/// The three standard files are open from here on: where one is closed, the next file that is opened, results perhaps,
/// would take its place. What is then written to stdout fails, and is found in the end.
void open_standard_files() {
  for (const int handle : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(handle, F_GETFD) == -1) open("/dev/null", handle == STDERR_FILENO ? O_WRONLY : O_RDONLY);
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_files();
  return ecl::run_tool({argv + 1, argv + argc}, [](const std::string& line, bool first) {
    if (first) ecl::say(line);
  });
}
