#pragma once

#include <functional>
#include <string>
#include <vector>

namespace ecl {

/// Told in one line why a command failed. `first`: this process speaks for all ranks, which are told the same.
using Complain = std::function<void(const std::string& line, bool first)>;

/// "ecl: " and the line, on standard error; in one piece: mpirun has words of its own for a failure, and would put them
/// in between.
void say(const std::string& line);

/// The whole command line tool, without the program's name: `{"simulate", "--nodes", "4"}`. Returns the exit code.
/// Throws nothing. MPI that runs already is taken as it is; else it is started where a command needs it, and ended.
int run_tool(const std::vector<std::string>& arguments, const Complain& complain);

}  // namespace ecl
