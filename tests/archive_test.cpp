// Archives: what is saved comes back, and no file, however damaged, does more harm than one clear error.
#include "ecl/base/archive.hpp"

#include <gtest/gtest.h>
#include <optional>
#include <sys/resource.h>
#include <sys/stat.h>

#include "ecl/base/check.hpp"
#include "ecl/base/files.hpp"
#include "ecl/base/floats.hpp"
#include "ecl/base/random.hpp"
#include "ecl/run/directory/checkpoints.hpp"
#include "tests/support/command.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl {
namespace {

using test::Scratch;

struct Pair {
  std::int64_t first = 0;  // no padding, which would be saved as it is
  double second = 0;
  bool operator==(const Pair&) const = default;
};

struct Part {
  std::vector<float> values;
  bool flag = false;
  void archive(Archive& archive) {
    archive.list(values);
    archive(flag);
  }
  bool operator==(const Part&) const = default;
};

struct State {
  std::int64_t number = 0;
  bool yes = false;
  std::string text;
  std::optional<double> maybe, never;
  Pair pair;
  Floats fixed = Floats(3);
  std::vector<char> flags = std::vector<char>(2);
  std::vector<std::uint64_t> list;
  std::vector<Part> parts;

  void archive(Archive& archive) {
    archive(number, yes, text, maybe, never, pair, fixed, flags);
    archive.list(list);
    archive.list(parts);
  }
  bool operator==(const State&) const = default;
};

State full() {
  State state;
  state.number = -7, state.yes = true, state.text = "two\nlines", state.maybe = 0.5, state.pair = {3, 1e-9};
  state.fixed = {1, -2, 3}, state.flags = {1, 0}, state.list = {5, 6, 7}, state.parts = {{{1, 2}, true}, {{}, false}};
  return state;
}

std::string saved(State state) {
  Archive archive;
  archive(state);
  return archive.bytes();
}

TEST(Archive, WhatIsSavedComesBack) {
  State state;
  state.never = 3, state.list = {9};  // are replaced
  Archive archive(saved(full()), "state");
  archive(state);
  EXPECT_NO_THROW(archive.finish());
  EXPECT_EQ(state, full());
}

/// The error that loading `bytes` gives, empty if none; any other exception fails the test by itself.
std::string load_error(const std::string& bytes) {
  try {
    State state;
    Archive archive(bytes, "state");
    archive(state);
    archive.finish();
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::io);
    return error.what();
  }
}

TEST(Archive, EveryTruncationIsAnError) {
  const std::string bytes = saved(full());
  EXPECT_EQ(load_error(bytes), "");
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_NE(load_error(bytes.substr(0, size)), "") << size;
  EXPECT_NE(load_error(bytes + '\0').find("more than belongs"), std::string::npos);
}

TEST(Archive, AnyByteMayBeWrong) {
  const std::string bytes = saved(full());
  int refused = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at)
    for (const int value : {0, 1, 0x7f, 0xff}) {
      std::string wrong = bytes;
      wrong[at] = static_cast<char>(value);
      refused += !load_error(wrong).empty();
    }
  EXPECT_GT(refused, 100);  // lengths; a wrong number is a number
}

TEST(Archive, AHugeLengthAllocatesNothing) {
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  for (const std::uint64_t length : {std::uint64_t{1} << 40, ~std::uint64_t{0}, std::uint64_t{1} << 33}) {
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    bytes += std::string(1000, 'x');
    const auto loads = [&](auto&& load) {
      Archive archive(bytes, "huge");
      EXPECT_THROW(load(archive), Error);
    };
    loads([](Archive& archive) {
      std::vector<double> list;
      archive.list(list);
    });
    loads([](Archive& archive) {
      std::string text;
      archive(text);
    });
    loads([](Archive& archive) {
      std::vector<Part> parts;
      archive.list(parts);
    });
    loads([](Archive& archive) {
      Floats fixed(4);
      archive(fixed);
    });
  }
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 50'000) << "kB";
}

class ArchiveFile : public testing::Test {
 protected:
  ArchiveFile() {
    Archive archive;
    State state = full();
    archive(state);
    save_archive(path_, kFingerprint, archive);
  }
  /// Loads the file with this content; "" or the error.
  std::string error_of(const std::string& content, Exit code = Exit::io,
                       const std::string& fingerprint = kFingerprint) {
    try {
      parse_archive(content, "node-3", fingerprint);
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      return error.what();
    }
  }

  static constexpr const char* kFingerprint = "nodes = 4\nseed = 1\n";
  Scratch scratch_;
  std::string path_ = (scratch_ / "state").string();
};

TEST_F(ArchiveFile, ComesBackWhole) {
  Archive archive = load_archive(path_, kFingerprint);
  State state;
  archive(state);
  archive.finish();
  EXPECT_EQ(state, full());
  EXPECT_EQ(test::contents(scratch_.path()), std::set<std::string>{"state"}) << "no temporary file is left";
}

TEST_F(ArchiveFile, DamageIsOneClearError) {
  const std::string content = test::read_file(path_);
  EXPECT_EQ(error_of(content), "");
  for (std::size_t at = 0; at < content.size(); ++at) {
    std::string wrong = content;
    wrong[at] ^= 0x10;
    EXPECT_NE(error_of(wrong), "") << at;
    EXPECT_NE(error_of(content.substr(0, at)), "") << at;
  }
  EXPECT_NE(error_of(content + "x").find("damaged"), std::string::npos);
  EXPECT_NE(error_of("PK\3\4 and so on, a foreign file").find("no checkpoint of ecl"), std::string::npos);
  std::string newer = content;
  newer[8] = 9;
  EXPECT_NE(error_of(newer).find("format 9"), std::string::npos);
  Random random(1, Purpose::test);
  for (int k = 0; k < 2000; ++k) {
    std::string noise(random.below(300), '\0');
    for (char& c : noise) c = static_cast<char>(random.below(256));
    EXPECT_NE(error_of(noise), "");
  }
}

TEST_F(ArchiveFile, AnotherRunsIsRefusedAndTheDifferenceNamed) {
  const std::string content = test::read_file(path_);
  const std::string seed = error_of(content, Exit::usage, "nodes = 4\nseed = 2\n");
  EXPECT_NE(seed.find("'seed = 1' there, 'seed = 2' here"), std::string::npos) << seed;
  EXPECT_NE(error_of(content, Exit::usage, "nodes = 4\n"), "");
}

TEST_F(ArchiveFile, AFailedWriteLeavesTheOldOne) {
  const std::string content = test::read_file(path_);
  const std::string longer(1 << 20, 'x');
  rlimit old_limit{};
  getrlimit(RLIMIT_FSIZE, &old_limit);
  const rlimit small{1000, old_limit.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_THROW(write_atomically(path_, longer), Error);
  setrlimit(RLIMIT_FSIZE, &old_limit);
  EXPECT_EQ(test::read_file(path_), content);
  EXPECT_EQ(test::contents(scratch_.path()), std::set<std::string>{"state"});
  EXPECT_THROW(write_atomically((scratch_ / "no/such/folder").string(), "x"), Error);
  try {
    write_atomically(path_ + "/", "x");
    ADD_FAILURE() << "a path that ends in a slash is no file's";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), path_ + "/ names a folder; name a file, without the '/' at the end");
  }
}

TEST(AtomicFile, FollowsLinksAndReplacesNothingButFiles) {
  const Scratch scratch;
  const std::string link = (scratch / "link").string(), pipe = (scratch / "pipe").string();
  std::filesystem::create_symlink("target", link);
  write_atomically(link, "x");
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(test::read_file(scratch / "target"), "x");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(write_atomically(pipe, "x"), Error);
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
}

TEST(Checkpoints, TheLatestMovesAndTheLastTwoStay) {
  const Scratch scratch;
  const Checkpoints checkpoints(scratch.path().string(), "run\n");
  EXPECT_EQ(checkpoints.latest(), 0u);
  const Archive empty;
  for (std::uint64_t number = 1; number <= 4; ++number) {
    checkpoints.save(number, "node-0", empty);
    EXPECT_EQ(checkpoints.latest(), number - 1);
    checkpoints.publish(number);
    EXPECT_EQ(checkpoints.latest(), number);
    EXPECT_EQ(checkpoints.before(number), number - 1);
  }
  checkpoints.save(5, "node-0", empty);  // the run is killed here
  EXPECT_EQ(checkpoints.last_two().latest, 4u);
  EXPECT_EQ(checkpoints.last_two().before, 3u);
  checkpoints.go_on_from(4);
  EXPECT_EQ(test::contents(scratch.path()),
            (std::set<std::string>{"checkpoints", "checkpoints/3", "checkpoints/3/node-0", "checkpoints/4",
                                   "checkpoints/4/node-0", "checkpoints/latest"}));
  checkpoints.go_on_from(3);
  EXPECT_EQ(checkpoints.latest(), 3u);
  EXPECT_EQ(checkpoints.before(9), 3u);
  checkpoints.go_on_from(0);
  EXPECT_EQ(test::contents(scratch.path()), std::set<std::string>{"checkpoints"});
  for (const char* garbled : {"", "four\n", "-1\n", "99999999999999999999\n", "0\n"}) {
    test::write_file(scratch / "checkpoints/latest", garbled);
    EXPECT_THROW(checkpoints.latest(), Error) << garbled;
  }
}

TEST(Checkpoints, ThoseInBetweenGoWhereTheyAreKnownNotToBeWhole) {
  const Scratch scratch;
  const Checkpoints checkpoints(scratch.path().string(), "run\n");
  const Archive empty;
  for (std::uint64_t number = 1; number <= 6; ++number) checkpoints.save(number, "node-0", empty);
  checkpoints.publish(2);
  checkpoints.follow(4);
  EXPECT_EQ(checkpoints.whole(), (std::vector<std::uint64_t>{2, 3, 4}));
  checkpoints.publish(6);
  EXPECT_EQ(checkpoints.whole(), (std::vector<std::uint64_t>{4, 6}));
}

TEST(Checkpoints, AreDueAtTheEndsOfRounds) {
  const CheckpointTimes times(10.5, 4);
  std::vector<std::uint64_t> due;
  for (std::uint64_t step = times.after(0); due.size() < 5; step = times.after(step)) due.push_back(step);
  EXPECT_EQ(due, (std::vector<std::uint64_t>{12, 24, 32, 44, 56}));  // 10.5, 21, 31.5, 42, 52.5 and the round's end
  const CheckpointTimes often(0.25, 8);
  EXPECT_EQ(often.after(0), 8u);
  EXPECT_EQ(often.after(8), 16u);
  EXPECT_EQ(often.after(13), 16u);
  EXPECT_EQ(CheckpointTimes(0, 8).after(100), std::numeric_limits<std::uint64_t>::max());
}

}  // namespace
}  // namespace ecl
