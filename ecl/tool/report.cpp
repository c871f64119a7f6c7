#include "ecl/tool/report.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ecl/base/check.hpp"

namespace ecl {
namespace {

namespace fs = std::filesystem;

/// What is missing is one line. The package itself is imported last: it needs NumPy.
constexpr const char* kStart = R"(
import sys
sys.path[:] = filter(None, sys.path)  # not what lies in the current directory
try:
    import numpy, jinja2
    from ecl._report._command import main
except ImportError as error:
    of = {"numpy": "python3-numpy", "jinja2": "python3-jinja2", "ecl": "python3-ecl"}.get(error.name)
    sys.exit(f"ecl: report wants Python's {error.name}, which {sys.executable} has not; on Debian: apt-get install {of}"
             if of else f"ecl: report: {error}")
sys.exit(main(sys.argv[1:]))
)";

constexpr const char* kHelp = R"(ecl report RUN... [options]
How runs went, as one HTML page that needs nothing else; several side by side.
A RUN is the directory of a run (its --out), ended or not.

  --out FILE               the page; else report.html in RUN, of several here
  --watch                  renew the page while a run goes on
  --tensorboard DIR        instead of a page, or beside --out: event files, for
                           tensorboard --logdir DIR
)";

/// Where the package of this program lies: of a wheel, of an installation, of a build tree; empty: Python knows.
std::string package_path() {
  std::error_code error;
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& path :
       {here.parent_path(), here.parent_path() / "lib/python3/dist-packages", here.parent_path() / "ecl/python"})
    if (fs::exists(path / "ecl/_report/__init__.py", error)) return path;
  return "";
}

/// What the package asks of the tool and the library it asks of this program's, of whatever build.
void use_this_build() {
  std::error_code error;
  const fs::path tool = fs::read_symlink("/proc/self/exe", error), library = tool.parent_path() / "libecl.so";
  if (tool.filename() != "ecl") return;  // the tool in a process of somebody else's
  setenv("ECL_TOOL", tool.c_str(), 0);
  if (fs::exists(library, error)) setenv("ECL_LIBRARY", library.c_str(), 0);
}

}  // namespace

int report_command(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments)
    if (argument == "-h" || argument == "--help") {
      std::cout << kHelp;
      return 0;
    }
  const std::string package = package_path(), debians = "/usr/bin/python3";
  const char* before = std::getenv("PYTHONPATH");
  std::string path = package;
  if (before && *before) path.append(":").append(before);
  // Debian's comes first: Debian's packages are its.
  std::vector<std::string> words = {access(debians.c_str(), X_OK) == 0 ? debians : "python3", "-B", "-c", kStart};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::cout.flush();
  const pid_t parent = getpid(), child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);  // --watch ends with this program
    if (getppid() != parent) _exit(1);
    if (!package.empty()) setenv("PYTHONPATH", path.c_str(), 1);
    use_this_build();
    execvp(argv[0], argv.data());
    std::cerr << "ecl: report needs python3: " << std::strerror(errno)
              << "; on Debian: apt-get install python3-numpy python3-jinja2" << std::endl;
    _exit(static_cast<int>(Exit::usage));
  }
  int status = 0;
  while (child > 0 && waitpid(child, &status, 0) < 0)
    if (errno != EINTR) break;
  if (child < 0) throw Error(std::string("ecl report cannot start Python: ") + std::strerror(errno), Exit::io);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace ecl
