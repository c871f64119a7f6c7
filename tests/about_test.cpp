// What the tool says of itself: its version and how it was built, and the manual page.
#include <filesystem>
#include <gtest/gtest.h>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "ecl/base/build.hpp"
#include "tests/support/command.hpp"

namespace ecl::test {
namespace {

namespace fs = std::filesystem;

std::string said_by(const std::string& options) {
  const Outcome outcome = run(tool(options));
  EXPECT_EQ(outcome.exit_code, 0) << options << outcome.err;
  return outcome.out;
}

TEST(About, VersionIsALineForEachThing) {
  std::istringstream text(said_by("--version"));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[0], "ecl " + version());
  EXPECT_TRUE(std::regex_match(lines[1], std::regex("commit     (unknown|[0-9a-f]{12,40}(, with changes)?)")))
      << lines[1];
  EXPECT_EQ(lines[2].rfind("MPI        ", 0), 0u);
  EXPECT_EQ(lines[3], "SIMD       " + simd());
  EXPECT_TRUE(std::regex_match(lines[4], std::regex("compiler   [A-Za-z]+ [0-9.]+, [A-Za-z]+"))) << lines[4];
  EXPECT_TRUE(std::regex_match(lines[5], std::regex("features   HDF5 (yes|no), LibTorch (yes|no)"))) << lines[5];
}

/// What the build writes down for the source tree `source`, in `file`.
std::string commit_of(const std::string& source, const std::string& file) {
  const std::string script = ECL_SOURCE_DIR "/ecl/tool/commit.cmake";
  const Outcome outcome = run({"cmake", "-DSOURCE=" + source, "-DOUT=" + file, "-P", script});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  std::smatch found;
  const std::string text = read_file(file);
  return std::regex_search(text, found, std::regex("return \"(.*)\"")) ? found[1].str() : text;
}

TEST(About, CommitIsThatOfACheckoutWithAWordOnChanges) {
  const Scratch scratch;
  const fs::path folder = fs::canonical(scratch.path()) / "checkout";
  const std::string file = (scratch / "commit.cpp").string();
  fs::create_directories(folder / "unpacked");
  write_file(folder / "a", "first");
  const auto git = [&](const std::string& command) {
    return run({"sh", "-c", "git -C " + folder.string() + " -c user.name=a -c user.email=a " + command});
  };
  if (git("init --quiet").exit_code != 0) GTEST_SKIP() << "no git";
  ASSERT_EQ(git("add a").exit_code, 0);
  ASSERT_EQ(git("commit --quiet --message a").exit_code, 0);
  const std::string head = git("rev-parse HEAD").out.substr(0, 12);
  EXPECT_EQ(commit_of(folder, file), head);
  const auto written = fs::last_write_time(file);
  EXPECT_EQ(commit_of(folder, file), head);
  EXPECT_EQ(fs::last_write_time(file), written) << "the same commit is not compiled again";
  write_file(folder / "a", "second");
  EXPECT_EQ(commit_of(folder, file), head + ", with changes");
  EXPECT_EQ(commit_of(folder / "unpacked", file), "unknown") << "a tarball inside another project's checkout";
}

/// Roff's marks taken out.
std::string plain(std::string page) {
  for (const auto& [mark, letter] :
       {std::pair{"\\\\fB|\\\\fR|\\\\&", ""}, std::pair{"\\\\-", "-"}, std::pair{"\\\\e", "\\"}})
    page = std::regex_replace(page, std::regex(mark), letter);
  return page;
}

std::size_t count_matches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  return std::distance(std::sregex_iterator(text.begin(), text.end(), regex), std::sregex_iterator());
}

TEST(About, ManualPageHasTheHelpOfEveryCommandItsOptionsInBold) {
  const std::string page = read_file(fs::path(ECL_TOOL).parent_path() / "ecl.1"), help = said_by("--help");
  EXPECT_EQ(page.rfind(".TH ECL 1 \"\" \"ecl " + version() + "\"", 0), 0u);
  EXPECT_NE(plain(page).find("\n" + help), std::string::npos);
  EXPECT_NE(page.find("share/doc/ecl/examples/cluster"), std::string::npos);
  std::size_t options = 0;
  const std::regex command("\n    ecl ([a-z]+)");
  for (std::sregex_iterator at(help.begin(), help.end(), command), end; at != end; ++at) {
    const std::string name = (*at)[1], own_help = said_by(name + " --help");
    const std::string title = ".SH \"ecl " + name + "\"\n";
    const std::size_t start = page.find(title);
    ASSERT_NE(start, std::string::npos) << name;
    const std::string section = page.substr(start, page.find("\n.SH", start) - start);
    EXPECT_NE(plain(section).find("\n" + own_help), std::string::npos) << name << section;
    const std::size_t named = count_matches(own_help, "\n  (-[a-z] \\[ )?--[a-z]");
    EXPECT_EQ(count_matches(section, "\n  \\\\fB(\\\\-[a-z] \\[ )?\\\\-\\\\-[a-z0-9\\\\-]+( \\])?\\\\fR"), named)
        << name;
    options += named;
  }
  EXPECT_GT(options, 100u);  // train and simulate have 50 each
}

}  // namespace
}  // namespace ecl::test
