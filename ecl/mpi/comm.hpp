#pragma once

#include <cstddef>
#include <functional>
#include <mpi.h>
#include <string>
#include <utility>
#include <vector>

namespace ecl::mpi {

/// A communicator of its own (a duplicate), so that ecl's messages never meet the caller's. Move-only.
///
/// No member ever sits inside a blocking MPI call: they start a non-blocking one and wait by test and short sleep, so
/// that ranks that outnumber the cores do not spin, and window traffic goes on meanwhile.
class Comm {
 public:
  /// Collective over `parent`.
  explicit Comm(MPI_Comm parent);
  static Comm world() { return Comm(MPI_COMM_WORLD); }
  Comm(Comm&& other) noexcept;
  Comm& operator=(Comm&&) = delete;
  ~Comm();

  /// Seconds since some moment, the same for the life of this process.
  static double clock_s();

  int rank() const { return rank_; }
  int size() const { return size_; }
  MPI_Comm handle() const { return handle_; }
  /// Collective.
  Comm duplicate() const;
  /// Ends the job at once, on all ranks.
  [[noreturn]] void abort(int code) const;

  /// Lets MPI move what is under way. Components without a progress thread move bytes only inside MPI calls, and one
  /// call is one small step: call this about every millisecond of computing.
  void poke() const;
  /// Whether a request has finished; moves it.
  bool finished(MPI_Request& request) const;
  /// From here on whoever waits on this communicator, or a later duplicate, calls `watch` a few times a second: it may
  /// end the job when the one that is waited for has died.
  void watch(std::function<void()> watch) { watch_ = std::move(watch); }
  /// For whoever waits by other means.
  void look() const {
    if (watch_) watch_();
  }
  /// Waits for a request without blocking in MPI.
  void wait(MPI_Request& request) const;
  void barrier() const;
  /// Sum over the ranks, on every rank; collective.
  double sum(double value) const;
  double max(double value) const;
  /// `bytes` of each rank, as many on all, in the order of the ranks, on every rank; collective. Throws ecl::Error,
  /// before it looks at any, where they are 2 GiB or more.
  void gather_all(const void* mine, std::size_t bytes, void* all) const;

  /// Texts of any length, in the order of the ranks, on every rank; collective. Throws where all of them are 2 GiB.
  std::vector<std::string> gather_all(const std::string& mine) const;

  /// Runs `phase` on every rank. If it throws ecl::Error on any, every rank throws the error of the lowest such rank:
  /// one message, one exit code, and nobody is left waiting. Collective.
  void together(const std::function<void()>& phase) const;

 private:
  double reduce(double value, MPI_Op operation) const;

  MPI_Comm handle_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  std::function<void()> watch_;
};

}  // namespace ecl::mpi
