#pragma once

#include <stdexcept>
#include <string>

/// The two kinds of failure that are not MPI's: a user's mistake (`Error`) and a bug in ecl (`ECL_CHECK`).
namespace ecl {

/// Exit codes of the tool. A promise to job scripts: never renumber.
enum class Exit : int {
  ok = 0,
  internal = 1,
  usage = 2,  ///< an option, a name or a file that the user gave is wrong
  rank_lost = 3,
  diverged = 4,
  io = 5,         ///< reading or writing failed, or a file's content is damaged
  preempted = 75  ///< stopped by a signal, in good order
};

/// A mistake that the user can mend. The message is one line: what is wrong, where, and what to do instead. Control
/// characters in it, which come from what the user wrote, become '?'.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, Exit code = Exit::usage);
  Exit code() const noexcept { return code_; }

 private:
  Exit code_;
};

[[noreturn]] void check_failed(const char* expression, const char* file, int line);

}  // namespace ecl

/// Aborts with file and line when a promise of ecl's own code is broken. On in Release: keep it out of O(d) loops.
#define ECL_CHECK(expression) \
  ((expression) ? static_cast<void>(0) : ::ecl::check_failed(#expression, __FILE__, __LINE__))
