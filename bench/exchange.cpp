// What a message costs between two ranks: ecl's exchange beside a memcpy through shared memory, raw MPI_Put + flush,
// and MPI_Isend/Irecv, in turns in one run. bench/exchange starts it in every layout and makes tables of what it
// prints.
//
//   exchange times EXCHANGE               lines: name, bytes, then microseconds: send, receive, delivery
//   exchange progress EXCHANGE POKE_MS    rank 1 computes 20 ms at a time and lets MPI move every POKE_MS, 0: never
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <memory>
#include <mpi.h>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "ecl/contracts/graph.hpp"
#include "ecl/exchange/mpi_port.hpp"
#include "ecl/mpi/error.hpp"
#include "ecl/mpi/session.hpp"

namespace {

using ecl::mpi::check;
using Floats = std::vector<float>;

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// What reading the clock twice takes at least.
double clock_s() {
  double least = 1;
  for (int i = 0; i < 1000; ++i) {
    const double start = now_s();
    least = std::min(least, now_s() - start);
  }
  return least;
}

/// A way for messages to the other of two ranks, from memory of one's own into memory of one's own.
class Way {
 public:
  virtual ~Way() = default;
  /// What a sender spends on a message.
  virtual void send(const Floats& message) = 0;
  /// Says that it is there, where send() alone does not.
  virtual void tell() {}
  /// Whether one was there; what a receiver spends on it.
  virtual bool receive(Floats& message) = 0;
};

constexpr std::size_t kSlots = 3;  // as a mailbox has, so that caches see as much memory

/// A memcpy into memory that both ranks map, a flag, a memcpy out of it: no exchange on one host can do better.
class Memcpy final : public Way {
 public:
  Memcpy(MPI_Comm host, std::size_t floats) : bytes_(floats * sizeof(float)), part_(kFlag + kSlots * bytes_) {
    int rank = 0, first = getpid();
    MPI_Comm_rank(host, &rank);
    MPI_Bcast(&first, 1, MPI_INT, 0, host);
    const std::string name = "/ecl_exchange_" + std::to_string(first);
    const int file = shm_open(name.c_str(), O_CREAT | O_RDWR, 0600);
    if (file < 0 || ftruncate(file, 2 * part_) != 0) throw std::runtime_error("no shared memory");
    void* memory = mmap(nullptr, 2 * part_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED) throw std::runtime_error("no shared memory");
    memory_ = static_cast<std::byte*>(memory);
    mine_ = memory_ + rank * part_;
    theirs_ = memory_ + (1 - rank) * part_;
    std::memset(mine_, 0, part_);
    MPI_Barrier(host);
    shm_unlink(name.c_str());
  }
  ~Memcpy() override { munmap(memory_, 2 * part_); }

  void send(const Floats& message) override {
    std::memcpy(theirs_ + kFlag + ++sent_ % kSlots * bytes_, message.data(), bytes_);
    flag(theirs_).store(sent_, std::memory_order_release);
  }
  bool receive(Floats& message) override {
    const std::uint64_t sent = flag(mine_).load(std::memory_order_acquire);
    if (sent == received_) return false;
    received_ = sent;
    std::memcpy(message.data(), mine_ + kFlag + received_ % kSlots * bytes_, bytes_);
    return true;
  }

 private:
  static constexpr std::size_t kFlag = 64;
  static std::atomic_ref<std::uint64_t> flag(std::byte* part) {
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(part));
  }

  std::size_t bytes_, part_;
  std::uint64_t sent_ = 0, received_ = 0;
  std::byte *memory_ = nullptr, *mine_ = nullptr, *theirs_ = nullptr;
};

/// MPI_Put and flush. The count that tells of it goes after it, and is not part of what send() costs.
class RawPut final : public Way {
 public:
  RawPut(MPI_Comm comm, std::size_t floats) : comm_(comm), bytes_(static_cast<int>(floats * sizeof(float))) {
    MPI_Comm_rank(comm, &rank_);
    const MPI_Aint size = kFlag + static_cast<MPI_Aint>(kSlots) * bytes_;
    check(MPI_Win_allocate(size, 1, MPI_INFO_NULL, comm, &mine_, &window_), "MPI_Win_allocate");
    check(MPI_Win_lock_all(MPI_MODE_NOCHECK, window_), "MPI_Win_lock_all");
    std::memset(mine_, 0, size);
    MPI_Win_sync(window_);
    MPI_Barrier(comm);
  }
  ~RawPut() override {
    MPI_Win_unlock_all(window_);
    MPI_Win_free(&window_);
  }

  void send(const Floats& message) override {
    const MPI_Aint at = kFlag + static_cast<MPI_Aint>(++sent_ % kSlots) * bytes_;
    check(MPI_Put(message.data(), bytes_, MPI_BYTE, 1 - rank_, at, bytes_, MPI_BYTE, window_), "MPI_Put");
    check(MPI_Win_flush(1 - rank_, window_), "MPI_Win_flush");
  }
  void tell() override { flag(1 - rank_, sent_, MPI_REPLACE); }
  bool receive(Floats& message) override {
    const std::uint64_t sent = flag(rank_, 0, MPI_NO_OP);
    if (sent == received_) {
      int found = 0;
      check(MPI_Iprobe(1 - rank_, 0, comm_, &found, MPI_STATUS_IGNORE), "MPI_Iprobe");  // osc/ucx moves in here only
      return false;
    }
    received_ = sent;
    MPI_Win_sync(window_);
    std::memcpy(message.data(), mine_ + kFlag + received_ % kSlots * bytes_, bytes_);
    return true;
  }

 private:
  std::uint64_t flag(int rank, std::uint64_t value, MPI_Op operation) {
    std::uint64_t old = 0;
    check(MPI_Fetch_and_op(&value, &old, MPI_UINT64_T, rank, 0, operation, window_), "MPI_Fetch_and_op");
    check(MPI_Win_flush(rank, window_), "MPI_Win_flush");
    return old;
  }

  static constexpr std::size_t kFlag = 64;
  MPI_Comm comm_;
  int rank_ = 0, bytes_;
  std::uint64_t sent_ = 0, received_ = 0;
  MPI_Win window_ = MPI_WIN_NULL;
  std::byte* mine_ = nullptr;
};

/// MPI_Isend, and an MPI_Irecv that is always waiting.
class SendReceive final : public Way {
 public:
  SendReceive(MPI_Comm comm, std::size_t floats) : comm_(comm), bytes_(static_cast<int>(floats * sizeof(float))) {
    MPI_Comm_rank(comm, &rank_);
    buffer_.resize(floats);
    listen();
    MPI_Barrier(comm);
  }
  ~SendReceive() override {
    MPI_Cancel(&receiving_);
    MPI_Wait(&receiving_, MPI_STATUS_IGNORE);
  }

  void send(const Floats& message) override {
    MPI_Request sending = MPI_REQUEST_NULL;
    check(MPI_Isend(message.data(), bytes_, MPI_BYTE, 1 - rank_, 0, comm_, &sending), "MPI_Isend");
    for (int sent = 0; !sent;) MPI_Test(&sending, &sent, MPI_STATUS_IGNORE);
  }
  bool receive(Floats& message) override {
    int received = 0;
    check(MPI_Test(&receiving_, &received, MPI_STATUS_IGNORE), "MPI_Test");
    if (!received) return false;
    message.swap(buffer_);
    listen();
    return true;
  }

 private:
  void listen() { check(MPI_Irecv(buffer_.data(), bytes_, MPI_BYTE, 1 - rank_, 0, comm_, &receiving_), "MPI_Irecv"); }

  MPI_Comm comm_;
  int rank_ = 0, bytes_;
  Floats buffer_;
  MPI_Request receiving_ = MPI_REQUEST_NULL;
};

const ecl::Graph& pair() {
  static const ecl::Graph graph(2, {{0, 1}}, "pair");
  return graph;
}

/// What a solver does: fills the outbox, posts; takes, reads what it took.
class Ecl final : public Way {
 public:
  Ecl(const ecl::mpi::Comm& comm, std::size_t floats, ecl::Exchange exchange)
      : comm_(comm), port_(comm, pair(), floats, ecl::Mode::async, exchange) {}

  void send(const Floats& message) override {
    const ecl::Vec outbox = port_.outbox(0);
    std::memcpy(outbox.data(), message.data(), outbox.size_bytes());
    port_.post(0, 0);
  }
  bool receive(Floats& message) override {
    if (const ecl::Arrival arrival = port_.take(0)) {
      std::memcpy(message.data(), arrival.payload.data(), arrival.payload.size_bytes());
      return true;
    }
    port_.poke();
    if (++looks_ % 16 == 0) comm_.poke();
    return false;
  }
  const std::string& description() const { return port_.exchange(); }

 private:
  const ecl::mpi::Comm& comm_;
  ecl::MpiPort port_;
  int looks_ = 0;
};

/// The least of what was seen, seconds.
struct Times {
  double send = 1e9, receive = 1e9, delivery = 1e9;
};

/// Messages to and fro, so that each is waited for. Both ranks keep their own times.
void ping_pong(Way& way, int rank, int trips, Floats& out, Floats& in, Times& times) {
  static const double clock_cost_s = clock_s();
  const auto receive = [&] {
    for (int looks = 0;;) {
      const double start = now_s();
      if (way.receive(in)) {
        times.receive = std::min(times.receive, now_s() - start - clock_cost_s);
        return;
      }
      if (++looks % 100 == 0) std::this_thread::yield();  // the other may share this core
    }
  };
  for (int trip = 0; trip < trips; ++trip) {
    if (rank == 1) receive();
    const double start = now_s();
    way.send(out);
    times.send = std::min(times.send, now_s() - start - clock_cost_s);
    way.tell();
    if (rank == 1) continue;
    receive();
    times.delivery = std::min(times.delivery, (now_s() - start - clock_cost_s) / 2);
  }
}

bool share_a_host(MPI_Comm comm) {
  MPI_Comm host = MPI_COMM_NULL;
  MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
  int ranks = 0;
  MPI_Comm_size(host, &ranks);
  MPI_Comm_free(&host);
  return ranks == 2;
}

void measure_size(const ecl::mpi::Comm& comm, std::size_t floats, ecl::Exchange exchange) {
  constexpr int kTurns = 20;
  const int trips = static_cast<int>(std::clamp<std::size_t>(2'000'000 / floats, 1, 100));
  Floats out(floats, 1), in(floats);
  struct Entry {
    const char* name;
    std::unique_ptr<Way> way;
    Times times;
  };
  std::vector<Entry> entries;
  if (share_a_host(comm.handle())) entries.push_back({"memcpy", std::make_unique<Memcpy>(comm.handle(), floats), {}});
  if (exchange != ecl::Exchange::messages)
    entries.push_back({"put", std::make_unique<RawPut>(comm.handle(), floats), {}});
  entries.push_back({"isend", std::make_unique<SendReceive>(comm.handle(), floats), {}});
  entries.push_back({"ecl", std::make_unique<Ecl>(comm, floats, exchange), {}});
  for (int turn = 0; turn < kTurns; ++turn)
    for (Entry& entry : entries) {
      comm.barrier();
      ping_pong(*entry.way, comm.rank(), trips, out, in, entry.times);
    }
  comm.barrier();
  if (comm.rank() == 0)
    for (const Entry& entry : entries) {
      const Times& times = entry.times;
      std::printf("%s %zu %.3f %.3f %.3f\n", entry.name, floats * sizeof(float), 1e6 * times.send, 1e6 * times.receive,
                  1e6 * times.delivery);
    }
}

double median(std::vector<double>& values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

/// Rank 0 posts 400 kB every 5 ms; a message carries the time of its post. Rank 1 looks once per 20 ms of computing.
void measure_progress(const ecl::mpi::Comm& comm, ecl::Exchange exchange, double poke_s) {
  constexpr double kSeconds = 4, kComputing_s = 20e-3;
  constexpr std::size_t kFloats = 100000;
  ecl::MpiPort port(comm, pair(), kFloats, ecl::Mode::async, exchange);
  const auto poke = [&] {
    comm.poke();
    port.poke();
  };
  std::vector<double> posts_s, ages_s;
  comm.barrier();
  for (const double end = now_s() + kSeconds; now_s() < end;) {
    if (comm.rank() == 0) {
      const double start = now_s();
      std::memcpy(port.outbox(0).data(), &start, sizeof start);
      port.post(0, 0);
      posts_s.push_back(now_s() - start);
      for (const double next = start + 5e-3; now_s() < next; poke())
        std::this_thread::sleep_for(std::chrono::microseconds(200));
    } else {
      double poked = now_s();
      for (const double until = poked + kComputing_s; now_s() < until;)
        if (poke_s > 0 && now_s() - poked > poke_s) poke(), poked = now_s();
      if (const ecl::Arrival arrival = port.take(0)) {
        double posted = 0;
        std::memcpy(&posted, arrival.payload.data(), sizeof posted);
        ages_s.push_back(now_s() - posted);
      }
    }
  }
  MPI_Request all_done = MPI_REQUEST_NULL;
  check(MPI_Ibarrier(comm.handle(), &all_done), "MPI_Ibarrier");
  while (!comm.finished(all_done)) poke();
  const double age_s = comm.max(comm.rank() == 1 && !ages_s.empty() ? median(ages_s) : 0);
  const double taken = comm.sum(static_cast<double>(ages_s.size()));
  if (comm.rank() == 0)
    std::printf("progress %.3f %.3f %.1f %.1f\n", 1e3 * median(posts_s),
                1e3 * *std::max_element(posts_s.begin(), posts_s.end()), 1e3 * age_s, taken / kSeconds);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 2 ? argv[1] : "";
  if (what != "times" && !(what == "progress" && argc > 3)) {
    std::fprintf(stderr, "usage: exchange times EXCHANGE | exchange progress EXCHANGE POKE_MS\n");
    return 2;
  }
  const ecl::mpi::Session session;
  const ecl::mpi::Comm comm = ecl::mpi::Comm::world();
  const ecl::Exchange exchange = ecl::exchange_named(argv[2]);
  if (comm.size() != 2) {
    std::fprintf(stderr, "exchange: needs 2 ranks\n");
    return 2;
  }
  if (what == "progress") {
    measure_progress(comm, exchange, 1e-3 * std::atof(argv[3]));
    return 0;
  }
  for (std::size_t floats = 1000; floats <= 10'000'000; floats *= 10) measure_size(comm, floats, exchange);
  return 0;
}
