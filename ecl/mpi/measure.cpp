#include "ecl/mpi/measure.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>
#include <vector>

#include "ecl/mpi/error.hpp"
#include "ecl/mpi/window.hpp"

namespace ecl::mpi {
namespace {

constexpr std::size_t kLine = 64;
constexpr int kBarriers = 7;  // without yielding each can take 0.3 s

void sleep_s(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

/// The target's part while it is written to: inside MPI until all are done.
void stay_inside(const Comm& comm) {
  MPI_Request done = MPI_REQUEST_NULL;
  check(MPI_Ibarrier(comm.handle(), &done), "MPI_Ibarrier");
  while (!comm.finished(done)) {
    comm.poke();
    std::this_thread::yield();
  }
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + values.size() / 2);
  return values[values.size() / 2];
}

/// Of a put of `bytes`, with its flush: the median over about 50 ms, whatever else the machine does.
double put_seconds(Window& window, int target, const std::vector<std::byte>& data, std::size_t bytes) {
  std::vector<double> times;
  const double end = Comm::clock_s() + 0.05;
  while (Comm::clock_s() < end) {
    const double start = Comm::clock_s();
    window.put(target, kLine, data.data(), bytes);
    times.push_back(Comm::clock_s() - start);
  }
  return median(times);
}

/// The file that is mapped at `address`.
std::string file_behind(const void* address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream in(line);
    std::uintptr_t from = 0, to = 0;
    std::string rights, offset, device, inode, path;
    in >> std::hex >> from;
    in.ignore();
    in >> to >> rights >> offset >> device >> inode >> path;
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    if (at >= from && at < to) return rights.ends_with('s') ? path : "";
  }
  return "";
}

}  // namespace

PutTimes measure_puts(const Comm& comm, int origin, int target) {
  std::unique_ptr<Window> window;
  try {
    window = std::make_unique<Window>(comm, comm.rank() == target ? kLargePut + kLine : 0);
  } catch (const Error&) {  // no component of this MPI can: the other ranks find the same
  }
  PutTimes times;
  times.possible = comm.max(window ? 0 : 1) == 0;
  if (!times.possible) return times;

  char file[256] = "";
  const std::vector<std::byte> data(kLargePut);
  if (comm.rank() == origin) {
    window->put(target, kLine, data.data(), kLargePut);  // connections are made at the first one
    times.latency_s = put_seconds(*window, target, data, kSmallPut);
    times.bytes_per_s = kLargePut / put_seconds(*window, target, data, kLargePut);
  }
  if (comm.rank() == target) {
    stay_inside(comm);
    std::strncpy(file, file_behind(window->local()).c_str(), sizeof file - 1);
  } else {
    comm.barrier();
  }
  comm.barrier();
  if (comm.rank() == target) sleep_s(kSilence_s);
  if (comm.rank() == origin) {
    sleep_s(kSilence_s / 10);
    const double start = Comm::clock_s();
    window->put(target, kLine, data.data(), kSmallPut);
    window->put(target, kLine, data.data(), kLargePut);
    times.waited_s = Comm::clock_s() - start;
  }
  for (double* value : {&times.latency_s, &times.bytes_per_s, &times.waited_s}) *value = comm.max(*value);
  std::vector<char> files(comm.size() * sizeof file);
  comm.gather_all(file, sizeof file, files.data());
  times.memory = files.data() + target * sizeof file;
  return times;
}

double barrier_seconds(const Comm& comm) {
  std::vector<double> times;
  comm.barrier();
  for (int k = 0; k < kBarriers; ++k) {
    const double start = Comm::clock_s();
    check(MPI_Barrier(comm.handle()), "MPI_Barrier");
    times.push_back(Comm::clock_s() - start);
  }
  return comm.max(median(times));
}

}  // namespace ecl::mpi
