#pragma once

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <spawn.h>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include "tests/support/files.hpp"

/// Runs a command line as a user would, and keeps what it said.
namespace ecl::test {

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// Splits at blanks: no quoting, so no argument of a test holds a blank.
inline std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

struct Outcome {
  int exit_code = -1;  ///< 128 + number if a signal ended it
  bool timed_out = false;
  double peak_megabytes = 0;  ///< of the process started, not of its children
  std::string out, err;
};

/// A process that runs: output into files, input from nowhere, a process group of its own.
class Process {
 public:
  explicit Process(const std::vector<std::string>& words) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    constexpr int kWrite = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, (scratch_ / "out").c_str(), kWrite, 0600);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, (scratch_ / "err").c_str(), kWrite, 0600);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const int error = posix_spawnp(&id_, arguments[0], &files, &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    if (error != 0) throw std::system_error(error, std::generic_category(), words[0]);
  }
  ~Process() {
    if (running_) kill(-id_, SIGKILL), wait4(id_, nullptr, 0, nullptr);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t id() const { return id_; }
  void signal(int number) const { kill(id_, number); }
  std::string out() const { return read_file(scratch_ / "out"); }
  std::string err() const { return read_file(scratch_ / "err"); }

  /// Looks every few milliseconds; false if `limit_s` went by, or the process ended, without `holds`.
  bool wait_until(const std::function<bool()>& holds, double limit_s) {
    for (const auto end = deadline(limit_s); std::chrono::steady_clock::now() < end && !ended(); pause())
      if (holds()) return true;
    return false;
  }

  /// The end of it: after `limit_s` by force, with all it started.
  Outcome wait(double limit_s) {
    Outcome outcome;
    for (const auto end = deadline(limit_s); !ended(); pause()) {
      if (std::chrono::steady_clock::now() < end) continue;
      outcome.timed_out = true;
      kill(-id_, SIGKILL);
    }
    outcome.exit_code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
    outcome.peak_megabytes = static_cast<double>(usage_.ru_maxrss) / 1024;
    outcome.out = out(), outcome.err = err();
    return outcome;
  }

 private:
  /// CMake multiplies the time limits of whole tests by the same factor.
  static std::chrono::steady_clock::time_point deadline(double limit_s) {
    const std::chrono::duration<double, std::milli> limit(1000 * limit_s * ECL_TEST_TIME_FACTOR);
    return std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::milliseconds>(limit);
  }
  static void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }

  bool ended() {
    if (running_ && wait4(id_, &status_, WNOHANG, &usage_) == id_) running_ = false;
    return !running_;
  }

  Scratch scratch_;
  pid_t id_ = -1;
  int status_ = 0;
  rusage usage_{};
  bool running_ = true;
};

inline Outcome run(const std::vector<std::string>& words, double limit_s = 90) { return Process(words).wait(limit_s); }

/// `ecl OPTIONS`.
inline std::vector<std::string> tool(const std::string& options) { return words_of(ECL_TOOL " " + options); }
/// `mpirun -n RANKS ecl OPTIONS`.
inline std::vector<std::string> tool_on(int ranks, const std::string& options) {
  return words_of(ECL_MPIEXEC " -n " + std::to_string(ranks) + " " ECL_TOOL " " + options);
}

inline std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

}  // namespace ecl::test
