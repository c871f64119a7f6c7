#pragma once

#include <chrono>
#include <csignal>
#include <string>
#include <sys/types.h>
#include <thread>
#include <vector>

#include "ecl/base/host.hpp"
#include "tests/support/command.hpp"

/// What mpirun started, and how to end it hard.
namespace ecl::test {

/// Process numbers of the ranks that this mpirun started, itself or through others: MPICH's proxy, emulated hosts.
inline std::vector<pid_t> ranks_of(pid_t launcher) {
  std::vector<pid_t> ranks;
  const std::string id = std::to_string(launcher);
  for (const std::string& child : words_of(read_file("/proc/" + id + "/task/" + id + "/children"))) {
    const pid_t process = std::stoi(child);
    if (read_file("/proc/" + child + "/comm") == "ecl\n") {
      ranks.push_back(process);
    } else {
      const auto beneath = ranks_of(process);
      ranks.insert(ranks.end(), beneath.begin(), beneath.end());
    }
  }
  return ranks;
}

/// The command, with all that MPI leaves on disk when it is killed in the scratch directory, to be removed with it.
inline std::vector<std::string> contained(std::vector<std::string> command, const Scratch& scratch) {
  std::vector<std::string> words = {"env"};
  for (const char* name : {"TMPDIR", "OMPI_MCA_orte_tmpdir_base", "OMPI_MCA_btl_vader_backing_directory",
                           "OMPI_MCA_osc_sm_backing_directory"})
    words.push_back(std::string(name) + "=" + scratch.path().string());
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

/// kill -9 of launcher and ranks, as when the machine is taken away. The launcher is stopped meanwhile: its death alone
/// would tell ranks that are not yet killed to write a checkpoint, that of a rank would tell the launcher. It returns
/// when the ranks are gone: a signal is not there at once.
inline void kill_job(const Process& launcher) {
  const std::vector<pid_t> ranks = ranks_of(launcher.id());
  launcher.signal(SIGSTOP);
  for (const pid_t rank : ranks) kill(rank, SIGKILL);
  launcher.signal(SIGKILL);
  for (const pid_t rank : ranks)
    while (process_started(rank) != 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

}  // namespace ecl::test
