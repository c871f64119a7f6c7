// Writers and readers on every edge of a ring at full speed, or one side slow. Every message describes itself, so that
// a torn one, one older than the last, or one that changes while it is held is seen; and the last must arrive.
//
// Arguments: EXCHANGE FLOATS MESSAGES [reader-pause-us [writer-pause-us]]
#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <gtest/gtest.h>
#include <thread>
#include <vector>

#include "ecl/exchange/mpi_port.hpp"
#include "ecl/mpi/session.hpp"

namespace ecl {
namespace {

struct Plan {
  Exchange exchange;
  std::size_t floats;
  Stamp messages;
  int reader_pause_us, writer_pause_us;
};
Plan plan;

/// Word d of message k of sender i: any two messages differ in every word. Finite floats.
float word(std::uint32_t base, std::size_t d) {
  return std::bit_cast<float>((base + static_cast<std::uint32_t>(d) * 2654435761u) & 0x3fffffffu);
}
std::uint32_t base_of(NodeId sender, Stamp k) {
  return static_cast<std::uint32_t>(k) * 40503u + static_cast<std::uint32_t>(sender) * 977u;
}

void fill(Vec message, NodeId sender, Stamp k) {
  const std::uint32_t base = base_of(sender, k);
  for (std::size_t d = 0; d < message.size(); ++d) message[d] = word(base, d);
}

bool whole(CVec message, NodeId sender, Stamp k) {
  const std::uint32_t base = base_of(sender, k);
  std::uint32_t wrong = 0;
  for (std::size_t d = 0; d < message.size(); ++d)
    wrong |= std::bit_cast<std::uint32_t>(message[d]) ^ std::bit_cast<std::uint32_t>(word(base, d));
  return wrong == 0;
}

void pause(int us) {
  if (us > 0) std::this_thread::sleep_for(std::chrono::microseconds(us));
}

struct Faults {
  double torn = 0, backward = 0, unstable = 0, lost_last = 0, taken = 0;
};

/// One rank's traffic until it has posted everything and holds the last message of every neighbour.
Faults torture(const mpi::Comm& comm, const Graph& graph) {
  MpiPort port(comm, graph, plan.floats, Mode::async, plan.exchange);
  if (comm.rank() == 0) std::printf("exchange: %s\n", port.exchange().c_str());
  const auto edges = graph.edges(comm.rank());
  std::vector<Stamp> last(edges.size(), 0);
  std::vector<CVec> held(edges.size());
  Faults faults;
  const auto read = [&](int e) {
    if (!held[e].empty() && !whole(held[e], edges[e].peer, last[e])) ++faults.unstable;
    const Arrival arrival = port.take(e);
    if (!arrival) return;
    ++faults.taken;
    if (arrival.number <= last[e] || arrival.number != arrival.step) ++faults.backward;
    if (!whole(arrival.payload, edges[e].peer, arrival.number)) ++faults.torn;
    last[e] = arrival.number;
    held[e] = arrival.payload;
    pause(plan.reader_pause_us);
  };
  for (Stamp k = 1; k <= plan.messages; ++k) {
    for (int e = 0; e < static_cast<int>(edges.size()); ++e) {
      fill(port.outbox(e), comm.rank(), k);
      port.post(e, k);
      // A pausing reader looks now and then, or its pauses would slow its own writing too.
      if (plan.reader_pause_us == 0 || k % 64 == 0) read(e);
    }
    pause(plan.writer_pause_us);
    if (k % 16 == 0) {
      comm.poke();
      port.poke();
    }
  }
  constexpr double kPatience_s = 20;  // two-sided messages may be under way still
  const double start_s = port.now();
  MPI_Request all_complete = MPI_REQUEST_NULL;
  for (bool complete = false; !complete || !comm.finished(all_complete);) {
    comm.poke();
    port.poke();
    for (int e = 0; e < static_cast<int>(edges.size()); ++e) read(e);
    if (complete) continue;
    complete = port.now() > start_s + kPatience_s ||
               std::all_of(last.begin(), last.end(), [](Stamp number) { return number == plan.messages; });
    if (complete) MPI_Ibarrier(comm.handle(), &all_complete);
  }
  for (const Stamp number : last) faults.lost_last += number != plan.messages;
  comm.barrier();
  return faults;
}

TEST(MailboxTorture, NothingTornNothingBackwardsNothingLostAtTheEnd) {
  const mpi::Comm comm = mpi::Comm::world();
  ASSERT_GE(comm.size(), 2);
  std::vector<Edge> edges;
  for (NodeId i = 0; i + 1 < comm.size(); ++i) edges.emplace_back(i, i + 1);
  if (comm.size() > 2) edges.emplace_back(0, comm.size() - 1);
  const Graph ring(comm.size(), edges, "ring");
  const Faults mine = torture(comm, ring);
  const Faults all = {comm.sum(mine.torn), comm.sum(mine.backward), comm.sum(mine.unstable), comm.sum(mine.lost_last),
                      comm.sum(mine.taken)};
  if (comm.rank() == 0)
    std::printf(
        "%d ranks, %zu bytes: posted %.0f, taken %.0f, torn %.0f, backward %.0f, unstable %.0f, last lost %.0f\n",
        comm.size(), plan.floats * sizeof(float), static_cast<double>(2 * ring.edge_count() * plan.messages), all.taken,
        all.torn, all.backward, all.unstable, all.lost_last);
  EXPECT_EQ(all.torn, 0);
  EXPECT_EQ(all.backward, 0);
  EXPECT_EQ(all.unstable, 0);
  EXPECT_EQ(all.lost_last, 0);
  EXPECT_GT(all.taken, 0);
}

TEST(MailboxTorture, ItsOwnEyesSeeATornMessage) {
  std::vector<float> old_one(100), new_one(100);
  fill(old_one, 1, 7);
  fill(new_one, 1, 8);
  EXPECT_TRUE(whole(old_one, 1, 7));
  EXPECT_FALSE(whole(old_one, 1, 8));
  EXPECT_FALSE(whole(old_one, 2, 7));
  new_one[57] = old_one[57];
  EXPECT_FALSE(whole(new_one, 1, 8));
}

}  // namespace
}  // namespace ecl

int main(int argc, char** argv) {
  const ecl::mpi::Session session;
  testing::InitGoogleTest(&argc, argv);
  GTEST_FLAG_SET(catch_exceptions, false);  // a rank that throws must end the job, not leave the others waiting
  if (argc < 4) {
    std::fprintf(stderr, "usage: mailbox_torture_test EXCHANGE FLOATS MESSAGES [reader-pause-us [writer-pause-us]]\n");
    return 2;
  }
  ecl::plan = {ecl::exchange_named(argv[1]), std::strtoull(argv[2], nullptr, 10), std::strtoull(argv[3], nullptr, 10),
               argc > 4 ? std::atoi(argv[4]) : 0, argc > 5 ? std::atoi(argv[5]) : 0};
  if (ecl::mpi::launch_rank() != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
  }
  try {
    return RUN_ALL_TESTS();
  } catch (const ecl::Error& error) {
    if (!std::getenv("OMPI_MCA_osc")) throw;  // the component asked for needs what not every container grants
    if (ecl::mpi::launch_rank() == 0) std::fprintf(stderr, "skipped: %s\n", error.what());
    return 77;
  }
}
