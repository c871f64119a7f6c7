// The house rules, read off the sources. Each rule is a function of a file's path and text, so that it can be shown a
// bad example too: a checker that finds nothing is not known to look.
#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace ecl {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

const fs::path kRoot = ECL_SOURCE_DIR;
const Names kPlugInFolders = {"solvers", "topologies", "ecl/models", "ecl/datasets", "ecl/partitions"};

struct Source {
  std::string path;  ///< from the root
  std::string text;
};

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Names lines_of(const std::string& text) {
  Names lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool starts_with(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }
bool contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// The files under `folders` whose name ends as one of `endings`.
std::vector<Source> sources(const Names& folders, const Names& endings) {
  std::vector<Source> found;
  for (const std::string& folder : folders) {
    if (!fs::exists(kRoot / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      const std::string name = entry.path().filename().string();
      const bool wanted = std::any_of(endings.begin(), endings.end(), [&](const std::string& ending) {
        return name.size() >= ending.size() && name.compare(name.size() - ending.size(), ending.size(), ending) == 0;
      });
      if (entry.is_regular_file() && wanted)
        found.push_back({fs::relative(entry.path(), kRoot).string(), read(entry.path())});
    }
  }
  std::sort(found.begin(), found.end(), [](const Source& a, const Source& b) { return a.path < b.path; });
  return found;
}

std::vector<Source> library() { return sources({"ecl", "solvers", "topologies"}, {".cpp", ".hpp"}); }

/// The text without comments and without what strings hold: what remains is what the compiler acts on.
std::string code_of(const std::string& text) {
  std::string code;
  for (std::size_t at = 0; at < text.size();) {
    const auto skip_past = [&](const std::string& end, std::size_t from) {
      const std::size_t found = text.find(end, from);
      at = found == std::string::npos ? text.size() : found + end.size();
    };
    if (text.compare(at, 2, "//") == 0) {
      at = std::min(text.find('\n', at), text.size());
    } else if (text.compare(at, 2, "/*") == 0) {
      skip_past("*/", at + 2);
    } else if (text.compare(at, 2, "R\"") == 0) {
      const std::size_t open = text.find('(', at);
      skip_past(std::string(")").append(text, at + 2, open - at - 2).append("\""), open);
    } else if (text.compare(at, 3, "'\"'") == 0) {
      at += 3;
    } else if (text[at] == '"') {
      for (++at; at < text.size() && text[at] != '"' && text[at] != '\n'; ++at)
        if (text[at] == '\\') ++at;
      ++at;
    } else {
      code += text[at++];
    }
  }
  return code;
}

/// Whether an identifier in `code` begins with `start`.
bool names_something(const std::string& code, const std::string& start) {
  for (std::size_t at = code.find(start); at != std::string::npos; at = code.find(start, at + 1)) {
    const char before = at == 0 ? ' ' : code[at - 1];
    if (!std::isalnum(static_cast<unsigned char>(before)) && before != '_') return true;
  }
  return false;
}

/// What a file includes between the two marks: "" or <>.
Names includes(const Source& source, char open, char close) {
  Names found;
  for (const std::string& line : lines_of(source.text)) {
    if (!starts_with(line, "#include")) continue;
    const std::size_t from = line.find(open), to = line.find(close, from + 1);
    if (from != std::string::npos && to != std::string::npos) found.push_back(line.substr(from + 1, to - from - 1));
  }
  return found;
}

// --- the rules: each returns what is wrong ---

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

/// -1: not a place for library code.
int floor_of(const std::string& path) {
  static const std::vector<std::pair<std::string, int>> floors = {
      {"ecl/words", 0},      {"ecl/contracts", 1}, {"ecl/mpi", 1},    {"ecl/engines", 2},
      {"solvers", 3},        {"topologies", 3},    {"ecl/models", 3}, {"ecl/datasets", 3},
      {"ecl/partitions", 3}, {"ecl/run", 4},       {"ecl/tool", 4}};
  for (const auto& [folder, floor] : floors)
    if (starts_with(path, folder + "/")) return floor;
  return -1;
}

Names floor_violations(const Source& source) {
  const int own = floor_of(source.path);
  if (own < 0) return {source.path + ": library code belongs to one of the floors"};
  Names wrong;
  for (const std::string& included : includes(source, '"', '"')) {
    const int floor = floor_of(included);
    const std::string what = source.path + " includes " + included;
    if (floor < 0) wrong.push_back(what + ", which is on no floor; write paths from the root");
    if (floor > own) wrong.push_back(what + ", a higher floor");
    const bool plug_in = own == 3 && !starts_with(included, folder_of(source.path) + "/");
    if (plug_in && (floor > 1 || starts_with(included, "ecl/mpi/")))
      wrong.push_back(what + "; a plug-in sees words, contracts, its own folder and those in it");
  }
  return wrong;
}

Names mpi_violations(const Source& source) {
  for (const char* allowed : {"ecl/mpi/", "ecl/engines/call_off.", "ecl/engines/evaluations.",
                              "ecl/engines/message_channel.", "ecl/engines/survivors."})
    if (starts_with(source.path, allowed)) return {};
  Names wrong;
  if (contains(includes(source, '<', '>'), "mpi.h") || contains(includes(source, '"', '"'), "mpi.h"))
    wrong.push_back(source.path + " includes mpi.h; use ecl/mpi");
  if (names_something(code_of(source.text), "MPI_")) wrong.push_back(source.path + " names MPI_...; use ecl/mpi");
  return wrong;
}

Names clock_violations(const Source& source) {
  for (const char* allowed : {"ecl/mpi/comm.cpp", "ecl/run/run_sim.cpp", "ecl/run/run_replay.cpp"})
    if (source.path == allowed) return {};
  Names wrong;
  const std::string code = code_of(source.text);
  for (const char* clock :
       {"steady_clock", "system_clock", "high_resolution_clock", "MPI_Wtime", "clock_gettime", "gettimeofday"})
    if (names_something(code, clock)) wrong.push_back(source.path + " reads " + clock + "; ask the port for the time");
  return wrong;
}

Names long_lines(const Source& source) {
  constexpr std::ptrdiff_t kColumns = 120;
  Names wrong;
  const Names lines = lines_of(source.text);
  for (std::size_t l = 0; l < lines.size(); ++l) {
    const auto columns = std::count_if(lines[l].begin(), lines[l].end(),
                                       [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
    if (columns > kColumns)
      wrong.push_back(source.path + ":" + std::to_string(l + 1) + " has " + std::to_string(columns) + " columns");
  }
  return wrong;
}

Names header_violations(const Source& source) {
  const Names lines = lines_of(source.text);
  return contains(lines, "#pragma once") ? Names{} : Names{source.path + " has no #pragma once"};
}

Names entries(const std::string& registry) {
  Names names;
  for (const std::string& line : lines_of(registry))
    if (starts_with(line, "ENTRY(")) names.push_back(line.substr(6, line.find(',') - 6));
  return names;
}

/// `files`: the names of the .cpp files in `folder`; `cmake`: the text that lists the helpers among them.
Names registry_violations(const std::string& folder, const std::string& registry, const Names& files,
                          const std::string& cmake) {
  Names wrong;
  const Names names = entries(registry);
  for (const std::string& name : names) {
    if (!contains(files, name + ".cpp"))
      wrong.push_back(folder + "/registry.def names " + name + ": no " + name + ".cpp");
    if (std::count(names.begin(), names.end(), name) > 1) wrong.push_back(folder + "/registry.def: " + name + " twice");
  }
  for (const std::string& file : files) {
    const std::string path = folder + "/" + file;
    if (file == "registry.cpp" || contains(names, file.substr(0, file.size() - 4))) continue;
    if (cmake.find(path) == std::string::npos) wrong.push_back(path + " is in neither registry.def nor CMakeLists.txt");
  }
  return wrong;
}

Names top_level_violations(const Names& names) {
  static const Names agreed = {"CMakeLists.txt",
                               "README.md",
                               "CHANGELOG.md",
                               "LICENSE",
                               "CMakePresets.json",
                               "ecl",
                               "solvers",
                               "topologies",
                               "bench",
                               "tests",
                               "scripts",
                               "runs",
                               "data"};
  Names wrong;
  for (const std::string& name : names)
    if (!contains(agreed, name) && name[0] != '.' && !starts_with(name, "build"))
      wrong.push_back(name + " is not one of the names agreed for the top level");
  return wrong;
}

// --- the rules on this tree ---

std::string list(const Names& wrong) {
  std::string text;
  for (const std::string& line : wrong) text += "\n  " + line;
  return text;
}

void expect_none(const std::vector<Source>& files, const std::function<Names(const Source&)>& rule) {
  ASSERT_FALSE(files.empty());
  Names wrong;
  for (const Source& file : files)
    for (const std::string& line : rule(file)) wrong.push_back(line);
  EXPECT_TRUE(wrong.empty()) << list(wrong);
}

TEST(House, IncludesGoToTheSameFloorOrLower) { expect_none(library(), floor_violations); }
TEST(House, OnlyTheMpiFolderAndTwoEnginesKnowMpi) { expect_none(library(), mpi_violations); }
TEST(House, OnlyThePortAndTheRunnersInOneProcessReadAClock) { expect_none(library(), clock_violations); }
TEST(House, HeadersAreIncludedOnce) {
  expect_none(sources({"ecl", "solvers", "topologies", "bench", "tests"}, {".hpp"}), header_violations);
}

TEST(House, LinesFitTheColumns) {
  auto files = sources({"ecl", "solvers", "topologies", "bench", "tests", "scripts"},
                       {".cpp", ".hpp", ".def", "CMakeLists.txt", ".py", ".sh", ".cmake"});
  files.push_back({"CMakeLists.txt", read(kRoot / "CMakeLists.txt")});
  std::erase_if(files, [](const Source& file) { return file.path == "ecl/datasets/digits_data.cpp"; });  // generated
  expect_none(files, long_lines);
}

TEST(House, EveryPlugInIsRegisteredAndCompiled) {
  const std::string cmake = read(kRoot / "CMakeLists.txt");
  for (const std::string& folder : kPlugInFolders) {
    Names files;
    for (const auto& entry : fs::directory_iterator(kRoot / folder))
      if (entry.path().extension() == ".cpp") files.push_back(entry.path().filename());
    const std::string registry = read(kRoot / folder / "registry.def");
    EXPECT_FALSE(entries(registry).empty()) << folder;
    const Names wrong = registry_violations(folder, registry, files, cmake);
    EXPECT_TRUE(wrong.empty()) << list(wrong);
  }
}

TEST(House, TheTopLevelHoldsTheAgreedNames) {
  Names names;
  for (const auto& entry : fs::directory_iterator(kRoot)) names.push_back(entry.path().filename());
  ASSERT_TRUE(contains(names, "CMakeLists.txt"));
  const Names wrong = top_level_violations(names);
  EXPECT_TRUE(wrong.empty()) << list(wrong);
}

class Readme : public testing::TestWithParam<std::string> {};

TEST_P(Readme, IsThere) { EXPECT_TRUE(fs::exists(kRoot / GetParam() / "README.md")) << GetParam() << "/README.md"; }

INSTANTIATE_TEST_SUITE_P(House, Readme,
                         testing::Values(".", "ecl", "solvers", "topologies", "ecl/models", "ecl/datasets",
                                         "ecl/partitions", "bench", "tests", "scripts"),
                         [](const auto& test) {
                           std::string name = test.param == "." ? "root" : test.param;
                           std::replace(name.begin(), name.end(), '/', '_');
                           return name;
                         });

// --- the checkers on bad examples ---

Source source(const std::string& path, const std::string& text) { return {path, text}; }

TEST(Checker, SeesAHigherFloor) {
  EXPECT_EQ(floor_violations(source("ecl/words/a.hpp", "#include \"ecl/contracts/graph.hpp\"\n")).size(), 1u);
  EXPECT_EQ(floor_violations(source("ecl/engines/a.cpp", "#include \"ecl/run/spec.hpp\"\n")).size(), 1u);
  EXPECT_EQ(floor_violations(source("ecl/mpi/a.cpp", "#include \"ecl/engines/node.hpp\"\n")).size(), 1u);
  EXPECT_EQ(floor_violations(source("ecl/engines/a.cpp", "#include \"solvers/registry.def\"\n")).size(), 1u);
  EXPECT_EQ(floor_violations(source("ecl/engines/a.cpp", "#include \"node.hpp\"\n")).size(), 1u);
  EXPECT_EQ(floor_violations(source("ecl/other/a.cpp", "")).size(), 1u);
  EXPECT_TRUE(floor_violations(source("ecl/run/a.cpp", "#include \"ecl/engines/node.hpp\"\n")).empty());
}

TEST(Checker, SeesAPlugInThatLooksElsewhere) {
  for (const char* included : {"ecl/mpi/comm.hpp", "ecl/engines/node.hpp", "ecl/datasets/table.hpp",
                               "ecl/models/network.hpp", "topologies/edges.hpp", "ecl/run/spec.hpp"}) {
    const Names wrong = floor_violations(source("solvers/a.cpp", std::string("#include \"") + included + "\"\n"));
    EXPECT_FALSE(wrong.empty()) << included;
  }
  for (const char* included : {"ecl/contracts/solver.hpp", "ecl/words/check.hpp", "solvers/shared.hpp"})
    EXPECT_TRUE(floor_violations(source("solvers/a.cpp", std::string("#include \"") + included + "\"\n")).empty());
}

TEST(Checker, SeesMpi) {
  EXPECT_EQ(mpi_violations(source("ecl/run/a.cpp", "#include <mpi.h>\n")).size(), 1u);
  EXPECT_EQ(mpi_violations(source("solvers/a.cpp", "int n = MPI_Barrier(0);\n")).size(), 1u);
  EXPECT_EQ(mpi_violations(source("ecl/engines/optimizer.hpp", "MPI_Request r;\n")).size(), 1u);
  EXPECT_TRUE(mpi_violations(source("ecl/engines/message_channel.cpp", "#include <mpi.h>\nMPI_Request r;\n")).empty());
  EXPECT_TRUE(mpi_violations(source("ecl/run/a.cpp", "// MPI_Put\nauto s = \"MPI_Get\"; f(OMPI_X);\n")).empty());
}

TEST(Checker, SeesAClock) {
  EXPECT_EQ(clock_violations(source("ecl/engines/node.hpp", "std::chrono::steady_clock::now();\n")).size(), 1u);
  EXPECT_EQ(clock_violations(source("ecl/run/run_rma.cpp", "double t = MPI_Wtime();\n")).size(), 1u);
  EXPECT_TRUE(clock_violations(source("ecl/engines/node.hpp", "/* steady_clock */\n")).empty());
  EXPECT_TRUE(clock_violations(source("ecl/mpi/comm.cpp", "double t = MPI_Wtime();\n")).empty());
}

TEST(Checker, SeesALongLineAndAMissingPragma) {
  EXPECT_EQ(long_lines(source("a.cpp", "x\n" + std::string(121, 'x') + "\n")).size(), 1u);
  EXPECT_TRUE(long_lines(source("a.cpp", std::string(120, 'x') + "\n")).empty());
  std::string accented;
  for (int i = 0; i < 120; ++i) accented += "\xc3\xa9";
  EXPECT_TRUE(long_lines(source("a.cpp", accented + "\n")).empty());
  EXPECT_EQ(header_violations(source("a.hpp", "// #pragma once\nint x;\n")).size(), 1u);
  EXPECT_TRUE(header_violations(source("a.hpp", "#pragma once\nint x;\n")).empty());
}

TEST(Checker, SeesAForgottenRegistryLineAndAMissingFile) {
  const std::string registry = "// comment\nENTRY(ring, \"a ring\")\n";
  EXPECT_TRUE(registry_violations("t", registry, {"registry.cpp", "ring.cpp"}, "").empty());
  EXPECT_EQ(registry_violations("t", registry, {"registry.cpp"}, "").size(), 1u);
  EXPECT_EQ(registry_violations("t", registry, {"ring.cpp", "star.cpp"}, "").size(), 1u);
  EXPECT_TRUE(registry_violations("t", registry, {"ring.cpp", "star.cpp"}, "add_library(x t/star.cpp)").empty());
  EXPECT_EQ(registry_violations("t", registry + registry, {"ring.cpp"}, "").size(), 2u);
}

TEST(Checker, SeesAnUnknownNameAtTheTop) {
  EXPECT_EQ(top_level_violations({"ecl", "notes.txt", ".git", "build-debug", "docs"}).size(), 2u);
}

TEST(Checker, StripsCommentsAndStrings) {
  EXPECT_EQ(code_of("a // b\nc"), "a \nc");
  EXPECT_EQ(code_of("a /* b\n */c"), "a c");
  EXPECT_EQ(code_of("f(\"x \\\" // y\") + g"), "f() + g");
  EXPECT_EQ(code_of("c == '\"' || b"), "c ==  || b");
  EXPECT_EQ(code_of("f(R\"(x \" // y)\") + g"), "f() + g");
}

}  // namespace
}  // namespace ecl
