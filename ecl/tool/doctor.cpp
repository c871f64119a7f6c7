#include "ecl/tool/doctor.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <sched.h>
#include <set>
#include <thread>
#include <unistd.h>
#include <vector>

#include "ecl/exchange/mpi_port.hpp"
#include "ecl/mpi/error.hpp"
#include "ecl/mpi/hosts.hpp"
#include "ecl/mpi/measure.hpp"
#include "ecl/mpi/session.hpp"

namespace ecl {
namespace {

constexpr std::size_t kTrialFloats = 25'000;
constexpr double kTrial_s = 1, kLongest_s = 10;  // longer where nothing came, on a machine that is busy elsewhere
constexpr std::chrono::seconds kLimit{20};       // of a check; all together take about two seconds

/// Ends the process if a check hangs: MPI may sit in a call that nobody can leave. One thread, which calls no MPI.
class Watchdog {
 public:
  explicit Watchdog(int rank) : rank_(rank), thread_([this] { watch(); }) {}
  ~Watchdog() {
    start(nullptr);
    thread_.join();
  }

  /// From now on `check` is under way; null: nothing any more.
  void start(const char* check) {
    const std::lock_guard lock(mutex_);
    check_ = check;
    ++checks_;
    changed_.notify_one();
  }

 private:
  void watch() {
    std::unique_lock lock(mutex_);
    // The others give rank 0 time to say it.
    const auto limit = rank_ == 0 ? kLimit : kLimit + std::chrono::seconds(2);
    while (check_) {
      const int now = checks_;
      if (changed_.wait_for(lock, limit, [&] { return checks_ != now; })) continue;
      if (rank_ == 0)
        std::printf("%-10s ACT   not finished within %d s: is a rank stopped, a host cut off, a firewall between?\n",
                    check_, static_cast<int>(kLimit.count()));
      std::fflush(stdout);
      std::_Exit(static_cast<int>(Exit::io));
    }
  }

  int rank_, checks_ = 0;
  const char* check_ = "start";
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
};

/// Where a rank sits.
struct Seat {
  char host[64];
  cpu_set_t cores;  ///< it may run on these
};

std::string seconds_text(double seconds) {
  char text[32];
  if (seconds < 1e-3)
    std::snprintf(text, sizeof text, "%.3g us", 1e6 * seconds);
  else
    std::snprintf(text, sizeof text, "%.3g ms", 1e3 * seconds);
  return text;
}

class Doctor {
 public:
  explicit Doctor(const mpi::Comm& comm) : comm_(comm), hosts_(comm), seats_(comm.size()), watchdog_(comm.rank()) {}

  Exit examine() {
    look(&Doctor::mpi, "MPI");
    look(&Doctor::ranks, "ranks");
    look(&Doctor::binding, "binding");
    look(&Doctor::yielding, "yielding");
    look(&Doctor::memory, "memory");
    if (comm_.size() > 1) {
      look(&Doctor::puts_here, "puts");
      if (hosts_.count() > 1) look(&Doctor::puts_between, "puts");
      look(&Doctor::exchange, "exchange");
    }
    return works_ ? Exit::ok : Exit::io;
  }

 private:
  void look(void (Doctor::*check)(), const char* name) {
    watchdog_.start(check_ = name);
    (this->*check)();
  }

  void line(bool ok, const std::string& text) const {
    if (comm_.rank() != 0 || mpi::launch_rank() != 0) return;  // ranks that are each alone are all the first
    std::printf("%-10s %s   %s\n", check_, ok ? "ok " : "ACT", text.c_str());
    std::fflush(stdout);
  }

  void mpi() { line(true, mpi::library_version()); }

  void ranks() {
    Seat mine{};
    gethostname(mine.host, sizeof mine.host - 1);
    sched_getaffinity(0, sizeof mine.cores, &mine.cores);
    comm_.gather_all(&mine, sizeof mine, seats_.data());
    try {
      mpi::check_joined(comm_);
    } catch (const Error& error) {
      works_ = false;
      return line(false, error.what());
    }
    std::string text = std::to_string(comm_.size()) + (comm_.size() == 1 ? " rank" : " ranks");
    if (comm_.size() == 1) text += ": start it under mpirun -n N to see how ranks get along";
    for (int host = 0; host < hosts_.count() && comm_.size() > 1; ++host) {
      const auto here = ranks_of(host);
      text += (host == 0 ? "; " : ", ") + std::string(seats_[here[0]].host) + ": " + std::to_string(here.size());
      const double per_core = static_cast<double>(here.size()) / static_cast<double>(cores_of(here).size());
      char ratio[48];
      std::snprintf(ratio, sizeof ratio, " on %zu core%s%s", cores_of(here).size(),
                    cores_of(here).size() == 1 ? "" : "s", per_core > 1 ? " (they take turns)" : "");
      text += ratio;
    }
    line(true, text);
  }

  void binding() {
    for (int host = 0; host < hosts_.count(); ++host) {
      const auto here = ranks_of(host);
      const std::size_t cores = cores_of(here).size(), online = sysconf(_SC_NPROCESSORS_ONLN);
      if (cores < std::min(here.size(), online)) {
        line(false, "the " + std::to_string(here.size()) + " ranks of " + seats_[here[0]].host + " are bound to " +
                        std::to_string(cores) + " of its " + std::to_string(online) +
                        " cores: give mpirun --bind-to none");
        return;
      }
    }
    line(true, "every rank has cores to run on");
  }

  /// ecl itself never waits inside MPI; but starting and ending do, and other libraries may.
  void yielding() {
    const double barrier_s = comm_.max(mpi::barrier_seconds(hosts_.here()));
    const bool quick = barrier_s < 0.01, open_mpi = mpi::library_version().starts_with("Open MPI");
    const char* advice = quick      ? ""
                         : open_mpi ? ": waiting ranks keep their core; do not set OMPI_MCA_mpi_yield_when_idle to 0"
                                    : ": this MPI keeps its core while it waits, which ecl never does inside it";
    line(quick || !open_mpi, "a barrier within a host takes " + seconds_text(barrier_s) + advice);
  }

  /// Of the host with the least for each of its ranks.
  void memory() {
    const mpi::SharedMemory memory = mpi::shared_memory();
    const double mailboxes = 6 * sizeof(float) * hosts_.here().size();  // two neighbours, three slots each
    const double floats = -comm_.max(-memory.free_bytes / mailboxes);
    char text[200];
    std::snprintf(text, sizeof text, "%s has room for the mailboxes of %.3g million parameters, on a ring%s",
                  memory.directory.c_str(), floats / 1e6, floats < 1e6 ? "; enlarge it (docker: --shm-size=1g)" : "");
    line(floats >= 1e6, std::isfinite(floats) ? text : "no limit known");
    room_ = floats * sizeof(float) > mpi::kLargePut;
  }

  void puts_here() {
    if (hosts_.here().size() > 1 && room_) puts(hosts_.here(), 1, "on a host");
  }

  void puts_between() {
    int other = 0;
    while (hosts_.host_of(other) == 0) ++other;
    if (room_) puts(comm_, other, "between hosts");
  }

  /// From rank 0 of `comm` to `target`. That they wait for the target's program is no fault where the exchange takes
  /// other ways.
  void puts(const mpi::Comm& comm, int target, const std::string& where) {
    const mpi::PutTimes times = mpi::measure_puts(comm, 0, target);
    if (!times.possible) return line(true, where + ": this MPI makes no window; messages do");
    const bool done = times.waited_s < mpi::kSilence_s / 2;
    char text[300];
    std::snprintf(text, sizeof text, "%s: %zu kB in %s, %.3g GB/s; %s %s while the target computed; %s", where.c_str(),
                  mpi::kSmallPut / 1024, seconds_text(times.latency_s).c_str(), times.bytes_per_s / 1e9,
                  done ? "done in" : "waited", seconds_text(times.waited_s).c_str(), component(times.memory).c_str());
    line(true, text);
  }

  /// As far as the file tells that lies behind a window.
  static std::string component(const std::string& file) {
    for (const char* name : {"osc_sm", "osc_rdma", "mpich"})
      if (file.find(name) != std::string::npos) return std::string("by ") + name;
    return file.empty() ? "by messages" : "in " + file;
  }

  /// The mailboxes themselves, on a ring for about a second: every float of a message says which message it is.
  void exchange() {
    const Graph ring = make_graph(Choice::parse("ring"), comm_.size(), 1);
    double posted = 0, taken = 0, torn = 0, least = 0;
    std::string transports;
    try {
      MpiPort port(comm_, ring, kTrialFloats, Mode::async);
      transports = port.exchange();
      const auto taken_here = [&port] { return port.traffic().messages_taken; };
      for (Stamp number = 1; port.now() < kTrial_s || (taken_here() == 0 && port.now() < kLongest_s); ++number) {
        for (int e = 0; e < ring.degree(comm_.rank()); ++e) {
          std::ranges::fill(port.outbox(e), word_of(number));
          port.post(e, number);
          const Arrival arrival = port.take(e);
          if (!arrival) continue;
          const float word = word_of(arrival.step);
          torn += !std::ranges::all_of(arrival.payload, [word](float got) { return got == word; });
        }
        comm_.poke();
        port.poke();
        std::this_thread::yield();
      }
      posted = comm_.sum(static_cast<double>(port.traffic().messages_sent));
      taken = comm_.sum(static_cast<double>(port.traffic().messages_taken));
      torn = comm_.sum(torn);
      least = -comm_.max(-static_cast<double>(taken_here()));
    } catch (const Error& error) {
      works_ = false;
      return line(false, error.what());
    }
    works_ = torn == 0 && least > 0;
    char text[300];
    std::snprintf(text, sizeof text, "%s: %.0f of %.0f messages torn, %.0f posted, %zu kB each, in %.0f s%s",
                  transports.c_str(), torn, taken, posted, kTrialFloats * sizeof(float) / 1000, kTrial_s,
                  torn > 0     ? ": do not train on this; try ecl train --exchange messages"
                  : least == 0 ? ": nothing reached some rank"
                               : "");
    line(works_, text);
  }

  static float word_of(Stamp number) { return static_cast<float>(number % (1 << 24)); }

  std::vector<int> ranks_of(int host) const {
    std::vector<int> found;
    for (int rank = 0; rank < comm_.size(); ++rank)
      if (hosts_.host_of(rank) == host) found.push_back(rank);
    return found;
  }

  /// That some of these ranks may run on.
  std::set<int> cores_of(const std::vector<int>& ranks) const {
    std::set<int> cores;
    for (const int rank : ranks)
      for (int core = 0; core < CPU_SETSIZE; ++core)
        if (CPU_ISSET(core, &seats_[rank].cores)) cores.insert(core);
    return cores;
  }

  const mpi::Comm& comm_;
  mpi::Hosts hosts_;
  std::vector<Seat> seats_;
  const char* check_ = "";
  bool works_ = true, room_ = true;
  Watchdog watchdog_;
};

}  // namespace

Exit run_doctor(const mpi::Comm& comm) { return Doctor(comm).examine(); }

}  // namespace ecl
