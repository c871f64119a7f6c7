// Training over real ranks: it agrees with the simulator, it is exact, nobody waits for a stopped neighbour, and a
// loop of one's own can drive it.
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <new>
#include <sstream>
#include <thread>
#include <unistd.h>

#include "ecl/exchange/mpi_port.hpp"
#include "ecl/mpi/error.hpp"
#include "ecl/node/optimizer.hpp"
#include "ecl/run/mpi_sites.hpp"
#include "ecl/run/neighbour_watch.hpp"
#include "ecl/run/run.hpp"
#include "ecl/run/summary.hpp"
#include "ecl/termination/stop_agreement.hpp"
#include "support/files.hpp"
#include "support/simulated.hpp"
#include "support/world.hpp"

namespace {

std::uint64_t allocations = 0;

}  // namespace

// Counts this program's allocations, for the promise that a step makes none.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t line) {
  ++allocations;
  const std::size_t unit = static_cast<std::size_t>(line);
  if (void* memory = std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace ecl {
namespace {

using test::world;

/// A directory that all ranks agree on; rank 0 removes it.
class SharedDirectory {
 public:
  explicit SharedDirectory(const std::string& name) {
    std::string path = std::filesystem::temp_directory_path() / ("ecl_" + name + "_" + std::to_string(getpid()));
    path.resize(1000);  // hosts may have temporary directories of their own: rank 0's
    MPI_Bcast(path.data(), static_cast<int>(path.size()), MPI_CHAR, 0, world().handle());
    path_ = path.c_str();
  }
  ~SharedDirectory() {
    world().barrier();
    if (world().rank() == 0) std::filesystem::remove_all(path_);
  }
  std::string operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

using Table = std::vector<std::map<std::string, std::string>>;

Table read_csv(const std::string& path) {
  std::ifstream file(path);
  Table table;
  std::vector<std::string> columns;
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string> fields = split(line, ',');
    if (columns.empty()) {
      columns = fields;
      continue;
    }
    auto& row = table.emplace_back();
    for (std::size_t c = 0; c < columns.size(); ++c) row[columns[c]] = fields.at(c);
  }
  return table;
}

Spec digits() {
  Spec spec;
  spec.nodes = world().size();
  spec.partition = "dirichlet:0.3";
  spec.epochs = 6;
  spec.local_steps = 8;
  spec.quiet = true;
  return spec;
}

TEST(Ranks, ANeighbourThatSendsNoNumbersIsNamedAndNotBelieved) {
  if (world().size() < 2) return;
  const Graph ring = make_graph(Choice::parse("ring"), world().size(), 1);
  const int node = world().rank();
  const std::vector<float> initial(5, 1.0f);
  StepRule rule;
  rule.local_steps = 1;
  auto solver = make_solver(Choice::parse("dpsgd"),
                            {.graph = ring, .node = node, .initial = initial, .step_size = 0.1, .local_steps = 1});
  MpiPort port(world(), ring, solver->message_size(), Mode::async);
  std::vector<float> x = initial;
  if (node == 0) {
    for (int e = 0; e < ring.degree(0); ++e) {
      for (float& out : port.outbox(e)) out = std::numeric_limits<float>::quiet_NaN();
      port.post(e, SentAt{7, 0}.stamp());
    }
  }
  Optimizer<MpiPort> optimizer(std::move(port), std::move(solver), ring, node, rule, Mode::async);
  world().barrier();
  const bool beside = ring.edges(node)[0].peer == 0;
  if (beside) {
    while (optimizer.port().arrived(0) == 0) optimizer.port().poke();
    optimizer.begin(x);
    EXPECT_EQ(x, initial);
    EXPECT_EQ(optimizer.messages_refused(), 1u);
    NeighbourWatch watch(ring, node, 60, 100);
    testing::internal::CaptureStderr();
    watch.look(optimizer, 1);
    watch.look(optimizer, 2);
    EXPECT_EQ(
        testing::internal::GetCapturedStderr(),
        "ecl: node " + std::to_string(node) +
            " refuses what node 0 sent at about step 7: it holds an infinity or a NaN; has that node diverged?\n");
    optimizer.drop(0);
    EXPECT_FALSE(optimizer.receives(0));
    EXPECT_EQ(optimizer.messages_refused(), 1u) << "and is counted when that node has died, too";
    EXPECT_EQ(optimizer.heard(0).ages.taken, 1u);
  }
  world().barrier();
}

TEST(Ranks, AServerGoesOnServingUntilItHasHeardAllItsClients) {
  // The clients are slow: the server's own steps are done long before theirs.
  if (world().size() < 2) return;
  const SharedDirectory directory("serves");
  for (const char* solver : {"fedasync", "fedbuff"}) {
    Spec spec = test::for_solver(digits(), solver);
    for (int i = 1; i < world().size(); ++i) spec.node_speed += (i > 1 ? "," : "") + std::to_string(i) + ":8";
    spec.epochs = 20;
    spec.out = directory / solver;
    EXPECT_EQ(run_rma(world(), spec), Exit::ok);
    if (world().rank() != 0) continue;
    const Table rows = read_csv(directory / (std::string(solver) + "/metrics.csv"));
    std::uint64_t sent = 0, heard = 0;
    for (std::size_t row = rows.size() - world().size(); row < rows.size(); ++row) {
      const auto count = [&](const char* column) { return std::stoull(rows[row].at(column)); };
      if (rows[row].at("node") == "0")
        heard = count("messages_taken") + count("messages_overwritten");
      else
        sent += count("messages_sent");
    }
    EXPECT_EQ(heard, sent) << solver;
  }
}

class Solvers : public testing::TestWithParam<std::string> {};

/// Digit for digit.
void expect_agreement_with_the_simulator(Spec spec) {
  const SharedDirectory directory("agree");
  spec.mode = "lock-step";
  spec.out = directory / "ranks";
  EXPECT_EQ(run_rma(world(), spec), Exit::ok);
  if (world().rank() != 0) return;
  const Table ranks = read_csv(directory / "ranks/metrics.csv");
  spec.out = directory / "simulated";
  EXPECT_EQ(run_sim(spec), Exit::ok);
  const Table simulated = read_csv(directory / "simulated/metrics.csv");
  ASSERT_EQ(ranks.size(), static_cast<std::size_t>(6 * world().size()));
  ASSERT_EQ(ranks.size(), simulated.size());
  for (std::size_t r = 0; r < ranks.size(); ++r)
    for (const char* column : {"node", "step", "loss", "accuracy", "train_loss", "messages_taken", "bytes_sent"})
      EXPECT_EQ(ranks[r].at(column), simulated[r].at(column)) << "row " << r << ", " << column;
}

TEST_P(Solvers, LockStepRanksAgreeWithTheSimulator) {
  Spec spec = test::for_solver(digits(), GetParam());
  if (!test::takes_exact_steps(GetParam())) spec.model = "mlp", spec.hidden = "16", spec.augment = "crop-flip";
  expect_agreement_with_the_simulator(spec);
}

TEST(Ranks, AgreeOnTheScaleOfAdamAsTheSimulatorDoes) {
  Spec spec = test::for_solver(digits(), "ecl");
  spec.model = "mlp", spec.hidden = "16", spec.optimizer = "adam", spec.learning_rate = 0.003, spec.clip_norm = 1;
  expect_agreement_with_the_simulator(spec);
}

TEST(Ranks, TakeBatchesOfTheirOwnAsTheSimulatorDoes) {
  Spec spec = test::for_solver(digits(), "ecl");
  spec.node_batch = "0:7";
  expect_agreement_with_the_simulator(spec);
}

std::vector<std::string> all_solvers() {
  std::vector<std::string> names;
  for (const auto& entry : solvers().entries()) names.push_back(entry.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, Solvers, testing::ValuesIn(all_solvers()));

TEST(Ranks, MessagesTravelOneWayOnOneWayEdges) {
  const SharedDirectory directory("one_way");
  Spec spec = digits();
  spec.solver = "sgp";
  spec.topology = "directed_ring";
  spec.settle = 0;
  spec.out = directory / "run";
  EXPECT_EQ(run_rma(world(), spec), Exit::ok);
  if (world().rank() != 0) return;
  const std::uint64_t edges_out = world().size() == 1 ? 0 : 1;
  const auto rows = read_csv(directory / "run/metrics.csv");
  const std::uint64_t last = std::stoull(rows.back().at("step"));
  for (const auto& row : rows) {
    const std::uint64_t step = std::stoull(row.at("step")), whole = step / spec.local_steps;
    const std::uint64_t rounds = whole + (step == last && step % spec.local_steps != 0);  // the last may be shorter
    EXPECT_EQ(std::stoull(row.at("messages_sent")), edges_out * rounds);
  }
}

constexpr std::uint64_t kSteps = 4000, kMessages = 1500;

/// Steps until every rank has said that it is done; those who may go on meanwhile.
template <class Loop, class MayStep, class Done>
void step_until(Loop& loop, const MayStep& may_step, const Done& done) {
  MPI_Request everybody_done = MPI_REQUEST_NULL;
  bool told = false;
  for (int all = 0; !all;) {
    if (may_step()) loop.step();
    if (!told && done()) told = MPI_Ibarrier(world().handle(), &everybody_done) == MPI_SUCCESS;
    if (told) MPI_Test(&everybody_done, &all, MPI_STATUS_IGNORE);
    if (!may_step() || loop.steps() % 8 == 0) std::this_thread::yield();  // ranks that share a core take turns
  }
}

/// Until every rank has made kSteps and, if asynchronous, has read kMessages on each edge; asynchronous ranks go on
/// meanwhile. Steps alone say nothing: a rank may make all of its own while its neighbour is not scheduled once.
template <class Loop>
void step_together(Loop& loop, Mode mode) {
  const std::uint64_t messages = mode == Mode::async ? kMessages * loop.degree() : 0;
  step_until(
      loop, [&] { return loop.ready() && (mode == Mode::async || loop.steps() < kSteps); },
      [&] { return loop.steps() >= kSteps && loop.taken() >= messages; });
}

/// What the tool runs on a rank, without its loop.
class QuadraticRank {
 public:
  QuadraticRank()
      : spec_(test::quadratics(world().size(), 1'000'000)),
        experiment_(spec_, world().size(), sites_, world().rank()),
        node_(make_node()) {}

  void step() { node_.step(); }
  bool ready() const { return node_.ready(); }
  std::uint64_t steps() const { return node_.optimizer().steps(); }
  std::uint64_t taken() const { return node_.optimizer().port().traffic().messages_taken; }
  int degree() const { return experiment_.graph.degree(world().rank()); }
  double error() const {
    return relative_distance(node_.x(), {experiment_.optimum.begin(), experiment_.optimum.end()});
  }

 private:
  Node<MpiPort> make_node() {
    auto solver = experiment_.make_solver(world().rank());
    MpiPort port(world(), experiment_.graph, solver->message_size(), Mode::async);
    return experiment_.make_node(world().rank(), std::move(port), std::move(solver), workspace_);
  }

  Spec spec_;
  MpiSites sites_{world()};
  Experiment experiment_;
  Workspace workspace_;
  Node<MpiPort> node_;
};

/// How soon depends on how late messages are, which a busy machine decides: the ranks go on until all are there at
/// once.
TEST(Ranks, AsynchronousEclReachesTheOptimumToFloatPrecision) {
  QuadraticRank rank;
  double worst = 1;
  for (std::uint64_t part = 1; part <= 40 && worst >= 1e-5; ++part) {
    const std::uint64_t messages = part * kMessages * rank.degree();
    step_until(
        rank, [] { return true; }, [&] { return rank.steps() >= part * kSteps && rank.taken() >= messages; });
    worst = world().max(rank.error());
  }
  EXPECT_LT(worst, 1e-5);
}

/// One quadratic per rank in a loop of one's own: f_i(x) = |x - i|^2 / 2, so the optimum is the mean rank.
class OwnLoop {
 public:
  OwnLoop(Mode mode, std::size_t dim, const std::string& solver = "ecl_isvr")
      : x_(dim, 0.0f),
        gradient_(dim),
        graph_(make_graph(Choice::parse("ring"), world().size(), 1)),
        optimizer_(make_optimizer(mode, solver)) {}

  void step() {
    optimizer_.begin(x_);
    for (std::size_t d = 0; d < x_.size(); ++d) gradient_[d] = x_[d] - static_cast<float>(world().rank());
    optimizer_.step(x_, gradient_);
  }
  bool ready() const { return optimizer_.ready(); }
  std::uint64_t steps() const { return optimizer_.steps(); }
  std::uint64_t taken() const { return optimizer_.port().traffic().messages_taken; }
  int degree() const { return graph_.degree(world().rank()); }
  float x() const { return x_[0]; }

 private:
  Optimizer<MpiPort> make_optimizer(Mode mode, const std::string& name) {
    StepRule rule;
    rule.learning_rate = 0.05;
    if (name == "ecl_isvr") rule.momentum = 0.5;
    const SolverSetup setup{graph_, world().rank(), x_, rule.initial_step_size(), rule.local_steps, rule.momentum};
    auto solver = make_solver(Choice::parse(name), setup);
    MpiPort port(world(), graph_, solver->message_size(), mode);
    return Optimizer<MpiPort>(std::move(port), std::move(solver), graph_, world().rank(), rule, mode);
  }

  std::vector<float> x_, gradient_;
  Graph graph_;
  Optimizer<MpiPort> optimizer_;
};

TEST(Ranks, ALoopOfOnesOwnReachesConsensus) {
  for (const Mode mode : {Mode::async, Mode::lock_step}) {
    OwnLoop loop(mode, 10);
    step_together(loop, mode);
    EXPECT_NEAR(loop.x(), (world().size() - 1) / 2.0, 1e-4);
  }
}

TEST(Ranks, AStepAllocatesNothingAfterTheFirstRound) {
  for (const char* solver : {"ecl", "ecl:compress=rand_k:0.1", "ecl_isvr", "dpsgd", "rfast", "qg_dsgdm"}) {
    OwnLoop loop(Mode::async, 1000, solver);
    for (int k = 0; k < 16; ++k) loop.step();
    const std::uint64_t before = allocations;
    for (int k = 0; k < 400; ++k) loop.step();
    EXPECT_EQ(allocations, before) << solver;
    world().barrier();
  }
}

/// Whether the process is stopped: the state after the name in its stat file.
bool is_stopped(int process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t at = text.rfind(") ");
  return at != std::string::npos && text[at + 2] == 'T';
}

/// Seconds. For people to read: a rank may wait for its core.
double longest_of_2000_steps(OwnLoop& loop) {
  double longest_s = 0;
  for (int k = 0; k < 2000; ++k) {
    const auto start = std::chrono::steady_clock::now();
    loop.step();
    longest_s = std::max(longest_s, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return longest_s;
}

TEST(Ranks, NobodyWaitsForAStoppedNeighbour) {
  // Rank 1 stops itself. The others see that it is stopped and then make 2000 steps each; only then does rank 0 wake
  // it. Somebody who waits for rank 1 hangs here, and the time limit fails the test.
  if (world().size() < 3) return;
  OwnLoop loop(Mode::async, 1000);
  for (int k = 0; k < 100; ++k) loop.step();
  int sleeper = getpid();
  MPI_Bcast(&sleeper, 1, MPI_INT, 1, world().handle());
  world().barrier();
  constexpr int kTag = 7;
  double longest_s = 0;
  if (world().rank() == 1) {
    kill(getpid(), SIGSTOP);
    loop.step();
  } else {
    while (!is_stopped(sleeper)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    longest_s = longest_of_2000_steps(loop);
    EXPECT_TRUE(is_stopped(sleeper));
    int done = 1;
    if (world().rank() != 0) MPI_Send(&done, 1, MPI_INT, 0, kTag, world().handle());
    if (world().rank() == 0) {
      for (int i = 2; i < world().size(); ++i)
        MPI_Recv(&done, 1, MPI_INT, MPI_ANY_SOURCE, kTag, world().handle(), MPI_STATUS_IGNORE);
      kill(sleeper, SIGCONT);
    }
  }
  EXPECT_GE(loop.steps(), 101u);
  longest_s = world().max(longest_s);
  if (world().rank() == 0) std::printf("longest step meanwhile: %.1f ms\n", 1e3 * longest_s);
}

/// A file that says something to all ranks, whatever host they are on.
bool is_there(const std::string& path) { return std::filesystem::exists(path); }

TEST(Ranks, NobodyWaitsForAHostThatIsCutOff) {
  // Rank 0 has the last host's cable pulled out. It goes back in only when every rank has made 2000 steps without it:
  // somebody who waits for the other side hangs here, and the time limit fails the test. Then they all reach
  // the optimum, which the other side's data is part of.
  const char* cut = std::getenv("HOSTS_CUT");
  if (!cut) GTEST_SKIP() << "needs several hosts: tests/hosts/run";
  const auto mark = [&](int rank) { return std::string(cut) + "." + std::to_string(rank); };
  OwnLoop loop(Mode::async, 1000);
  for (int k = 0; k < 100; ++k) loop.step();
  world().barrier();
  if (world().rank() == 0) test::write_file(cut, "");
  while (!is_there(cut + std::string(".out"))) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  double longest_s = longest_of_2000_steps(loop);
  test::write_file(mark(world().rank()), "");
  if (world().rank() == 0) {
    for (int rank = 0; rank < world().size(); ++rank)
      while (!is_there(mark(rank))) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    for (int rank = 0; rank < world().size(); ++rank) std::filesystem::remove(mark(rank));
    std::filesystem::remove(cut);
  }
  const auto agrees = [&] { return std::abs(loop.x() - (world().size() - 1) / 2.0) < 1e-4; };
  step_until(
      loop, [] { return true; }, agrees);  // TCP may take seconds to find out that the cable is back
  longest_s = world().max(longest_s);
  if (world().rank() == 0) std::printf("longest step meanwhile: %.1f ms\n", 1e3 * longest_s);
}

TEST(Ranks, AnErrorOnOneRankIsThrownOnAll) {
  try {
    world().together([] {
      if (world().rank() == world().size() - 1) throw Error("the last rank's file is missing", Exit::io);
    });
    FAIL() << "no error on rank " << world().rank();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "the last rank's file is missing");
    EXPECT_EQ(error.code(), Exit::io);
  }
}

/// A solver that must see every message: asynchronous exchange would break it.
class NeedsLockStep final : public Solver {
 public:
  std::size_t message_size() const override { return 1; }
  Delivery delivery() const override { return Delivery::lock_step; }
  void receive(int, CVec) override {}
  void descend(Vec, CVec, double) override {}
  void send(int, CVec, Vec) override {}
  void drop(int) override {}
  void archive(Archive&) override {}
};

/// A rank that diverged, say, looks no further, while the others agree that a signal ends the run.
TEST(Ranks, AStopThatOneRankHasNotHeardOfEndsInGoodOrder) {
  StopAgreement stop(world());
  const auto rank = static_cast<std::uint64_t>(world().rank());
  if (rank > 0) stop.announce({rank, 2 * rank, 3 * rank});
  stop.finish({7, 8, 9});
  ASSERT_EQ(stop.reached(), world().size() > 1);
  for (std::uint64_t other = 0; other < stop.statements().size(); ++other)
    EXPECT_EQ(stop.statements()[other], other == 0 ? (StopAgreement::Statement{7, 8, 9})
                                                   : (StopAgreement::Statement{other, 2 * other, 3 * other}));
}

TEST(SlowNodes, AreNamedWithBatchesThatKeepPace) {
  EXPECT_EQ(slow_nodes({1, 1.1, 1.9, 0.8}, {25, 25, 25, 25}, {0, 0, 0, 0}), "");
  EXPECT_EQ(slow_nodes({1, 1, 4, 1}, {25, 25, 1, 25}, {0, 0, 1, 0}), "") << "no smaller batch";
  EXPECT_EQ(slow_nodes({0, 0, 0, 1}, {25, 25, 25, 25}, {0, 0, 0, 0}), "") << "the others made no step";
  const std::string two = slow_nodes({4, 1, 1, 120, 1}, {25, 12, 25, 8, 25}, {0, 12, 0, 8, 0});
  EXPECT_NE(two.find("(node 0's 4, node 3's 120 times as long)"), std::string::npos) << two;
  EXPECT_NE(two.find("--node-batch 0:6,1:12,3:1"), std::string::npos) << two;
  EXPECT_NE(slow_nodes({1, 2.5}, {10, 10}, {0, 0}).find("--node-batch 1:4"), std::string::npos) << "of two, the slower";
}

TEST(Ranks, ALockStepSolverIsRefusedInAsynchronousMode) {
  const Graph graph = make_graph(Choice::parse("ring"), 4, 1);
  const auto make = [&](Mode mode) {
    SimNetwork network(graph, 1, {}, mode);
    Optimizer<SimPort>(SimPort(network, 0), std::make_unique<NeedsLockStep>(), graph, 0, {}, mode);
  };
  EXPECT_NO_THROW(make(Mode::lock_step));
  try {
    make(Mode::async);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("use mode lock-step, or solver ecl"), std::string::npos);
  }
}

}  // namespace
}  // namespace ecl
