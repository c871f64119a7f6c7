// Runs over real ranks, recorded, and repeated in one process: the same bytes, whatever the night was like; and what
// the logs themselves promise.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <span>

#include "ecl/base/check.hpp"
#include "ecl/base/checksum.hpp"
#include "ecl/base/params.hpp"
#include "ecl/replay/delivery_log.hpp"
#include "ecl/run/directory/run_lock.hpp"
#include "tests/support/command.hpp"
#include "tests/support/jobs.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

// --- the log ---

const DeliveryOrigin kOrigin{.node = 2, .nodes = 5, .edges = 3, .config = 0x12345678, .data = 0x9abcdef0};
const std::vector<float> kModel = {1, 2, 3};

/// Every kind of event, small numbers and large ones.
std::string write_log(const Scratch& scratch) {
  const std::string path = scratch / "log";
  DeliveryLog log(path, kOrigin);
  log.received(0, Taking::round);
  log.took(0, 1);
  log.took(2, 300);
  log.received(8, Taking::round);
  log.took(0, std::uint64_t{1} << 40);
  log.received(1'000'000, Taking::round);
  log.evaluated(1'000'000, true, 0.1, kModel, false);
  log.dropped(1'000'003, true, 1);
  log.exchanges_set(1'000'003, 16);
  log.took(2, 301);
  log.received(1'000'008, Taking::serve);
  log.evaluated(1'000'008, false, 7.25, kModel, true);
  EXPECT_FALSE(log.failed());
  return read_file(path);
}

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::vector<DeliveryEvent> events_of(const std::string& text) {
  DeliveryReader reader("log", bytes_of(text));
  std::vector<DeliveryEvent> events;
  while (reader.next()) events.push_back(reader.event());
  return events;
}

bool same(const DeliveryEvent& a, const DeliveryEvent& b) {
  return a.kind == b.kind && a.step == b.step && a.taken == b.taken && a.edge == b.edge && a.exchanges == b.exchanges &&
         a.begun == b.begun && a.time_s == b.time_s && a.model == b.model;
}

TEST(DeliveryLog, GivesBackWhatItWasTold) {
  const Scratch scratch;
  const std::string text = write_log(scratch);
  EXPECT_EQ(DeliveryReader("log", bytes_of(text)).origin(), kOrigin);
  const auto events = events_of(text);
  ASSERT_EQ(events.size(), 8u);
  using Kind = DeliveryEvent::Kind;
  const Kind kinds[] = {Kind::round, Kind::round,         Kind::round, Kind::evaluation,
                        Kind::drop,  Kind::exchanges_set, Kind::serve, Kind::stopped_early};
  const std::uint64_t steps[] = {0, 8, 1'000'000, 1'000'000, 1'000'003, 1'000'003, 1'000'008, 1'000'008};
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].kind, kinds[i]) << i;
    EXPECT_EQ(events[i].step, steps[i]) << i;
  }
  EXPECT_EQ(events[0].taken, (std::vector<Stamp>{0, 0, 0}));
  EXPECT_EQ(events[1].taken, (std::vector<Stamp>{1, 0, 300}));
  EXPECT_EQ(events[2].taken, (std::vector<Stamp>{std::uint64_t{1} << 40, 0, 0}));
  EXPECT_EQ(events[6].taken, (std::vector<Stamp>{0, 0, 301}));
  EXPECT_EQ(events[5].exchanges, 16);
  EXPECT_EQ(events[4].edge, 1);
  EXPECT_TRUE(events[4].begun);
  EXPECT_EQ(events[3].time_s, 0.1);
  EXPECT_EQ(events[7].time_s, 7.25);
  EXPECT_TRUE(events[3].begun);
  EXPECT_FALSE(events[7].begun);
  EXPECT_EQ(events[3].model, checksum(std::as_bytes(std::span(kModel))));
}

TEST(DeliveryLog, IsUsableUpToWhereItWasCut) {
  const Scratch scratch;
  const std::string text = write_log(scratch);
  const auto all = events_of(text);
  std::size_t before = 0;
  for (std::size_t length = text.find('\n') + 1; length < text.size(); ++length) {
    const auto events = events_of(text.substr(0, length));
    ASSERT_GE(events.size(), before);
    ASSERT_LE(events.size(), before + 1);
    before = events.size();
    for (std::size_t i = 0; i < events.size(); ++i) EXPECT_TRUE(same(events[i], all[i])) << length << ", event " << i;
  }
  EXPECT_EQ(before + 1, all.size());
}

TEST(DeliveryLog, NeverReadsADamagedByteForATrueOne) {
  const Scratch scratch;
  const std::string text = write_log(scratch);
  const auto all = events_of(text);
  int told = 0;
  for (std::size_t at = 0; at < text.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = text;
      damaged[at] ^= static_cast<char>(1 << bit);
      try {
        EXPECT_LT(events_of(damaged).size(), all.size()) << "byte " << at << ", bit " << bit;  // taken for a cut one
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Exit::io);
        ++told;
      }
    }
  EXPECT_GT(told, 6 * static_cast<int>(text.size()));
}

TEST(DeliveryLog, RefusesWhatIsNone) {
  for (const char* text : {"", "\n", "ecl deliveries 1: node 5 of 5, 3 edges, config 00000000, data 00000000\n",
                           "ecl deliveries 1: node 0 of 5, 9 edges, config 00000000, data 00000000\n"})
    EXPECT_THROW(DeliveryReader("log", bytes_of(text)), Error) << text;
}

TEST(DeliveryLog, SaysThatItCannotBeWritten) {
  EXPECT_THROW(DeliveryLog("/dev/full", kOrigin), Error);
  EXPECT_THROW(DeliveryLog("/nowhere/log", kOrigin), Error);
}

// --- recorded runs ---

std::string metrics_of(const std::string& directory) { return read_file(directory + "/metrics.csv"); }

/// The sum of a column over all rows.
double sum_of(const std::string& csv, const std::string& column) {
  const auto lines = lines_of(csv);
  const auto names = split(lines.at(0), ',');
  const auto at = std::find(names.begin(), names.end(), column) - names.begin();
  double sum = 0;
  for (std::size_t r = 1; r < lines.size(); ++r) sum += std::stod(split(lines[r], ',').at(at));
  return sum;
}

/// Replays `directory` and finds the recorded run's bytes again.
void expect_the_same_again(const std::string& directory) {
  const std::string again = directory + "-again";
  const Outcome replay = run(tool("replay " + directory + " --quiet --out " + again));
  EXPECT_EQ(replay.exit_code, 0) << replay.err;
  EXPECT_EQ(count(replay.out, "bit for bit"), 1u) << replay.out;
  EXPECT_TRUE(metrics_of(again) == metrics_of(directory)) << replay.out;
  EXPECT_TRUE(read_file(again + "/model/model.safetensors") == read_file(directory + "/model/model.safetensors"));
  const auto options_of = [](const std::string& run) {
    const std::string config = read_file(run + "/config.ini");
    return config.substr(config.find('\n'));  // after the line that names the command
  };
  EXPECT_EQ(options_of(again), options_of(directory));
}

struct Night {
  const char* name;
  int ranks;
  const char* options;
};

class Nights : public testing::TestWithParam<Night> {};

TEST_P(Nights, AreRepeatedBitForBit) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  const auto& [name, ranks, options] = GetParam();
  const Outcome recorded = run(tool_on(ranks, std::string("train --quiet --record --out ") + out + " " + options));
  ASSERT_EQ(recorded.exit_code, 0) << recorded.err;
  if (ranks > 1) {
    EXPECT_GT(sum_of(metrics_of(out), "messages_overwritten"), 0) << "that run was no night to remember";
  }
  expect_the_same_again(out);
}

INSTANTIATE_TEST_SUITE_P(
    Replay, Nights,
    testing::Values(
        Night{"ecl", 4, "--partition classes:3 --epochs 100 --eval-every 10 --node-speed 0:4 --augment crop-flip"},
        Night{"ecl_every_step", 4, "--local-steps 1 --steps 1003 --eval-every 3 --node-speed 3:2"},
        Night{"ecl_exchanges", 4, "--exchanges 3 --local-steps 2 --epochs 60 --eval-every 10 --node-speed 0:4"},
        Night{"ecl_exchanges_auto", 4,
              "--exchanges auto:100 --local-steps 2 --epochs 60 --eval-every 10 --node-speed 0:4"},
        Night{"dpsgd_exchanges_auto", 4, "--solver dpsgd --exchanges auto --epochs 60 --eval-every 10"},
        Night{"ecl_overlap", 4, "--overlap --local-steps 3 --epochs 60 --eval-every 10 --node-speed 0:4"},
        Night{"rfast_cumulative", 4, "--solver rfast --epochs 100 --eval-every 10 --node-speed 0:4"},
        Night{"sgp_one_way", 4, "--solver sgp --topology directed_ring --epochs 100 --eval-every 10 --node-speed 2:3"},
        Night{"fedbuff_server", 4,
              "--solver fedbuff --topology star --epochs 100 --eval-every 10 --node-speed 1:4,2:2"},
        Night{"fedasync_odd_steps", 4,
              "--solver fedasync --topology star --steps 503 --local-steps 7 --node-speed 1:8"},
        Night{"lt_admm_mlp_momentum", 3,
              "--solver lt_admm --model mlp --hidden 32 --momentum 0.5 --lr 0.02 --epochs 30 --node-speed 2:3"},
        Night{"ecl_adam_clipped", 4, "--optimizer adam --clip-norm 1 --epochs 60 --eval-every 10 --node-speed 1:3"},
        Night{"rand_k_complete", 4, "--topology complete --set compress=rand_k:0.25 --epochs 60 --node-speed 1:3"},
        Night{"pdmm_exact_steps", 4, "--solver pdmm --local-steps 1 --epochs 20 --batch 1000 --node-speed 1:3"},
        Night{"alone", 1, "--epochs 5"}),
    [](const auto& test) { return test.param.name; });

std::string recorded_run(const Scratch& scratch, const std::string& options = "--epochs 40 --eval-every 10") {
  std::string out = (scratch / "a").string();
  EXPECT_EQ(run(tool_on(3, "train --quiet --record --out " + out + " " + options)).exit_code, 0);
  return out;
}

/// It is stopped in the middle, so that a slow test sees the same.
TEST(Replay, InProgressIsARunThatGoesOn) {
  const Scratch scratch;
  const std::string out = recorded_run(scratch, "--steps 2000 --eval-every 0"), again = out + "-again";
  Process process(tool("replay --quiet " + out + " --out " + again));
  ASSERT_TRUE(process.wait_until([&] { return fs::exists(again + "/status.json"); }, 60)) << process.err();
  process.signal(SIGSTOP);
  const Outcome top = run(tool("top " + again));
  EXPECT_EQ(top.out.rfind(again + ": running, ", 0), 0u) << top.out;
  EXPECT_TRUE(RunLock::held(again));
  process.signal(SIGCONT);
  EXPECT_EQ(process.wait(60).exit_code, 0);
  EXPECT_EQ(run(tool("top " + again)).out.find(": running"), std::string::npos);
}

TEST(Replay, SaysWhatTravelled) {
  const Scratch scratch;
  const std::string out = recorded_run(scratch, "--epochs 40 --eval-every 10 --checkpoint-every 10");
  const Outcome replay = run(tool("replay --quiet " + out));  // it keeps nothing, checkpoints neither
  EXPECT_EQ(replay.exit_code, 0) << replay.err;
  for (const char* edge : {"1 -> 0", "2 -> 0", "0 -> 1", "2 -> 1", "0 -> 2", "1 -> 2"})
    EXPECT_EQ(count(replay.out, edge), 1u) << replay.out;
  EXPECT_EQ(count(replay.out, "longest gap"), 1u);
  EXPECT_EQ(count(replay.out, "12 of 12 rows of metrics.csv and 12 models equal"), 1u) << replay.out;
}

TEST(Replay, RepeatsADivergingRun) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  EXPECT_EQ(run(tool_on(3, "train --quiet --record --model mlp --lr 1e6 --out " + out)).exit_code, 4);
  expect_the_same_again(out);
}

class Ended : public testing::TestWithParam<int> {};

/// By SIGTERM, in good order; or killed in the midst of it.
TEST_P(Ended, RunsAreRepeatedAsFarAsTheyGot) {
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  Process process(tool_on(3, "train --quiet --record --steps 100000000 --eval-every 20 --out " + out));
  ASSERT_TRUE(process.wait_until([&] { return count(metrics_of(out), "\n") > 10; }, 60)) << process.err();
  const auto ranks = ranks_of(process.id());
  if (ranks.size() != 3) GTEST_SKIP() << "this launcher keeps its ranks elsewhere";
  for (const pid_t rank : ranks) kill(rank, GetParam());
  EXPECT_FALSE(process.wait(60).timed_out);
  if (GetParam() == SIGTERM) {
    expect_the_same_again(out);
    const Outcome resumed = run(tool_on(3, "train --record --resume " + out));  // a recording is of a whole run
    EXPECT_EQ(resumed.exit_code, 2);
    EXPECT_EQ(count(resumed.err, "leave out --record"), 1u) << resumed.err;
  } else {
    const Outcome replay = run(tool("replay --quiet " + out));
    EXPECT_EQ(replay.exit_code, 0) << replay.err;
    const std::string rows = std::to_string(count(metrics_of(out), "\n") - 1);
    EXPECT_EQ(count(replay.out, rows + " of " + rows + " rows"), 1u) << replay.out;
  }
}

INSTANTIATE_TEST_SUITE_P(Replay, Ended, testing::Values(SIGTERM, SIGKILL),
                         [](const auto& test) { return test.param == SIGTERM ? "terminated" : "killed"; });

/// The others drop its edges and go on; the replay does the same at the same steps.
TEST(Replay, RepeatsARunThatARankDidNotSurvive) {
  if (run(tool("--version")).out.find("Open MPI") == std::string::npos)
    GTEST_SKIP() << "this MPI ends a job that loses a rank";
  const Scratch scratch;
  const std::string out = (scratch / "a").string();
  Process process(words_of(ECL_MPIEXEC " --enable-recovery -n 4 " ECL_TOOL
                                       " train --quiet --record --steps 20000 --eval-every 50 --out " +
                           out));
  ASSERT_TRUE(process.wait_until([&] { return count(metrics_of(out), "\n") > 8; }, 60)) << process.err();
  const auto ranks = ranks_of(process.id());
  if (ranks.size() != 4) GTEST_SKIP() << "this launcher keeps its ranks elsewhere";
  kill(ranks[2], SIGKILL);
  const Outcome outcome = process.wait(60);
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(count(outcome.out, "partial"), 1u) << outcome.out << outcome.err;
  expect_the_same_again(out);
}

// --- what cannot be replayed ---

void expect_refusal(const std::string& options, int exit_code, const std::vector<std::string>& parts) {
  const Outcome outcome = run(tool("replay --quiet " + options));
  EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
  ASSERT_EQ(lines_of(outcome.err).size(), 1u) << outcome.err;
  for (const std::string& part : parts) EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
}

TEST(Replay, NamesTheFirstDifference) {
  const Scratch scratch;
  const std::string out = recorded_run(scratch);
  const auto lines = lines_of(metrics_of(out));
  std::string changed;
  for (std::size_t r = 0; r < lines.size(); ++r) {
    auto fields = split(lines[r], ',');
    if (r == 5) fields.at(5) = "12.3456";
    for (std::size_t f = 0; f < fields.size(); ++f) changed += (f > 0 ? "," : "") + fields[f];
    changed += '\n';
  }
  write_file(out + "/metrics.csv", changed);
  expect_refusal(out, 1, {"line 6 of metrics.csv, accuracy: 12.3456 recorded"});
}

TEST(Replay, RefusesWhatWasNotRecordedOrNotKept) {
  const Scratch scratch;
  expect_refusal((scratch / "nosuch").string(), 2, {"nosuch", "no recorded run", "ecl train --record"});
  expect_refusal("", 2, {"needs the directory"});
  const std::string out = recorded_run(scratch);
  expect_refusal(out + " --out " + out, 2, {"something is there already"});
  const std::string log = read_file(out + "/deliveries/node-1");
  std::string damaged = log;
  damaged[damaged.size() / 2] ^= 4;
  write_file(out + "/deliveries/node-1", damaged);
  expect_refusal(out, 5, {"deliveries/node-1", "damaged"});
  write_file(out + "/deliveries/node-1", log.substr(0, log.size() / 2));
  expect_refusal(out, 5, {"of 12 rows", "the recording goes no further: node"});
  write_file(out + "/deliveries/node-1", read_file(out + "/deliveries/node-2"));
  expect_refusal(out, 5, {"deliveries/node-1", "another node's"});
  fs::remove(out + "/deliveries/node-1");
  expect_refusal(out, 2, {"deliveries/node-1"});
}

TEST(Replay, RefusesAnotherConfigurationAndOtherData) {
  const Scratch scratch;
  std::string data = "a,b,label\n";
  for (int row = 0; row < 60; ++row)
    data += std::to_string(row % 7) + "," + std::to_string(row % 5) + "," + (row % 2 ? "x" : "y") + "\n";
  write_file(scratch / "data.csv", data);
  const std::string out =
      recorded_run(scratch, "--dataset csv --data " + (scratch / "data.csv").string() + " --epochs 20");
  data.back() = '\n', data[data.size() - 4] = '9';
  write_file(scratch / "data.csv", data);
  expect_refusal(out, 2, {"node ", "samples", "data.csv"});
  const std::string config = read_file(out + "/config.ini");
  write_file(out + "/config.ini", config + "momentum = 0.5\n");
  EXPECT_EQ(run(tool("replay --quiet " + out)).exit_code, 2);  // an option twice
  const std::size_t at = config.find("weight-decay = 0");
  write_file(out + "/config.ini", config.substr(0, at) + "weight-decay = 0.5" + config.substr(at + 16));
  expect_refusal(out, 2, {"config.ini", "edited"});
}

TEST(Replay, RecordingNeedsADirectoryAndAnAsynchronousRun) {
  for (const auto& [options, part] : {std::pair{"train --record", "--out DIR"},
                                      std::pair{"train --record --mode lock-step --out /nowhere", "lock step"},
                                      std::pair{"simulate --record", "--record is an option of ecl train"}}) {
    const Outcome outcome = run(tool(options));
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  }
}

}  // namespace
}  // namespace ecl::test
