// Data stay where they are: sites train on rows whose values are found nowhere else, and none of these canaries is in
// what a rank sends, in the memory of another rank, or in the run directory. Whoever looks for nothing finds nothing: a
// site's own memory must hold its canaries, and a program that sends a row on purpose must be caught.
#include <bitset>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <unistd.h>
#include <unordered_map>

#include "ecl/base/random.hpp"
#include "tests/support/command.hpp"
#include "tests/support/jobs.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

constexpr int kSites = 4, kRows = 24, kFeatures = 5, kDigits = 16;

/// What is looked for: bytes as they would lie in memory, in a file or in a message, long enough to be nothing else.
class Canaries {
 public:
  void add(const void* bytes, std::size_t size, const std::string& what) {
    std::uint64_t key = 0;
    std::memcpy(&key, bytes, sizeof key);
    known_[key] = {std::string(static_cast<const char*>(bytes), size), what};
    low_.set(key & 0xffff);
  }
  /// The first one in `bytes`; empty if there is none.
  std::string in(const std::string& bytes) const {
    for (std::size_t at = 0; at + sizeof(std::uint64_t) <= bytes.size(); ++at) {
      std::uint64_t key = 0;
      std::memcpy(&key, bytes.data() + at, sizeof key);
      if (!low_.test(key & 0xffff)) continue;
      const auto found = known_.find(key);
      if (found != known_.end() && bytes.compare(at, found->second.bytes.size(), found->second.bytes) == 0)
        return found->second.what;
    }
    return "";
  }

 private:
  struct Known {
    std::string bytes, what;
  };
  std::unordered_map<std::uint64_t, Known> known_;  // by the first eight bytes
  std::bitset<65536> low_;
};

class Canary : public testing::Test {
 protected:
  Canary() {
    for (int site = 0; site < kSites; ++site) {
      Random random(7, Purpose::test, site);
      std::string text = "a,b,c,d,e,label\n";
      for (int row = 0; row < kRows; ++row) {
        auto& values = values_[site].emplace_back();
        for (int f = 0; f < kFeatures; ++f) {
          std::string digits = "0.";
          for (int d = 0; d < kDigits; ++d) digits += static_cast<char>('1' + random.below(9));
          values.push_back(digits);
          text += values.back() + ",";
        }
        text += row % 2 == 0 ? "up\n" : "down\n";
      }
      write_file(scratch_ / ("site" + std::to_string(site) + ".csv"), text);
    }
    fs::create_directory(scratch_ / "sent");
  }

  std::string path(const std::string& name) const { return (scratch_ / name).string(); }

  /// Of a site: its cells as text, as doubles, and neighbouring ones as floats, raw and scaled by `scale`.
  Canaries canaries_of(int site, const Json& scale = nullptr) const {
    Canaries canaries;
    for (const auto& row : values_.at(site))
      for (int f = 0; f < kFeatures; ++f) {
        const std::string what = row[f] + " of site " + std::to_string(site);
        const double exact = std::stod(row[f]);
        canaries.add(row[f].data() + 2, kDigits, what + " as text");
        canaries.add(&exact, sizeof exact, what + " as a double");
        if (f + 1 == kFeatures) continue;
        const float raw[2] = {static_cast<float>(exact), std::stof(row[f + 1])};
        canaries.add(raw, sizeof raw, what + " as a float");
        if (scale.is_null()) continue;
        float scaled[2];
        for (int k = 0; k < 2; ++k) {
          const double mean = scale["mean"][f + k], deviation = scale["deviation"][f + k];
          scaled[k] = static_cast<float>((raw[k] - mean) * (1 / deviation));
        }
        canaries.add(scaled, sizeof scaled, what + " as a scaled float");
      }
    return canaries;
  }

  /// `mpirun -n 4 PROGRAM ...`, what each rank sends being kept.
  std::vector<std::string> recorded(const std::string& program) const {
    return words_of(std::string(ECL_MPIEXEC) +
                    " -n 4 env ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 ECL_SENT=" + path("sent") +
                    " LD_PRELOAD=" ECL_RECORDER " " + program);
  }
  std::string training(const std::string& parameters) const {
    return std::string(ECL_TOOL) + " train --quiet --batch 4 --exchange messages --dataset csv:label=label" +
           parameters + " --data " + path("site{node}.csv");
  }
  std::string sent_by(int rank) const { return read_file(path("sent") + "/" + std::to_string(rank)); }

  const Scratch scratch_;
  std::map<int, std::vector<std::vector<std::string>>> values_;
};

/// All that a process can read of its own memory.
std::string memory_of(pid_t process) {
  const std::string folder = "/proc/" + std::to_string(process);
  std::istringstream maps(read_file(folder + "/maps"));
  const int memory = open((folder + "/mem").c_str(), O_RDONLY | O_CLOEXEC);
  if (memory < 0) return "";
  std::string all;
  for (std::string line; std::getline(maps, line);) {
    unsigned long long begin = 0, end = 0;
    char rights[8] = "";
    if (std::sscanf(line.c_str(), "%llx-%llx %7s", &begin, &end, rights) != 3 || rights[1] != 'w') continue;
    std::string part(1 << 20, '\0');
    for (unsigned long long at = begin; at < end;) {
      const ssize_t got =
          pread(memory, part.data(), std::min<unsigned long long>(part.size(), end - at), static_cast<off_t>(at));
      if (got <= 0) break;
      all.append(part, 0, static_cast<std::size_t>(got));
      at += static_cast<unsigned long long>(got);
    }
  }
  close(memory);
  return all;
}

int rank_of(pid_t process) {
  std::smatch found;
  std::string environment = "\n";
  for (const char letter : read_file("/proc/" + std::to_string(process) + "/environ"))
    environment += letter == '\0' ? '\n' : letter;
  const std::regex rank("\n(?:OMPI_COMM_WORLD_RANK|PMI_RANK)=([0-9]+)");
  return std::regex_search(environment, found, rank) ? std::stoi(found[1]) : -1;
}

TEST_F(Canary, IsInNothingThatASiteSends) {
  for (const std::string parameters : {"", ",standardise=0"}) {
    const std::string out = path("run" + parameters);
    const Outcome outcome = run(recorded(training(parameters) + " --epochs 6 --checkpoint-every 2 --out " + out));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const Json inputs = Json::parse(read_file(out + "/model/model.json"));
    for (int site = 0; site < kSites; ++site) {
      const Canaries canaries = canaries_of(site, parameters.empty() ? inputs : Json());
      const std::string sent = sent_by(site);
      EXPECT_GT(sent.size(), 1000u);
      EXPECT_EQ(canaries.in(sent), "") << "in what rank " << site << " sends";
      for (const auto& entry : fs::recursive_directory_iterator(out))
        if (entry.is_regular_file()) {
          EXPECT_EQ(canaries.in(read_file(entry.path())), "") << "in " << entry.path();
        }
    }
  }
}

TEST_F(Canary, ThatASiteSendsOnPurposeIsFound) {
  const Outcome outcome = run(recorded(ECL_LEAKING_SITE " " + path("site{node}.csv")));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (int site = 0; site < kSites; ++site) EXPECT_NE(canaries_of(site).in(sent_by(site)), "") << "rank " << site;
}

TEST_F(Canary, IsInItsOwnSitesMemoryOnly) {
  const std::string out = path("run");
  Process launcher(contained(words_of(std::string(ECL_MPIEXEC) + " -n 4 " + training(",standardise=0") +
                                      " --epochs 1e6 --eval-every 5 --checkpoint-every 50 --out " + out),
                             scratch_));
  ASSERT_TRUE(launcher.wait_until([&] { return fs::exists(out + "/checkpoints/latest"); }, 60)) << launcher.err();
  int looked_into = 0;
  for (const pid_t process : ranks_of(launcher.id())) {
    const int rank = rank_of(process);
    const std::string memory = memory_of(process);
    if (rank < 0 || memory.empty()) continue;
    ++looked_into;
    for (int site = 0; site < kSites; ++site) {
      const std::string found = canaries_of(site).in(memory);
      EXPECT_EQ(found.empty(), site != rank) << found << " in the memory of rank " << rank;
    }
  }
  kill_job(launcher);
  if (looked_into == 0) GTEST_SKIP() << "this user may not look into other processes' memory";
  EXPECT_EQ(looked_into, kSites);
}

TEST(CanaryRecorder, SeesEveryFunctionThatSends) {
  const std::string recorder = read_file(std::string(ECL_SOURCE_DIR) + "/tests/canary/recorder.cpp");
  const std::set<std::string> sends_no_data = {"MPI_Abort",
                                               "MPI_Barrier",
                                               "MPI_Comm_create_keyval",
                                               "MPI_Comm_dup",
                                               "MPI_Comm_free",
                                               "MPI_Comm_free_keyval",
                                               "MPI_Comm_rank",
                                               "MPI_Comm_set_attr",
                                               "MPI_Comm_set_errhandler",
                                               "MPI_Comm_size",
                                               "MPI_Comm_split_type",
                                               "MPI_Comm_test_inter",
                                               "MPI_Error_string",
                                               "MPI_Finalize",
                                               "MPI_Finalized",
                                               "MPI_Get_library_version",
                                               "MPI_Ibarrier",
                                               "MPI_Info_create",
                                               "MPI_Info_free",
                                               "MPI_Info_set",
                                               "MPI_Initialized",
                                               "MPI_Init_thread",
                                               "MPI_Iprobe",
                                               "MPI_Irecv",
                                               "MPI_Query_thread",
                                               "MPI_Recv",
                                               "MPI_Test",
                                               "MPI_Win_allocate",
                                               "MPI_Win_allocate_shared",
                                               "MPI_Win_flush",
                                               "MPI_Win_free",
                                               "MPI_Win_lock_all",
                                               "MPI_Win_set_errhandler",
                                               "MPI_Win_shared_query",
                                               "MPI_Win_sync",
                                               "MPI_Win_unlock_all",
                                               "MPI_Wtime"};
  const std::regex call("\\b(MPI_[A-Z][a-z_]+)\\(");
  for (const auto& entry : fs::recursive_directory_iterator(std::string(ECL_SOURCE_DIR) + "/ecl")) {
    if (!entry.is_regular_file()) continue;
    const std::string text = read_file(entry.path());
    for (std::sregex_iterator at(text.begin(), text.end(), call), end; at != end; ++at) {
      const std::string name = (*at)[1];
      EXPECT_TRUE(sends_no_data.count(name) || recorder.find("int " + name + "(") != std::string::npos)
          << entry.path() << " calls " << name << ", which tests/canary/recorder.cpp does not see";
    }
  }
}

}  // namespace
}  // namespace ecl::test
