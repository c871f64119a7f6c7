#pragma once

#include <array>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ecl/base/random.hpp"
#include "tests/support/simulated.hpp"

/// What may happen to messages and to nodes, and where a solver ends that it happened to: heterogeneous quadratics on 8
/// nodes, full gradients, K = 1 (so that no bias of long local phases covers what a fault does).
namespace ecl::test {

/// What may happen to one message on its way.
enum class Fault { lost, duplicated, torn, garbage };

struct NamedFault {
  Fault fault;
  const char* name;
};
inline constexpr std::array<NamedFault, 4> kFaults = {
    {{Fault::lost, "lost"}, {Fault::duplicated, "duplicated"}, {Fault::torn, "torn"}, {Fault::garbage, "garbage"}}};

/// Passes everything on to the solver behind it, except that message number kStruck on edge 0 meets with a fault.
class Saboteur final : public Forwarding {
 public:
  static constexpr int kStruck = 20;  ///< the models have heard of each other and still move

  /// `struck` counts what was done.
  Saboteur(std::unique_ptr<Solver> solver, Fault fault, int& struck)
      : Forwarding(std::move(solver)), fault_(fault), struck_(struck), last_(message_size(), 0.0f) {}

  void receive(int e, CVec message) override {
    if (e != 0) return solver_->receive(e, message);
    if (++received_ == kStruck)
      strike(message);
    else
      solver_->receive(0, message);
    last_.assign(message.begin(), message.end());
  }

 private:
  void strike(CVec message) {
    ++struck_;
    std::vector<float> damaged(message.begin(), message.end());
    Random random(1, Purpose::test);
    std::normal_distribution<double> noise(0, 1e3);
    switch (fault_) {
      case Fault::lost:
        return;
      case Fault::duplicated:
        solver_->receive(0, message);
        break;
      case Fault::torn:  // every other float is still the last message's
        for (std::size_t at = 0; at < damaged.size(); at += 2) damaged[at] = last_[at];
        break;
      case Fault::garbage:
        for (float& value : damaged) value += static_cast<float>(noise(random));
        break;
    }
    solver_->receive(0, damaged);
  }

  Fault fault_;
  int& struck_;
  int received_ = 0;
  std::vector<float> last_;
};

/// Where a run ended.
struct Ending {
  std::vector<std::vector<float>> models;
  double error;    ///< of the worst living node, to the optimum of all who live
  int struck = 0;  ///< single faults done

  /// Largest distance of a node's model to the one that the same node ended with there; relative.
  double distance(const Ending& other) const {
    double largest = 0;
    for (std::size_t i = 0; i < models.size(); ++i)
      largest = std::max(largest, relative_distance(models[i], {other.models[i].begin(), other.models[i].end()}));
    return largest;
  }
};

inline Spec fault_spec(const std::string& solver, const std::string& mode, std::uint64_t steps) {
  Spec spec = for_solver(quadratics(8, steps), solver);
  spec.local_steps = 1;
  spec.mode = mode;
  return spec;
}

inline Ending ending_of(const Simulation& simulation) {
  Ending ending{{}, simulation.error(simulation.optimum_of_the_living())};
  for (const auto& node : simulation.nodes()) ending.models.emplace_back(node.x().begin(), node.x().end());
  return ending;
}

/// A run in lock step, perfect but for one fault in a message that node 1 reads from node 0.
inline Ending with_one_fault(const std::string& solver, std::optional<Fault> fault, std::uint64_t steps = 8000) {
  int struck = 0;
  Simulation simulation(fault_spec(solver, "lock-step", steps), [&](NodeId i, std::unique_ptr<Solver> own) {
    if (i == 1 && fault) own = std::make_unique<Saboteur>(std::move(own), *fault, struck);
    return own;
  });
  simulation.run(steps);
  Ending ending = ending_of(simulation);
  ending.struck = struck;
  return ending;
}

/// How links and nodes behave for a whole run.
struct Scenario {
  const char* name;
  LinkModel links;
  bool death = false;  ///< node 7 stops for good after a tenth of the run, and its neighbours are told
};

/// In units of the fastest nodes' mean step time. On every topology of topology_for() the nodes without the last one
/// are still connected.
inline const std::vector<Scenario>& asynchronous_scenarios() {
  static const std::vector<Scenario> all = {
      {"instant", {}},
      {"latency 2", {.latency_s = 2}},
      {"latency 2, re-ordered", {.latency_s = 2, .jitter = 1}},
      {"20% dropped", {.drop = 0.2}},
      {"30% duplicated late", {.latency_s = 0.5, .jitter = 1, .duplicate = 0.3}},
      {"20% torn, rejected", {.tear = 0.2}},
      {"all of it", {.latency_s = 1, .jitter = 1, .drop = 0.2, .duplicate = 0.2, .tear = 0.2}},
      {"one node dies", {}, true},
  };
  return all;
}

inline const std::vector<Scenario>& lock_step_scenarios() {
  static const std::vector<Scenario> all = {
      {"1% dropped", {.drop = 0.01}},
      {"10% dropped", {.drop = 0.1}},
      {"one node dies", {}, true},
  };
  return all;
}

inline Ending run_through(Spec spec, const Scenario& scenario) {
  spec.links = scenario.links;
  Simulation simulation(spec);
  const auto run = [&](std::uint64_t steps) {
    if (spec.mode == "async")
      simulation.run_for(static_cast<double>(steps));
    else
      simulation.run(steps);
  };
  run(spec.steps / 10);
  if (scenario.death) simulation.kill(spec.nodes - 1);
  run(spec.steps - spec.steps / 10);
  return ending_of(simulation);
}

/// Nodes that do not wait; the slowest takes 4 times as long as the fastest, which makes `steps` steps. Throws Error if
/// the solver is refused.
inline Ending asynchronously(const std::string& solver, const Scenario& scenario, std::uint64_t steps = 20000,
                             int exchanges = 1) {
  Spec spec = fault_spec(solver, "async", steps);
  spec.exchanges = std::to_string(exchanges);
  spec.node_speed = "2:2,3:4,5:3,7:2";
  return run_through(spec, scenario);
}

inline Ending in_lock_step(const std::string& solver, const Scenario& scenario, std::uint64_t steps = 8000) {
  return run_through(fault_spec(solver, "lock-step", steps), scenario);
}

}  // namespace ecl::test
