#include "ecl/tool/run_tool.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/base/host.hpp"
#include "ecl/base/memory.hpp"
#include "ecl/base/params.hpp"
#include "ecl/base/text_lines.hpp"
#include "ecl/mpi/comm.hpp"
#include "ecl/mpi/session.hpp"
#include "ecl/run/run.hpp"
#include "ecl/tool/about.hpp"
#include "ecl/tool/convert.hpp"
#include "ecl/tool/doctor.hpp"
#include "ecl/tool/export.hpp"
#include "ecl/tool/inspect.hpp"
#include "ecl/tool/options.hpp"
#include "ecl/tool/predict.hpp"
#include "ecl/tool/report.hpp"
#include "ecl/tool/top.hpp"

namespace {

using ecl::Complain;
using ecl::Exit;
using Arguments = std::vector<std::string>;

constexpr const char* kHelp =
    R"(ecl: asynchronous decentralised training by edge-consensus learning

    ecl train [options]      train over MPI, one node per rank: mpirun -n 8 ecl train ...
    ecl simulate [options]   the same experiment in one process, in virtual time
    ecl replay DIR           repeats, in one process, the run that ecl train --record left in DIR
    ecl doctor               what this MPI is and how the exchange does here: mpirun -n 8 ecl doctor
    ecl list                 every solver, topology, model, data set and partition, with its parameters
    ecl topology NAME -n N   degree, diameter, spectral gap of a graph; --dot FILE draws it
    ecl data [options]       who holds what: samples and classes per node
    ecl convert [options]    a table larger than memory becomes a folder to train from
    ecl top RUN              how far a run is, node by node, from another terminal
    ecl predict RUN [...]    class and probabilities of new rows, by a run's model
    ecl evaluate RUN [...]   how good a run's model is, on its test samples or on others
    ecl export RUN [...]     a run's model as a file for other programs: ONNX, NumPy
    ecl report RUN...        how runs went, as one page to look at; --watch while they go on
    ecl --version            what this ecl is, and how it was built

ecl COMMAND --help tells a command's options.
)";

std::string no_memory(const std::string& what) {
  try {
    ecl::out_of_memory(what);
  } catch (const ecl::Error& error) {
    return error.what();
  }
}

Exit train(const Arguments& arguments, const std::string& command_line, const Complain& complain) {
  ecl::Request request;
  std::optional<ecl::Error> mistake;
  try {
    request = ecl::read_options("train", arguments);
  } catch (const ecl::Error& error) {
    if (!ecl::mpi::launched()) throw;
    mistake = error;
  }
  if (!request.spec.resume) request.spec.command = command_line;
  const bool first = ecl::mpi::launch_rank() == 0;
  if (request.help || request.print_config) {
    if (first && request.help) ecl::print_options(std::cout, "train");
    if (first && request.print_config) std::cout << request.spec.config;
    return Exit::ok;
  }
  const ecl::mpi::Session session;
  ecl::catch_stop_signals();
  const ecl::mpi::Comm world = ecl::mpi::Comm::world();
  try {
    world.together([&] {
      if (!mistake) return ecl::mpi::check_joined(world);
      if (world.rank() == 0) throw ecl::Error(*mistake);
      throw ecl::Error("rank " + std::to_string(world.rank()) + " on " + ecl::host_name() + ": " + mistake->what(),
                       mistake->code());
    });
    return ecl::run_rma(world, request.spec);
  } catch (const ecl::Error& error) {  // every rank throws the same one: say it once, end in good order
    complain(error.what(), world.rank() == 0 && first);
    return error.code();
  } catch (const std::bad_alloc&) {  // this rank alone
    ecl::say(no_memory("rank " + std::to_string(world.rank()) + ": the run"));
    world.abort(static_cast<int>(Exit::io));
  } catch (const std::exception& error) {  // this rank alone: the others wait for it, whoever has started MPI
    complain("rank " + std::to_string(world.rank()) + ": internal error: " + error.what(), true);
    if (world.size() > 1) world.abort(static_cast<int>(Exit::internal));
    throw;
  }
}

/// Each of several would do all of it, into the same directory. Ranks of a program that has started MPI, as Python's,
/// may each want one of their own.
void require_one_process(const std::string& command) {
  if (ecl::mpi::launched_ranks() > 1 && !ecl::mpi::runs())
    throw ecl::Error("ecl " + command + " is one process: leave out mpirun" +
                     (command == "simulate" ? ", or use ecl train" : ""));
}

Exit simulate(const Arguments& arguments, const std::string& command_line) {
  ecl::Request request = ecl::read_options("simulate", arguments);
  if (!request.spec.resume) request.spec.command = command_line;
  if (request.help || request.print_config) {
    if (request.help) ecl::print_options(std::cout, "simulate");
    if (request.print_config) std::cout << request.spec.config;
    return Exit::ok;
  }
  require_one_process("simulate");
  ecl::catch_stop_signals();
  return ecl::run_sim(request.spec);
}

Exit replay(const Arguments& arguments, const std::string& command_line) {
  require_one_process("replay");
  std::optional<ecl::ReplayRequest> request = ecl::read_replay(arguments, std::cout);
  if (!request) return Exit::ok;
  request->spec.command = command_line;
  return ecl::run_replay(request->spec, request->directory);
}

Exit data(const Arguments& arguments, const Complain& complain) {
  if (!ecl::mpi::launched()) return ecl::data_command(arguments, nullptr), Exit::ok;
  const ecl::mpi::Session session;
  const ecl::mpi::Comm world = ecl::mpi::Comm::world();
  try {
    ecl::mpi::check_joined(world);
    ecl::data_command(arguments, &world);
  } catch (const ecl::Error& error) {  // every rank throws the same one
    complain(error.what(), world.rank() == 0 && ecl::mpi::launch_rank() == 0);
    return error.code();
  }
  return Exit::ok;
}

Exit doctor(const Arguments& arguments) {
  if (arguments == Arguments{"--help"}) {
    if (ecl::mpi::launch_rank() == 0)
      std::cout << "ecl doctor: what this MPI is and how the exchange does here.   mpirun -n 8 ecl doctor\n\n"
                   "It takes no options: start it as you start ecl train. A line a check: ok, or ACT and what to do.\n";
    return Exit::ok;
  }
  if (!arguments.empty()) throw ecl::Error("ecl doctor takes no options; start it as you start ecl train");
  const ecl::mpi::Session session;
  return ecl::run_doctor(ecl::mpi::Comm::world());
}

Exit run(const Arguments& arguments, const Complain& complain) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "help") {
    if (ecl::mpi::launch_rank() == 0) std::cout << kHelp;
    return arguments.empty() ? Exit::usage : Exit::ok;
  }
  const std::string& command = arguments[0];
  const Arguments rest(arguments.begin() + 1, arguments.end());
  std::string command_line = "ecl";
  for (const std::string& argument : arguments) (command_line += ' ') += ecl::shell_quoted(argument);
  if (command == "train") return train(rest, command_line, complain);
  if (command == "simulate") return simulate(rest, command_line);
  if (command == "doctor") return doctor(rest);
  if (command == "replay") return replay(rest, command_line);
  if (command == "--version") {
    ecl::print_about(std::cout);
  } else if (command == "list") {
    ecl::list_command(rest);
  } else if (command == "topology") {
    ecl::topology_command(rest);
  } else if (command == "convert") {
    if (ecl::mpi::launched())
      throw ecl::Error("ecl convert works by itself: start it without mpirun, where the file is");
    ecl::convert_command(rest);
  } else if (command == "predict" || command == "evaluate" || command == "export" || command == "top") {
    if (ecl::mpi::launched()) throw ecl::Error("ecl " + command + " works by itself: start it without mpirun");
    const auto use = command == "predict"    ? ecl::predict_command
                     : command == "evaluate" ? ecl::evaluate_command
                     : command == "top"      ? ecl::top_command
                                             : ecl::export_command;
    use(rest);
  } else if (command == "report") {
    if (ecl::mpi::launched()) throw ecl::Error("ecl report works by itself: start it without mpirun");
    return static_cast<Exit>(ecl::report_command(rest));
  } else if (command == "data") {
    return data(rest, complain);
  } else {
    const std::vector<std::string> known = {"train",   "simulate", "replay",   "doctor", "list",   "topology", "data",
                                            "convert", "predict",  "evaluate", "export", "report", "top"};
    throw ecl::Error("unknown command '" + command + "'" + ecl::suggestion(command, known) + " (see ecl --help)");
  }
  return Exit::ok;
}

/// A run whose results could not be printed has not done what it was asked for.
Exit printed(Exit code, const Complain& complain) {
  errno = 0;
  std::cout.flush();
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0 || !std::cout;
  if (!failed) return code;
  complain("cannot write to standard output" + (errno == 0 ? "" : std::string(": ") + std::strerror(errno)) +
               "; is it closed, or the disk full? Files that the run wrote are not harmed",
           true);
  return code == Exit::ok ? Exit::io : code;
}

}  // namespace

void ecl::say(const std::string& line) { std::cerr << "ecl: " + line + "\n"; }

int ecl::run_tool(const std::vector<std::string>& arguments, const Complain& complain) {
  try {
    return static_cast<int>(printed(::run(arguments, complain), complain));
  } catch (const Error& error) {  // the same on every rank, and before any has met MPI
    std::optional<mpi::Session> end_together;
    try {
      if (mpi::launched()) end_together.emplace();
    } catch (const Error&) {  // what was caught first says why MPI does not start
    }
    complain(error.what(), mpi::launch_rank() == 0);
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    complain(no_memory("the run"), true);
    return static_cast<int>(Exit::io);
  } catch (const std::exception& error) {
    complain(std::string("internal error: ") + error.what(), true);
    return static_cast<int>(Exit::internal);
  }
}
