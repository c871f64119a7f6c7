// The helper thread of the C interface (progress=thread): within a gradient that takes long it moves messages and
// answers faster neighbours, and apart from that nothing is different. No test uses MPI beside an open node: MPI is the
// helper's and the node's, in turn.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "ecl/base/floats.hpp"
#include "ecl/c/ecl.h"
#include "support/world.hpp"

namespace ecl {
namespace {

using std::chrono::milliseconds;
using test::world;

void sleep(milliseconds time) {
  if (time.count() > 0) std::this_thread::sleep_for(time);
}

/// A node; rank i wants x = i, so that together they want the mean rank.
class Node {
 public:
  explicit Node(std::vector<const char*> options, std::size_t dim = 100) : x(dim), gradient_(dim) {
    EXPECT_EQ(ecl_init(), ECL_OK) << ecl_error();
    options.push_back(nullptr);
    EXPECT_EQ(ecl_open(ECL_COMM_WORLD, options.data(), x.data(), dim, &node), ECL_OK) << ecl_error();
  }
  ~Node() { EXPECT_EQ(ecl_close(node), ECL_OK) << ecl_error(); }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// One whose gradient takes as long as `meanwhile`. Nobody else writes x in that time.
  void step(const std::function<void()>& meanwhile) {
    ASSERT_EQ(ecl_begin(node), ECL_OK) << ecl_error();
    const Floats before = x;
    for (std::size_t d = 0; d < x.size(); ++d) gradient_[d] = x[d] - static_cast<float>(world().rank());
    meanwhile();
    EXPECT_EQ(x, before);
    ASSERT_EQ(ecl_step(node, gradient_.data()), ECL_OK) << ecl_error();
  }
  void train(int steps, milliseconds time) {
    for (int s = 0; s < steps; ++s) step([time] { sleep(time); });
  }
  /// The ranks meet now and then: who is last would else train alone, towards its own optimum.
  void train_together(int steps) {
    for (int s = 0; s < steps; ++s) {
      train(1, {});
      float any = 0;
      if (s % 20 != 0) continue;
      ASSERT_EQ(ecl_average(node, &any, 1), ECL_OK) << ecl_error();
    }
  }
  double figure(const char* name) const {
    double value = -1;
    EXPECT_EQ(ecl_figure(node, name, &value), ECL_OK) << ecl_error();
    return value;
  }
  /// They agree, on about the mean rank.
  void expect_optimum(double within) {
    double error = 1;
    ASSERT_EQ(ecl_settle(node, &error), ECL_OK) << ecl_error();
    EXPECT_LE(error, 0.01);
    EXPECT_NEAR(x[0], (world().size() - 1) / 2.0, within);
  }

  Floats x;
  ecl_node* node = nullptr;

 private:
  Floats gradient_;
};

TEST(Helper, LockStepHasTheSameBitsWithAndWithoutIt) {
  for (const char* solver : {"solver=ecl", "solver=dpsgd"}) {
    std::vector<Floats> found;
    for (const char* progress : {"progress=calls", "progress=thread"}) {
      Node rank({"mode=lock-step", "lr=0.1", "local_steps=2", solver, progress});
      for (int s = 0; s < 30; ++s) rank.train(1, milliseconds(s % 5 == world().rank() ? 4 : 0));
      found.push_back(rank.x);
    }
    EXPECT_EQ(found[0], found[1]) << solver;
  }
}

TEST(Helper, ManyStepsOfAllLengthsBesideIt) {
  for (const char* option : {"overlap=0", "overlap=1", "clip_norm=1000"}) {
    Node rank({"lr=0.1", "progress=thread", option}, 10'000);
    for (int s = 0; s < 400; ++s) rank.train(1, milliseconds((s * (world().rank() + 3)) % 4));
    rank.train_together(200);
    rank.expect_optimum(0.1);
  }
}

TEST(Helper, SeveralNodesHaveOneOrNone) {
  Node first({"mode=lock-step", "lr=0.1", "progress=thread"});
  {
    Node second({"mode=lock-step", "lr=0.1", "progress=thread"}), without({"mode=lock-step", "lr=0.1"});
    for (Node* node : {&first, &second, &without, &first}) node->train(10, milliseconds(2));
    EXPECT_EQ(second.x, without.x);
  }
  first.train(10, milliseconds(2));
  EXPECT_EQ(first.figure("steps"), 30);
}

TEST(Helper, IsNotInAProcessThatIsForkedOff) {
  Node rank({"lr=0.1", "progress=thread"});
  rank.train(5, milliseconds(2));
  const pid_t child = fork();
  if (child == 0) {
    const bool refused = ecl_begin(rank.node) == ECL_USAGE && std::string(ecl_error()).find("was forked off") == 13;
    _exit(refused && ecl_finalise() == ECL_OK ? 0 : 1);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  rank.train(5, milliseconds(2));
}

TEST(Helper, AnUnknownProgressIsRefused) {
  ASSERT_EQ(ecl_init(), ECL_OK);
  float x = 0;
  ecl_node* node = nullptr;
  const char* const options[] = {"progress=threads", nullptr};
  EXPECT_EQ(ecl_open(ECL_COMM_WORLD, options, &x, 1, &node), ECL_USAGE);
  EXPECT_EQ(std::string(ecl_error()), "progress 'threads' is none of calls, thread");
}

/// Two ranks on two hosts, where MPI moves nothing by itself: each of the slow one's two gradients lasts until the
/// other has made 100 steps more. They tell by files that both hosts see. How often the slow one exchanged in that
/// time.
double rounds_of_the_slow_one(const char* progress) {
  const std::string folder = std::getenv("HOSTS_CUT") + std::string("_") + progress;  // hosts/run says where
  Node rank({"lr=0.1", progress});
  double rounds = 0;
  for (const char* part : {"1", "2"}) {
    const std::string made = folder + part;
    if (world().rank() == 0) {
      rank.train(100, milliseconds(20));
      std::ofstream(made.c_str()).flush();
    } else {
      rank.step([&] {
        while (!std::filesystem::exists(made)) sleep(milliseconds(20));
      });
    }
  }
  if (world().rank() == 1) {
    rounds = rank.figure("rounds");
    std::printf("%s: in two long steps it exchanged %.0f times, and took %.0f messages\n", progress, rounds,
                rank.figure("messages_taken"));
  }
  rank.train_together(1000);
  rank.expect_optimum(0.1);
  return rounds;
}

TEST(Hosts, LongGradientsAnswerFasterNeighboursByTheHelperOnly) {
  const double without = rounds_of_the_slow_one("progress=calls"), with = rounds_of_the_slow_one("progress=thread");
  if (world().rank() != 1) return;
  EXPECT_EQ(without, 2 * 4);  // R of each step
  EXPECT_GT(with, 2 * without);
}

// Last: ranks that were left cannot close their nodes any more.

/// Rank 3 ends after step 5, rank 0 goes on, and so fails. Ranks 1 and 2 are within a gradient; the call that they make
/// there does not look at others, so what it says is what the helper has found.
TEST(ZLost, WhatTheHelperFindsIsTheNextCallsError) {
  Node rank({"lr=0.1", "mode=lock-step", "local_steps=1", "exchanges=1", "progress=thread"});
  rank.train(5, milliseconds(5));
  const int number = world().rank();
  if (number != 3) {
    ASSERT_EQ(ecl_begin(rank.node), ECL_OK) << ecl_error();
  }
  std::vector<char> all(world().size());
  ASSERT_EQ(ecl_gather("", 1, all.data()), ECL_OK) << "all have come this far: " << ecl_error();
  int code = ECL_OK;
  if (number == 0) {
    ASSERT_EQ(ecl_step(rank.node, rank.x.data()), ECL_OK) << ecl_error();
    code = ecl_begin(rank.node);
  } else if (number == 3) {
    code = ecl_settle(rank.node, nullptr);
  } else {
    constexpr int kCalls = 3000;  // a minute of them
    double steps = 0;
    for (int k = 0; k < kCalls && code == ECL_OK; ++k) {
      sleep(milliseconds(20));  // who calls all the time has no helper
      code = ecl_figure(rank.node, "steps", &steps);
    }
  }
  EXPECT_EQ(code, ECL_RANK_LOST);
  const std::string what = ecl_error();
  EXPECT_NE(what.find(number == 0 ? " has ended after step 5, and rank 0 is at step 6" : " has failed after step "),
            std::string::npos)
      << what;
}

}  // namespace
}  // namespace ecl
