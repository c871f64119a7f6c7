#pragma once

#include <string>

namespace ecl::mpi {

class Comm;

/// MPI from here to the end of the scope, set up so that the user never types an MCA parameter.
///
/// The constructor sets what Open MPI reads at start, unless the user has set it: the shared-memory window component on
/// one host, a component that works over TCP between hosts, no copying through the kernel (which containers forbid,
/// loudly), and yielding while it waits. Then MPI_Init_thread(MPI_THREAD_SERIALIZED): threads of ecl's use it in turn.
///
/// Where MPI runs already, as a host language's binding started it, it is taken as it is and left running at the end.
///
/// The destructor waits until the launcher has read what this rank printed, then finalises, after which ranks may end
/// with any exit code and nothing that was said is lost. While an exception unwinds it aborts the job, because the
/// other ranks may be inside a collective call that this rank will never join.
class Session {
 public:
  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  bool guest_;  ///< somebody else started MPI
  int exceptions_;
};

/// MPI has ended in this process, by whomever: none of its functions may be called any more.
bool has_ended();

/// Throws ecl::Error, in the name of `who` needs it, unless several threads may use MPI, one at a time.
void require_turns_of_threads(const std::string& who);
/// `last` is called when MPI ends, by whomever, while all its functions may still be called.
void before_end(void (*last)());

/// A duplicate of the communicator whose Fortran handle this is: the form in which any language hands one over.
/// Collective. Throws ecl::Error for a handle that is none, or joins two groups.
Comm comm_of_fortran(int handle);

/// Ends the job at once, on all ranks, but not before the launcher has read what this rank printed.
[[noreturn]] void abort_job(int code);

/// The rank of this process before MPI_Init, as the launcher tells it; 0 without a launcher.
int launch_rank();
/// Whether a launcher, as mpirun, started this process.
bool launched();
/// So many processes, as the launcher tells; 1 without one.
int launched_ranks();
/// Whether MPI was started in this process, by whomever. Throws ecl::Error if it has ended.
bool runs();
/// Throws ecl::Error where a launcher started several ranks and each of them is alone in `world`: another MPI's mpirun
/// did, or an srun without this MPI's interface. Each would train by itself and call that the result.
void check_joined(const Comm& world);

/// Ranks on this host for each core that they may use.
double ranks_per_core();
inline bool oversubscribed() { return ranks_per_core() > 1; }

/// Whether what rank 0 writes to stderr ends on a terminal. mpirun stands between: its own stderr is what counts.
bool stderr_is_terminal();

/// "Open MPI 4.1.4" or the like, for reports.
std::string library_version();

}  // namespace ecl::mpi
