#include "ecl/mpi/clock_offset.hpp"

#include <thread>

#include "ecl/mpi/error.hpp"

namespace ecl::mpi {
namespace {

constexpr int kQuestionTag = 1, kAnswerTag = 2, kQuestions = 50;
constexpr int kLooksBetweenWatches = 1 << 16;
constexpr double kResolution_s = 1e-6;  // MPI_Wtime of some libraries counts microseconds

/// Gives the core away rather than sleep: a sleep would be most of an answer's way.
void wait_awake(const Comm& comm, MPI_Request& request) {
  for (int looks = 1; !comm.finished(request); ++looks) {
    if (looks % kLooksBetweenWatches == 0) comm.look();
    std::this_thread::yield();
  }
}

void answer(const Comm& comm, int rank, const std::function<double()>& now) {
  for (int k = 0; k < kQuestions; ++k) {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Irecv(nullptr, 0, MPI_BYTE, rank, kQuestionTag, comm.handle(), &request), "MPI_Irecv");
    wait_awake(comm, request);
    const double time_s = now();
    check(MPI_Isend(&time_s, 1, MPI_DOUBLE, rank, kAnswerTag, comm.handle(), &request), "MPI_Isend");
    wait_awake(comm, request);
  }
}

ClockOffset ask(const Comm& comm, const std::function<double()>& now) {
  ClockOffset best;
  for (int k = 0; k < kQuestions; ++k) {
    MPI_Request question = MPI_REQUEST_NULL, answered = MPI_REQUEST_NULL;
    double theirs = 0;
    check(MPI_Irecv(&theirs, 1, MPI_DOUBLE, 0, kAnswerTag, comm.handle(), &answered), "MPI_Irecv");
    const double asked_s = now();
    check(MPI_Isend(nullptr, 0, MPI_BYTE, 0, kQuestionTag, comm.handle(), &question), "MPI_Isend");
    if (k == 0)
      comm.wait(answered);  // those before this rank are answered first
    else
      wait_awake(comm, answered);
    const double heard_s = now(), error_s = (heard_s - asked_s) / 2 + kResolution_s;
    wait_awake(comm, question);
    if (k == 0 || error_s < best.error_s) best = {heard_s, theirs - (asked_s + heard_s) / 2, error_s};
  }
  return best;
}

}  // namespace

ClockOffset compare_clocks(const Comm& comm, const std::function<double()>& now) {
  const Comm apart = comm.duplicate();
  if (apart.rank() > 0) return ask(apart, now);
  for (int rank = 1; rank < apart.size(); ++rank) answer(apart, rank, now);
  return {.at_s = now()};
}

}  // namespace ecl::mpi
