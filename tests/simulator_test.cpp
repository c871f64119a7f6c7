// The simulated network: virtual time, faults that are injected and counted, the same bits for the same seed.
#include <gtest/gtest.h>

#include "support/simulated.hpp"

namespace ecl {
namespace {

using test::quadratics;
using test::Simulation;

Graph pair() { return Graph(2, {{0, 1}}, "pair"); }

void post(SimPort port, float value) {
  port.outbox(0)[0] = value;
  port.post(0, 0);
}

std::vector<float> all_models(const Spec& spec) {
  Simulation simulation(spec);
  simulation.run(spec.steps);
  std::vector<float> models;
  for (const auto& node : simulation.nodes()) models.insert(models.end(), node.x().begin(), node.x().end());
  return models;
}

Spec rough() {
  Spec spec = quadratics(16, 500);
  spec.topology = "small_world:4,0.2";
  spec.links = {.latency_s = 3, .jitter = 1, .drop = 0.1, .duplicate = 0.3, .tear = 0.1};
  spec.node_speed = "3:4";
  return spec;
}

TEST(Simulator, SameSeedSameBits) { EXPECT_EQ(all_models(rough()), all_models(rough())); }

TEST(Simulator, AnotherSeedAnotherRun) {
  Spec other = rough();
  other.seed = 2;
  EXPECT_NE(all_models(rough()), all_models(other));
}

TEST(Simulator, AMessageTakesLatencyPlusSizeOverBandwidth) {
  const Graph graph = pair();
  SimNetwork network(graph, 250, {.latency_s = 2, .bandwidth_bytes_s = 1000}, Mode::async);
  post(SimPort(network, 0), 1);
  SimPort reader(network, 1);
  network.wake_at(2.9, 1);
  ASSERT_EQ(network.next(), 1);
  EXPECT_EQ(reader.arrived(0), 0u);
  network.wake_at(3.1, 1);
  ASSERT_EQ(network.next(), 1);
  EXPECT_EQ(network.now(), 3.1);
  EXPECT_EQ(reader.arrived(0), 1u);
}

/// When node 1's newest message has which number: looks in the middle of each of ten seconds.
std::vector<Stamp> arrivals(SimNetwork& network) {
  std::vector<Stamp> seen;
  for (int second = 0; second < 10; ++second) {
    network.wake_at(second + 0.5, 1);
    while (network.next() != 1) {
    }
    seen.push_back(SimPort(network, 1).arrived(0));
  }
  return seen;
}

TEST(Simulator, ALinkSendsOneMessageAtATime) {
  const Graph graph = pair();
  const LinkModel a_second_each = {.latency_s = 1, .bandwidth_bytes_s = 1000};
  SimNetwork network(graph, 250, a_second_each, Mode::async);
  for (int k = 0; k < 10; ++k) post(SimPort(network, 0), static_cast<float>(k));
  EXPECT_EQ(arrivals(network), (std::vector<Stamp>{0, 0, 1, 10, 10, 10, 10, 10, 10, 10}))
      << "the newest waits, in the place of those before it";
  SimPort reader(network, 1);
  const Arrival newest = reader.take(0);
  EXPECT_EQ(newest.payload[0], 9.0f);
  EXPECT_EQ(reader.traffic().messages_taken, 1u);
  EXPECT_EQ(reader.traffic().messages_overwritten, 9u);

  SimNetwork ordered(graph, 250, a_second_each, Mode::lock_step);
  for (int k = 0; k < 2; ++k) post(SimPort(ordered, 0), static_cast<float>(k));
  EXPECT_EQ(arrivals(ordered)[2], 1u);
  EXPECT_EQ(SimPort(ordered, 1).take(0, 1).payload[0], 0.0f);
  EXPECT_EQ(SimPort(ordered, 1).take(0, 2).payload[0], 1.0f) << "each has its turn";
}

TEST(Simulator, WakesInOrderOfTimeThenOfScheduling) {
  const Graph graph = pair();
  SimNetwork network(graph, 1, {}, Mode::async);
  network.wake_at(2, 0);
  network.wake_at(1, 1);
  network.wake_at(1, 0);
  EXPECT_EQ(network.next(), 1);
  EXPECT_EQ(network.next(), 0);
  EXPECT_EQ(network.now(), 1);
  EXPECT_EQ(network.next(), 0);
  EXPECT_EQ(network.now(), 2);
  EXPECT_EQ(network.next(), std::nullopt);
}

TEST(Simulator, AParkedNodeWakesWhenAMessageReachesIt) {
  const Graph graph = pair();
  SimNetwork network(graph, 1, {.latency_s = 5}, Mode::async);
  network.park(1);
  post(SimPort(network, 0), 1);
  EXPECT_EQ(network.next(), 1);
  EXPECT_EQ(network.now(), 5);
}

/// Takes after each of `messages` posts; returns the reader's traffic.
Traffic traffic_of(const LinkModel& links, int messages) {
  const Graph graph = pair();
  SimNetwork network(graph, 1, links, Mode::async);
  SimPort reader(network, 1);
  Stamp last = 0;
  for (int k = 0; k < messages; ++k) {
    post(SimPort(network, 0), static_cast<float>(k));
    network.wake_at(network.now() + 1, 1);
    network.next();
    const Arrival arrival = reader.take(0);
    if (arrival) {
      EXPECT_GT(arrival.number, last);
      EXPECT_EQ(arrival.payload[0], static_cast<float>(arrival.number - 1));
      last = arrival.number;
    }
  }
  return reader.traffic();
}

TEST(Simulator, FaultsComeAtTheirRates) {
  constexpr int kMessages = 20000;
  EXPECT_EQ(traffic_of({.latency_s = 0.5}, kMessages).messages_taken, kMessages + 0u);
  EXPECT_NEAR(traffic_of({.latency_s = 0.5, .drop = 0.3}, kMessages).messages_taken, 0.7 * kMessages, 300);
  const Traffic torn = traffic_of({.latency_s = 0.5, .tear = 0.2}, kMessages);
  EXPECT_NEAR(torn.messages_torn, 0.2 * kMessages, 300);
  EXPECT_EQ(torn.messages_taken + torn.messages_torn, kMessages + 0u);
  EXPECT_EQ(traffic_of({.latency_s = 0.5, .duplicate = 1}, kMessages).messages_taken, kMessages + 0u)
      << "a message is taken once, however often it arrives";
  // With transit times of mean 2 and one post a second, newer messages overtake: the older ones must not be taken.
  const Traffic overtaking = traffic_of({.latency_s = 2, .jitter = 1}, kMessages);
  EXPECT_LT(overtaking.messages_taken, kMessages * 9 / 10 + 0u);
  EXPECT_GT(overtaking.messages_overwritten, kMessages / 20 + 0u);
}

TEST(Simulator, InLockStepARoundGoesOnWithoutALostMessage) {
  Spec spec = quadratics(8, 3000);
  spec.mode = "lock-step";
  spec.links = {.latency_s = 1, .drop = 0.2, .tear = 0.1};
  Simulation simulation(spec);
  simulation.run(spec.steps);
  std::uint64_t sent = 0, taken = 0, unread = 0;
  for (const auto& node : simulation.nodes()) {
    EXPECT_EQ(node.optimizer().steps(), spec.steps);
    const Traffic& traffic = node.optimizer().port().traffic();
    sent += traffic.messages_sent;
    taken += traffic.messages_taken;
    unread += traffic.messages_overwritten;
  }
  EXPECT_LE(sent - taken - unread, 16u * simulation.experiment().exchanges_a_round()) << "the last are not read";
  EXPECT_NEAR(static_cast<double>(taken), 0.72 * static_cast<double>(sent), 0.03 * static_cast<double>(sent));
}

TEST(Simulator, LockStepDoesNotDependOnTimesOrDuplicates) {
  Spec calm = quadratics(9, 400);
  calm.topology = "torus:3";
  calm.mode = "lock-step";
  Spec wild = calm;
  wild.links = {.latency_s = 7, .jitter = 1, .duplicate = 0.5};
  wild.node_speed = "0:5,4:3";
  EXPECT_EQ(all_models(calm), all_models(wild));
}

TEST(Simulator, ASlowNodeDoesNotSlowTheOthers) {
  Spec spec = quadratics(8, 1000);
  spec.node_speed = "3:50";
  Simulation simulation(spec);
  for (int k = 0; k < 1; ++k) simulation.run(1000);
  // 1000 steps of mean 1; the slow node needs 50,000. Had anybody waited for it, its neighbours' messages would be few.
  for (NodeId i = 0; i < 8; ++i) {
    const Traffic& traffic = simulation.nodes()[i].optimizer().port().traffic();
    EXPECT_EQ(traffic.messages_sent, 2u * 1000 / 8 * simulation.experiment().exchanges_a_round());
  }
  EXPECT_GT(simulation.network().now(), 40000);
}

}  // namespace
}  // namespace ecl
