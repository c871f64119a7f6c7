// The promises of ecl/contracts/port.hpp, one suite for all ports. Under MPI each rank runs it: over MpiPort the ranks
// are the four nodes of a ring; over SimPort each rank has a simulated ring of its own.
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "ecl/contracts/graph.hpp"
#include "ecl/exchange/mpi_port.hpp"
#include "ecl/simulator/sim_port.hpp"
#include "support/world.hpp"

namespace ecl {
namespace {

using test::world;

Graph ring_of_four() { return Graph(4, {{0, 1}, {1, 2}, {2, 3}, {0, 3}}, "ring"); }

/// Runs an action as one node and lets its messages arrive before the next action.
template <Exchange exchange>
class OverMpi {
 public:
  OverMpi(std::size_t floats, Mode mode) : graph_(ring_of_four()), port_(world(), graph_, floats, mode, exchange) {}
  using PortType = MpiPort;
  void as(NodeId node, const std::function<void(PortType&)>& action) {
    if (world().rank() == node) action(port_);
    const double sent = world().sum(static_cast<double>(port_.traffic().messages_sent));
    do port_.poke();
    while (world().sum(static_cast<double>(port_.arrived(0) + port_.arrived(1))) < sent);
  }

 private:
  Graph graph_;
  MpiPort port_;
};

class OverSimulation {
 public:
  OverSimulation(std::size_t floats, Mode mode)
      : graph_(ring_of_four()), network_(graph_, floats, {.latency_s = 1}, mode) {}
  using PortType = SimPort;
  void as(NodeId node, const std::function<void(PortType&)>& action) {
    SimPort port(network_, node);
    action(port);
    while (network_.next()) {
    }
  }

 private:
  Graph graph_;
  SimNetwork network_;
};

template <class Network>
class PortContract : public testing::Test {};

using Networks = testing::Types<OverMpi<Exchange::automatic>, OverMpi<Exchange::window>, OverMpi<Exchange::messages>,
                                OverSimulation>;
TYPED_TEST_SUITE(PortContract, Networks);

template <class P>
void post(P& port, int e, float value, Stamp step = 0) {
  for (float& out : port.outbox(e)) out = value;
  port.post(e, step);
}

bool holds(CVec payload, std::size_t floats, float value) {
  if (payload.size() != floats) return false;
  for (const float got : payload)
    if (got != value) return false;
  return true;
}

// On the ring of four, node 0's edge 0 leads to node 1, whose edge 0 leads back; node 0's edge 1 leads to node 3.

TYPED_TEST(PortContract, NothingArrivesBeforeTheFirstPost) {
  using P = typename TypeParam::PortType;
  TypeParam network(5, Mode::async);
  network.as(1, [](P& port) {
    EXPECT_EQ(port.arrived(0), 0u);
    EXPECT_FALSE(port.take(0));
  });
}

TYPED_TEST(PortContract, MessageArrivesWholeWithNumberAndStep) {
  using P = typename TypeParam::PortType;
  for (const std::size_t floats : {1, 3, 16, 1000, 300001}) {
    TypeParam network(floats, Mode::async);
    network.as(0, [](P& port) { post(port, 0, 2.5f, 42); });
    network.as(1, [&](P& port) {
      EXPECT_EQ(port.arrived(0), 1u);
      const Arrival arrival = port.take(0);
      EXPECT_EQ(arrival.number, 1u);
      EXPECT_EQ(arrival.step, 42u);
      EXPECT_TRUE(holds(arrival.payload, floats, 2.5f)) << floats;
      EXPECT_FALSE(port.take(0)) << "a message is taken once";
      EXPECT_EQ(port.arrived(0), 1u) << "taking does not forget";
    });
  }
}

TYPED_TEST(PortContract, NewestWins) {
  using P = typename TypeParam::PortType;
  TypeParam network(7, Mode::async);
  network.as(0, [](P& port) {
    for (int k = 1; k <= 3; ++k) post(port, 0, static_cast<float>(k), k);
  });
  network.as(1, [](P& port) {
    EXPECT_EQ(port.arrived(0), 3u);
    const Arrival arrival = port.take(0);
    EXPECT_EQ(arrival.number, 3u);
    EXPECT_TRUE(holds(arrival.payload, 7, 3));
    EXPECT_FALSE(port.take(0));
    EXPECT_EQ(port.traffic().messages_taken, 1u);
    EXPECT_EQ(port.traffic().messages_overwritten, 2u);
  });
}

TYPED_TEST(PortContract, WhatWasTakenStaysUntilTheNextTake) {
  using P = typename TypeParam::PortType;
  TypeParam network(9, Mode::async);
  Arrival first;
  network.as(0, [](P& port) { post(port, 0, 1); });
  network.as(1, [&](P& port) { first = port.take(0); });
  network.as(0, [](P& port) {
    for (int k = 2; k < 20; ++k) post(port, 0, static_cast<float>(k));
  });
  network.as(1, [&](P& port) {
    EXPECT_TRUE(holds(first.payload, 9, 1));
    EXPECT_TRUE(holds(port.take(0).payload, 9, 19));
  });
}

TYPED_TEST(PortContract, EdgesAreIndependent) {
  using P = typename TypeParam::PortType;
  TypeParam network(4, Mode::async);
  network.as(1, [](P& port) { post(port, 0, 1); });
  network.as(3, [](P& port) {
    post(port, 0, 3);
    post(port, 0, 33);
  });
  network.as(0, [](P& port) {
    EXPECT_TRUE(holds(port.take(0).payload, 4, 1));
    const Arrival other = port.take(1);
    EXPECT_EQ(other.number, 2u);
    EXPECT_TRUE(holds(other.payload, 4, 33));
  });
  network.as(2, [](P& port) {
    EXPECT_FALSE(port.take(0));
    EXPECT_FALSE(port.take(1));
  });
}

TYPED_TEST(PortContract, ManyRoundTripsKeepOrder) {
  using P = typename TypeParam::PortType;
  TypeParam network(2, Mode::async);
  for (int k = 1; k <= 50; ++k) {
    network.as(0, [&](P& port) { post(port, 0, static_cast<float>(k)); });
    network.as(1, [&](P& port) {
      const Arrival arrival = port.take(0);
      EXPECT_EQ(arrival.number, static_cast<Stamp>(k));
      EXPECT_TRUE(holds(arrival.payload, 2, static_cast<float>(k)));
    });
  }
}

TYPED_TEST(PortContract, TrafficCountsPayloadBytes) {
  using P = typename TypeParam::PortType;
  TypeParam network(10, Mode::async);
  network.as(2, [](P& port) {
    post(port, 0, 1);
    post(port, 1, 1);
    EXPECT_EQ(port.traffic().messages_sent, 2u);
    EXPECT_EQ(port.traffic().bytes_sent, 80u);
  });
}

TYPED_TEST(PortContract, LockStepKeepsTwoMessagesAndGivesEachOnce) {
  using P = typename TypeParam::PortType;
  TypeParam network(6, Mode::lock_step);
  network.as(1, [](P& port) { EXPECT_EQ(port.arrived(0), 0u); });
  network.as(0, [](P& port) {
    post(port, 0, 1, 8);
    post(port, 0, 2, 16);
  });
  network.as(1, [](P& port) {
    EXPECT_GE(port.arrived(0), 1u);
    const Arrival first = port.take(0, 1);
    EXPECT_TRUE(holds(first.payload, 6, 1));
    EXPECT_EQ(first.step, 8u);
    EXPECT_EQ(port.arrived(0), 2u);
    EXPECT_TRUE(holds(port.take(0, 2).payload, 6, 2));
  });
  network.as(0, [](P& port) { post(port, 0, 3, 24); });
  network.as(1, [](P& port) { EXPECT_TRUE(holds(port.take(0, 3).payload, 6, 3)); });
}

TYPED_TEST(PortContract, ClockDoesNotRunBackwards) {
  using P = typename TypeParam::PortType;
  TypeParam network(1, Mode::async);
  network.as(0, [](P& port) {
    const double before = port.now();
    post(port, 0, 1);
    EXPECT_GE(port.now(), before);
    EXPECT_GE(before, 0);
  });
}

}  // namespace
}  // namespace ecl
