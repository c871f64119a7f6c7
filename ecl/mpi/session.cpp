#include "ecl/mpi/session.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <mpi.h>
#include <sched.h>
#include <string>
#include <sys/ioctl.h>
#include <thread>
#include <unistd.h>

#include "ecl/base/check.hpp"
#include "ecl/mpi/comm.hpp"
#include "ecl/mpi/error.hpp"

namespace ecl::mpi {
namespace {

int integer_from_environment(const char* name, int fallback) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : fallback;
}

/// The variable in which a launcher tells a process its rank; null without a launcher. A Slurm batch script, and a
/// shell that srun started, have a SLURM_PROCID, too: what counts is that it is one of several. Without a launcher
/// Open MPI itself sets PMIX_RANK, for the process and for what that starts.
const char* rank_variable() {
  if (std::getenv("OMPI_COMM_WORLD_RANK")) return "OMPI_COMM_WORLD_RANK";
  const char* started_by = std::getenv("OMPI_MCA_ess");
  if (started_by && started_by == std::string("singleton")) return nullptr;
  for (const char* name : {"PMIX_RANK", "PMI_RANK"})
    if (std::getenv(name)) return name;
  return integer_from_environment("SLURM_STEP_NUM_TASKS", 1) > 1 ? "SLURM_PROCID" : nullptr;
}

/// Who started this process, and the variable in which it tells how many ranks it started.
struct Launcher {
  const char* name;
  const char* ranks;
};
constexpr Launcher kLaunchers[] = {{"an mpirun of Open MPI", "OMPI_COMM_WORLD_SIZE"},  // the innermost first
                                   {"an mpiexec of MPICH, or srun --mpi=pmi2,", "PMI_SIZE"},
                                   {"srun", "SLURM_STEP_NUM_TASKS"}};

/// Cores that the ranks of this host may use together. A rank that mpirun bound sees only its own: then all count.
int usable_cores() {
  if (std::getenv("OMPI_MCA_orte_bound_at_launch")) return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/// 0 if there is no such process.
pid_t parent_of(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("PPid:", 0) == 0) return std::atoi(line.c_str() + 5);
  return 0;
}

void prepare_environment() {
  constexpr int kKeepTheUsers = 0;
  // osc/sm serves windows on one host: 5 to 30 times less per small operation than osc/rdma, and none of its faults.
  setenv("OMPI_MCA_osc_rdma_priority", "50", kKeepTheUsers);
  // Debian switches off the only component that makes windows over TCP.
  setenv("OMPI_MCA_osc", "^ucx", kKeepTheUsers);
  setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", kKeepTheUsers);
  // Without mpirun there is nothing to launch: do not ask for ssh.
  if (!std::getenv("OMPI_COMM_WORLD_SIZE")) setenv("OMPI_MCA_plm", "isolated", kKeepTheUsers);
  // A rank that waits inside MPI gives its core away: without this, ranks that share one wait for each other's slices.
  setenv("OMPI_MCA_mpi_yield_when_idle", "1", kKeepTheUsers);
}

/// Waits, two seconds at most, until the launcher has read what this process wrote: mpirun drops what it has not read
/// yet of all ranks as soon as one of them ends with a code other than 0.
void hand_over_output() {
  std::cout.flush();
  for (const int file : {STDOUT_FILENO, STDERR_FILENO}) {
    int unread = 0;
    for (int looks = 0; looks < 2000 && ioctl(file, FIONREAD, &unread) == 0 && unread > 0; ++looks)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// Of the launcher that started this process; null without one, or where it does not tell.
const Launcher* told_launcher() {
  const auto told =
      std::ranges::find_if(kLaunchers, [](const Launcher& launcher) { return std::getenv(launcher.ranks); });
  return told == std::end(kLaunchers) ? nullptr : told;
}

}  // namespace

bool runs() {
  int started = 0;
  check(MPI_Initialized(&started), "MPI_Initialized");
  if (has_ended()) throw ecl::Error("MPI has ended in this process, and cannot be started again");
  return started != 0;
}

Session::Session() : guest_(runs()), exceptions_(std::uncaught_exceptions()) {
  if (guest_) return;
  prepare_environment();
  int provided = 0;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
  check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
}

Session::~Session() {
  if (guest_) return;
  if (launched()) hand_over_output();
  if (std::uncaught_exceptions() > exceptions_) MPI_Abort(MPI_COMM_WORLD, 1);
  MPI_Finalize();
}

void require_turns_of_threads(const std::string& who) {
  int level = MPI_THREAD_SINGLE;
  check(MPI_Query_thread(&level), "MPI_Query_thread");
  if (level >= MPI_THREAD_SERIALIZED) return;
  const std::string started = level == MPI_THREAD_FUNNELED ? "MPI_THREAD_FUNNELED" : "MPI_THREAD_SINGLE";
  throw ecl::Error(who + " needs an MPI that two threads may use in turn, and this one was started with " + started +
                   "; let ecl start it, or start it with MPI_THREAD_MULTIPLE (mpi4py does, unless "
                   "mpi4py.rc.thread_level says otherwise)");
}

void before_end(void (*last)()) {
  const auto call = [](MPI_Comm, int, void* function, void*) {
    reinterpret_cast<void (*)()>(function)();
    return MPI_SUCCESS;
  };
  int key = MPI_KEYVAL_INVALID;  // MPI deletes what is attached to MPI_COMM_SELF first of all when it ends
  check(MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, call, &key, nullptr), "MPI_Comm_create_keyval");
  check(MPI_Comm_set_attr(MPI_COMM_SELF, key, reinterpret_cast<void*>(last)), "MPI_Comm_set_attr");
  check(MPI_Comm_free_keyval(&key), "MPI_Comm_free_keyval");
}

bool has_ended() {
  int ended = 0;
  check(MPI_Finalized(&ended), "MPI_Finalized");
  return ended != 0;
}

Comm comm_of_fortran(int handle) {
  const MPI_Comm comm = MPI_Comm_f2c(handle);
  int joins_two = 0;
  if (comm != MPI_COMM_NULL) check(MPI_Comm_test_inter(comm, &joins_two), "MPI_Comm_test_inter");
  if (comm == MPI_COMM_NULL || joins_two)
    throw ecl::Error("the communicator handed over is " + std::string(joins_two ? "one of two groups" : "none") +
                     "; hand over one of a group of ranks, as MPI_COMM_WORLD is");
  return Comm(comm);
}

void abort_job(int code) {
  if (launched()) hand_over_output();
  MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

double ranks_per_core() {
  const int ranks =
      integer_from_environment("OMPI_COMM_WORLD_LOCAL_SIZE", integer_from_environment("MPI_LOCALNRANKS", 1));
  return static_cast<double>(ranks) / usable_cores();
}

int launch_rank() { return launched() ? integer_from_environment(rank_variable(), 0) : 0; }
bool launched() { return rank_variable() != nullptr; }

int launched_ranks() {
  const Launcher* launcher = launched() ? told_launcher() : nullptr;
  return launcher ? integer_from_environment(launcher->ranks, 1) : 1;
}

void check_joined(const Comm& world) {
  const Launcher* told = told_launcher();
  if (!told || world.size() > 1) return;
  const int ranks = integer_from_environment(told->ranks, 1);
  if (ranks > 1)
    throw ecl::Error(std::string(told->name) + " started " + std::to_string(ranks) +
                     " ranks, but each is alone: ecl was built with " + library_version() +
                     ", which did not hear of the others. Start them by that MPI's own mpirun, or by srun with an "
                     "interface that it knows (srun --mpi=list; Open MPI: --mpi=pmix, MPICH: --mpi=pmi2)");
}

bool stderr_is_terminal() {
  pid_t launcher = getpid();
  if (std::getenv("OMPI_COMM_WORLD_SIZE"))
    launcher = getppid();
  else if (std::getenv("PMI_RANK"))
    launcher = parent_of(getppid());  // MPICH: a proxy stands between
  const std::string launchers_stderr = "/proc/" + std::to_string(launcher) + "/fd/2";
  const int file = open(launchers_stderr.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK);
  if (file < 0) return false;
  const bool terminal = isatty(file);
  close(file);
  return terminal;
}

std::string library_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  std::string first(text, length);
  first = first.substr(0, first.find_first_of(",\n"));
  std::ranges::replace(first, '\t', ' ');
  return first;
}

}  // namespace ecl::mpi
