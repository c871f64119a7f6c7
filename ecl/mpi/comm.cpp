#include "ecl/mpi/comm.hpp"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/mpi/error.hpp"

namespace ecl::mpi {
namespace {

constexpr int kProgressSteps = 4;
constexpr int kUnusedTag = 32000;
constexpr std::chrono::microseconds kPause{100};
constexpr int kLooksBetweenWatches = 1000;

}  // namespace

Comm::Comm(MPI_Comm parent) {
  check(MPI_Comm_dup(parent, &handle_), "MPI_Comm_dup");
  check(MPI_Comm_set_errhandler(handle_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check(MPI_Comm_rank(handle_, &rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(handle_, &size_), "MPI_Comm_size");
}

Comm::Comm(Comm&& other) noexcept
    : handle_(std::exchange(other.handle_, MPI_COMM_NULL)),
      rank_(other.rank_),
      size_(other.size_),
      watch_(std::move(other.watch_)) {}

Comm::~Comm() {
  // Freeing is collective; a rank that is unwinding must not wait for the others here (Session then aborts the job).
  if (handle_ != MPI_COMM_NULL && std::uncaught_exceptions() == 0) MPI_Comm_free(&handle_);
}

Comm Comm::duplicate() const {
  Comm copy(handle_);
  copy.watch_ = watch_;
  return copy;
}

void Comm::abort(int code) const {
  MPI_Abort(handle_, code);
  std::_Exit(code);  // MPI_Abort does not come back, but its declaration does not say so
}

double Comm::clock_s() { return MPI_Wtime(); }

void Comm::poke() const {
  int found = 0;
  for (int i = 0; i < kProgressSteps; ++i)
    check(MPI_Iprobe(MPI_ANY_SOURCE, kUnusedTag, handle_, &found, MPI_STATUS_IGNORE), "MPI_Iprobe");
}

bool Comm::finished(MPI_Request& request) const {
  int done = 0;
  check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
  return done != 0;
}

void Comm::wait(MPI_Request& request) const {
  for (int looks = 0; !finished(request); ++looks) {
    if (watch_ && looks % kLooksBetweenWatches == 0) watch_();
    std::this_thread::sleep_for(kPause);
  }
}

void Comm::barrier() const {
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Ibarrier(handle_, &request), "MPI_Ibarrier");
  wait(request);
}

double Comm::reduce(double value, MPI_Op operation) const {
  double result = 0;
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Iallreduce(&value, &result, 1, MPI_DOUBLE, operation, handle_, &request), "MPI_Iallreduce");
  wait(request);
  return result;
}

double Comm::sum(double value) const { return reduce(value, MPI_SUM); }
double Comm::max(double value) const { return reduce(value, MPI_MAX); }

void Comm::gather_all(const void* mine, std::size_t bytes, void* all) const {
  constexpr std::size_t kMost = std::numeric_limits<int>::max();  // MPI counts are int
  if (bytes > kMost)
    throw ecl::Error("each rank gathers " + std::to_string(bytes) + " bytes at once, and may gather at most " +
                     std::to_string(kMost) + "; gather them in several calls");
  const int count = static_cast<int>(bytes);
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Iallgather(mine, count, MPI_BYTE, all, count, MPI_BYTE, handle_, &request), "MPI_Iallgather");
  wait(request);
}

std::vector<std::string> Comm::gather_all(const std::string& mine) const {
  const auto length = static_cast<std::uint64_t>(mine.size());
  std::vector<std::uint64_t> lengths(size_);
  gather_all(&length, sizeof length, lengths.data());
  std::vector<int> counts, places;
  std::uint64_t total = 0;
  for (const std::uint64_t bytes : lengths) {
    places.push_back(static_cast<int>(total));
    total += bytes;
    if (total > static_cast<std::uint64_t>(std::numeric_limits<int>::max()))  // the same on every rank
      throw ecl::Error("internal error: the ranks have more than 2 GiB to say to each other", Exit::internal);
    counts.push_back(static_cast<int>(bytes));
  }
  std::string all(total, '\0');
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Iallgatherv(mine.data(), static_cast<int>(mine.size()), MPI_BYTE, all.data(), counts.data(), places.data(),
                        MPI_BYTE, handle_, &request),
        "MPI_Iallgatherv");
  wait(request);
  std::vector<std::string> texts;
  for (int rank = 0; rank < size_; ++rank) texts.push_back(all.substr(places[rank], counts[rank]));
  return texts;
}

void Comm::together(const std::function<void()>& phase) const {
  std::optional<ecl::Error> mine;
  try {
    phase();
  } catch (const ecl::Error& error) {
    mine = error;
  } catch (const std::exception& error) {
    mine = ecl::Error(std::string("internal error: ") + error.what(), Exit::internal);
  }
  const int failed = static_cast<int>(-reduce(mine ? -rank_ : -size_, MPI_MAX));
  if (failed == size_) return;
  std::string message = mine ? mine->what() : "";
  int facts[2] = {mine ? static_cast<int>(mine->code()) : 0, static_cast<int>(message.size())};
  const auto broadcast = [&](void* data, int count, MPI_Datatype type) {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Ibcast(data, count, type, failed, handle_, &request), "MPI_Ibcast");
    wait(request);
  };
  broadcast(facts, 2, MPI_INT);
  message.resize(facts[1]);
  broadcast(message.data(), facts[1], MPI_CHAR);
  throw ecl::Error(message, static_cast<Exit>(facts[0]));
}

}  // namespace ecl::mpi
