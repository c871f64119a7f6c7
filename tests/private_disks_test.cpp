// Hosts that share no disk: each sees only the files of its own sites, and keeps only what belongs to its ranks.
#include <filesystem>
#include <gtest/gtest.h>

#include "ecl/base/random.hpp"
#include "tests/support/command.hpp"
#include "tests/support/jobs.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

constexpr int kSkipped = 77, kHosts = 2, kRanksPerHost = 2;

/// Two hosts of two sites, whose files lie on the disk of their host alone.
class PrivateDisks : public testing::Test {
 protected:
  PrivateDisks() {
    const char* files[] = {"site0.csv", "site1.csv", "site2.csv", "site3.csv"};
    Random random(3, Purpose::test);
    for (int site = 0; site < kHosts * kRanksPerHost; ++site) {
      std::string rows = "weight,length,kind\n";
      for (int row = 0; row < 40 + 40 * site; ++row) {
        const double weight = random.uniform(), length = site * random.uniform();
        rows += std::to_string(weight) + "," + std::to_string(length) + (weight + length > 1 ? ",big\n" : ",small\n");
      }
      const fs::path folder = on(site / kRanksPerHost, "");
      fs::create_directories(folder);
      write_file(folder / files[site], rows);
    }
  }

  /// Where `name`, as the ranks of a host see it, lies for us.
  fs::path on(int host, const std::string& name) const { return scratch_ / (host == 0 ? "h0" : "h1") / name; }
  std::string seen(const std::string& name) const { return (scratch_ / name).string(); }
  std::vector<std::string> across(const std::string& options) const {
    return words_of(ECL_SOURCE_DIR "/tests/hosts/run --private " + scratch_.path().string() + " 2 2 " ECL_TOOL " " +
                    options);
  }
  std::string training(const std::string& name, int epochs, const std::string& mode = "lock-step") const {
    return "train --quiet --mode " + mode + " --dataset csv --data " + seen("site{node}.csv") + " --batch 4 --epochs " +
           std::to_string(epochs) + " --checkpoint-every 25 --out " + seen(name);
  }
  /// The number in checkpoints/latest on a host; 0 without.
  int latest(int host, const std::string& name) const {
    return std::atoi(read_file(on(host, name) / "checkpoints/latest").c_str());
  }

  const Scratch scratch_;
};

TEST_F(PrivateDisks, EachKeepsWhatBelongsToItsRanks) {
  const Outcome outcome = run(across(training("a", 50, "async") + " --record --trace " + seen("t.json")));
  if (outcome.exit_code == kSkipped) GTEST_SKIP() << outcome.err;
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto first = contents(on(0, "a")), second = contents(on(1, "a"));
  EXPECT_EQ(second,
            (std::set<std::string>{"checkpoints", "checkpoints/1", "checkpoints/1/node-2", "checkpoints/1/node-3",
                                   "checkpoints/latest", "config.ini", "deliveries", "deliveries/node-2",
                                   "deliveries/node-3", "events.csv", "model", "model/model.json",
                                   "model/model.safetensors", "nodes.csv", "tests", "tests/node-2", "tests/node-3"}));
  for (const char* file : {"metrics.csv", "summary.json", "sites.csv", "checkpoints/1/node-1", "deliveries/node-0"})
    EXPECT_TRUE(first.contains(file)) << file;
  EXPECT_FALSE(first.contains("checkpoints/1/node-2"));
  for (const char* file : {"model.safetensors", "model.json"})
    EXPECT_EQ(read_file(on(1, "a") / "model" / file), read_file(on(0, "a") / "model" / file)) << "all want the model";
  for (const std::string& name : first) EXPECT_EQ(name.find(".kept-on"), std::string::npos) << name;
  EXPECT_EQ(summary_of(on(0, "a"))["train_samples"], 32 + 64 + 96 + 128);

  const std::string trace = read_file(on(0, "t.json"));
  EXPECT_FALSE(fs::exists(on(1, "t.json"))) << "the time line of all is rank 0's";
  EXPECT_EQ(count(trace, R"("name":"gradient")"), summary_of(on(0, "a"))["steps"].get<std::size_t>());
  for (const char* node : {"node 0 on h0", "node 1 on h0", "node 2 on h1", "node 3 on h1"})
    EXPECT_EQ(count(trace, std::string("{\"name\":\"") + node + "\"}"), 1u) << node;
}

TEST_F(PrivateDisks, EachKeepsTheScalingOfItsSites) {
  const std::string command = training("a", 2);
  const Outcome outcome = run(
      across(command.substr(0, command.find("csv")) + "csv:standardise=own" + command.substr(command.find("csv") + 3)));
  if (outcome.exit_code == kSkipped) GTEST_SKIP() << outcome.err;
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(Json::parse(read_file(on(0, "a") / "model/model.json"))["mean"].is_null());
  for (int site = 0; site < kHosts * kRanksPerHost; ++site) {
    const std::string name = "model/model-" + std::to_string(site) + ".json";
    EXPECT_FALSE(fs::exists(on(1 - site / kRanksPerHost, "a") / name));
    const Json inputs = Json::parse(read_file(on(site / kRanksPerHost, "a") / name));
    EXPECT_NEAR(inputs["mean"][1].get<double>(), 0.5 * site, 0.15 * site + 1e-9) << "a length is site * uniform";
  }
}

TEST_F(PrivateDisks, AKilledRunGoesOnBitForBit) {
  constexpr int kEpochs = 2000;
  const Outcome whole = run(across(training("whole", kEpochs)));
  if (whole.exit_code == kSkipped) GTEST_SKIP() << whole.err;
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  {
    const Scratch leftovers;
    Process process(contained(across(training("killed", kEpochs)), leftovers));
    ASSERT_TRUE(process.wait_until([&] { return latest(1, "killed") >= 3; }, 60)) << process.err();
    kill_job(process);
    process.wait(30);
    ASSERT_FALSE(fs::exists(on(0, "killed") / "summary.json")) << "it finished before it was killed";
  }
  // The other host may be a message behind: the files that it needs are there.
  EXPECT_LE(latest(1, "killed"), latest(0, "killed"));
  EXPECT_TRUE(fs::exists(on(1, "killed") / "checkpoints" / std::to_string(latest(0, "killed")) / "node-3"));

  const fs::path kept = on(1, "killed"), aside = on(1, "aside");
  fs::rename(kept, aside);
  const Outcome lost = run(across("train --quiet --resume " + seen("killed")));
  EXPECT_EQ(lost.exit_code, 2);
  EXPECT_NE(lost.err.find("ecl: rank 2 on h1: --resume " + seen("killed") + ": there is no such directory"),
            std::string::npos)
      << lost.err;
  EXPECT_FALSE(fs::exists(kept));
  fs::rename(aside, kept);

  const Outcome resumed = run(across("train --quiet --resume " + seen("killed")));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  for (int host = 0; host < kHosts; ++host)
    EXPECT_EQ(read_file(on(host, "killed") / "model/model.safetensors"),
              read_file(on(0, "whole") / "model/model.safetensors"));
  EXPECT_EQ(latest(1, "killed"), latest(0, "killed"));
}

TEST_F(PrivateDisks, WhatIsRefusedLeavesNothingBehind) {
  fs::create_directories(on(1, "a/of/another"));
  const Outcome taken = run(across(training("a", 1)));
  if (taken.exit_code == kSkipped) GTEST_SKIP() << taken.err;
  EXPECT_EQ(taken.exit_code, 2);
  EXPECT_NE(taken.err.find("ecl: rank 2 on h1: --out " + seen("a") + ": something is there already"), std::string::npos)
      << taken.err;
  EXPECT_FALSE(fs::exists(on(0, "a")));

  fs::remove(on(1, "site3.csv"));
  const Outcome missing = run(across(training("b", 1)));
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_NE(missing.err.find("ecl: rank 3 on h1: there is no file '" + seen("site3.csv") + "'"), std::string::npos)
      << missing.err;
  for (int host = 0; host < kHosts; ++host) EXPECT_FALSE(fs::exists(on(host, "b")));

  const Outcome of_all = run(across("train --dataset csv --data " + seen("site0.csv") + " --out " + seen("c")));
  EXPECT_EQ(of_all.exit_code, 2);
  EXPECT_NE(of_all.err.find("ecl: rank 2 on h1: there is no file '" + seen("site0.csv") + "'"), std::string::npos)
      << of_all.err;
  for (int host = 0; host < kHosts; ++host) EXPECT_FALSE(fs::exists(on(host, "c")));
}

/// Three hosts, of which the last two share a disk.
TEST_F(PrivateDisks, OneKeeperIsEnoughForHostsThatShareOne) {
  write_file(on(1, "site1.csv"), read_file(on(0, "site1.csv")));
  fs::create_directory_symlink("h1", scratch_ / "h2");
  const std::vector<std::string> hosts = words_of(ECL_SOURCE_DIR "/tests/hosts/run --private " +
                                                  scratch_.path().string() + " 3 1 " ECL_TOOL " " + training("a", 50));
  const Outcome outcome = run(hosts);
  if (outcome.exit_code == kSkipped) GTEST_SKIP() << outcome.err;
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto second = contents(on(1, "a"));
  for (const char* file : {"checkpoints/1/node-1", "checkpoints/1/node-2", "model/model.safetensors"})
    EXPECT_TRUE(second.contains(file)) << file;
  EXPECT_FALSE(second.contains("checkpoints/1/node-0"));
}

}  // namespace
}  // namespace ecl::test
