// Packed files that the ranks of a host read: unpacked once, the same bytes for all, and nobody is waited for in vain.
#include "ecl/run/shared_files.hpp"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <zlib.h>

#include "ecl/base/check.hpp"
#include "tests/support/files.hpp"
#include "tests/support/world.hpp"

namespace ecl::test {
namespace {

std::string content(int file) {
  std::string text;
  for (int n = 0; n < 300'000; ++n) text += std::to_string(n * (file + 1)) + "\n";
  return text;
}

void write_packed(const std::string& path, const std::string& text) {
  gzFile file = gzopen(path.c_str(), "wb1");
  ASSERT_EQ(gzwrite(file, text.data(), static_cast<unsigned>(text.size())), static_cast<int>(text.size()));
  gzclose(file);
}

std::string read_all(ByteStream& stream) {
  std::string text;
  std::vector<std::uint8_t> piece(100'000);
  while (const std::size_t got = stream.read(piece)) text.append(piece.begin(), piece.begin() + got);
  return text;
}

/// Two packed files and a plain one, which rank 0 makes.
class SharedFilesOnRanks : public testing::Test {
 protected:
  SharedFilesOnRanks() {
    folder_ = (std::filesystem::temp_directory_path() / "ecl_shared_files").string();
    if (world().rank() == 0) {
      std::filesystem::create_directories(folder_);
      write_packed(path(0), content(0)), write_packed(path(1), content(1));
      write_file(folder_ + "/plain", "plain");
    }
    world().barrier();
  }
  ~SharedFilesOnRanks() override {
    world().barrier();
    if (world().rank() == 0) std::filesystem::remove_all(folder_);
  }
  std::string path(int file) const { return folder_ + (file == 0 ? "/0.gz" : "/1.gz"); }

  std::string folder_;
};

TEST_F(SharedFilesOnRanks, AllReadTheSameInAnyOrder) {
  SharedFiles files(world());
  const int first = world().rank() % 2;
  for (const int file : {first, 1 - first, first}) EXPECT_EQ(read_all(*files.open(path(file), "")), content(file));
  EXPECT_EQ(read_all(*files.open(folder_ + "/plain", "")), "plain");
  files.close();
  world().barrier();
}

TEST_F(SharedFilesOnRanks, WhatTheFirstDoesNotOpenTheOthersUnpackThemselves) {
  SharedFiles files(world());
  if (world().rank() > 0) {
    EXPECT_EQ(read_all(*files.open(path(0), "")), content(0));
  }
  files.close();
  world().barrier();
}

TEST_F(SharedFilesOnRanks, DamageIsFoundByAll) {
  if (world().rank() == 0) {
    const std::string whole = read_file(path(0));
    write_file(path(0), whole.substr(0, whole.size() / 2));
  }
  world().barrier();
  SharedFiles files(world());
  EXPECT_THROW(read_all(*files.open(path(0), "")), Error);
  files.close();
  EXPECT_THROW(files.open(folder_ + "/none.gz", ""), Error);
  world().barrier();
}

}  // namespace
}  // namespace ecl::test
