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
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace ecl {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

const fs::path kRoot = ECL_SOURCE_DIR;
const Names kPlugInFolders = {"solvers", "topologies", "ecl/models", "ecl/data/datasets", "ecl/data/partitions"};
const Names kOutsideRooms = {"solvers", "topologies"};  // rooms that are not in ecl/

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

/// The rooms and what each sees, as the CMakeLists.txt files say it: ecl_room(NAME SEES room... SOURCES ...).
using Rooms = std::map<std::string, Names>;

Rooms rooms_of(const std::string& cmake) {
  Rooms rooms;
  const Names others = {"SOURCES", "PLUGINS", "LIBRARIES"};
  for (std::size_t at = cmake.find("ecl_room("); at != std::string::npos; at = cmake.find("ecl_room(", at + 1)) {
    std::istringstream words(cmake.substr(at + 9, cmake.find(')', at) - at - 9));
    std::string name, word;
    words >> name;
    Names& sees = rooms[name];
    for (bool listing = false; words >> word;) {
      if (word == "SEES" || contains(others, word))
        listing = word == "SEES";
      else if (listing)
        sees.push_back(word);
    }
  }
  return rooms;
}

const Rooms& rooms() {
  static const Rooms all = [] {
    std::string cmake;
    for (const Source& source : sources({"ecl", "solvers", "topologies"}, {"CMakeLists.txt"})) cmake += source.text;
    Rooms found = rooms_of(cmake);
    found["tool"] = {};  // the command line: it sees all
    for (const auto& [room, unused] : found) found["tool"].push_back(room);
    return found;
  }();
  return all;
}

/// The room that a file is in; empty: it is in none.
std::string room_of(const std::string& path) {
  const std::string top = path.substr(0, path.find('/'));
  if (contains(kOutsideRooms, top)) return top;
  if (top != "ecl") return "";
  const std::size_t end = path.find('/', 4);
  const std::string room = end == std::string::npos ? "" : path.substr(4, end - 4);
  return rooms().count(room) ? room : "";
}

/// The folder of plug-ins that a file is in; empty: none.
std::string plug_in_folder_of(const std::string& path) {
  for (const std::string& folder : kPlugInFolders)
    if (starts_with(path, folder + "/")) return folder;
  return "";
}

Names room_violations(const Source& source) {
  const std::string own = room_of(source.path);
  if (own.empty()) return {source.path + ": library code belongs to one of the rooms in ecl/README.md"};
  Names wrong;
  for (const std::string& included : includes(source, '"', '"')) {
    const std::string room = room_of(included), what = source.path + " includes " + included;
    if (room.empty())
      wrong.push_back(what + ", which is in no room; write paths from the root");
    else if (room != own && !contains(rooms().at(own), room))
      wrong.push_back(what + "; its room does not see that one (" + own + "'s CMakeLists.txt)");
    const std::string folder = plug_in_folder_of(source.path);
    if (!folder.empty() && room == own && plug_in_folder_of(included) != folder)
      wrong.push_back(what + "; a plug-in sees base, contracts and its own folder");
  }
  return wrong;
}

/// A room sees rooms that see neither it nor, by way of others, itself.
Names cycles(const Rooms& all) {
  Names wrong, done;
  while (done.size() < all.size()) {
    const std::size_t before = done.size();
    for (const auto& [room, sees] : all)
      if (!contains(done, room) && std::all_of(sees.begin(), sees.end(), [&](const std::string& other) {
            return other == room || contains(done, other);
          }))
        done.push_back(room);
    if (done.size() > before) continue;
    for (const auto& [room, sees] : all)
      if (!contains(done, room)) wrong.push_back("room " + room + " sees itself by way of others");
    return wrong;
  }
  return wrong;
}

/// ecl/README.md's table says of each room what it sees: | `room/` | what for | base, contracts |
Names table_violations(const std::string& readme, const Rooms& all) {
  Names wrong;
  for (const auto& [room, sees] : all) {
    std::string row;
    for (const std::string& line : lines_of(readme))
      if (starts_with(line, "| `" + room + "/`")) row = line;
    if (row.empty()) {
      wrong.push_back("ecl/README.md has no row for the room " + room);
      continue;
    }
    const std::size_t end = row.rfind('|'), start = row.rfind('|', end - 1);
    std::istringstream cell(row.substr(start + 1, end - start - 1));
    Names listed;
    for (std::string word; cell >> word;) listed.push_back(word.substr(0, word.find(',')));
    std::sort(listed.begin(), listed.end());
    Names expected = sees;
    std::sort(expected.begin(), expected.end());
    if (room != "tool" && listed != expected)
      wrong.push_back("ecl/README.md does not say of " + room + " what its CMakeLists.txt says that it sees");
  }
  return wrong;
}

Names mpi_violations(const Source& source) {
  for (const char* allowed : {"ecl/mpi/", "ecl/termination/", "ecl/metrics/consensus_check.",
                              "ecl/metrics/evaluations.", "ecl/metrics/standings.", "ecl/exchange/message_channel."})
    if (starts_with(source.path, allowed)) return {};
  Names wrong;
  if (contains(includes(source, '<', '>'), "mpi.h") || contains(includes(source, '"', '"'), "mpi.h"))
    wrong.push_back(source.path + " includes mpi.h; use ecl/mpi");
  if (names_something(code_of(source.text), "MPI_")) wrong.push_back(source.path + " names MPI_...; use ecl/mpi");
  return wrong;
}

Names clock_violations(const Source& source) {
  for (const char* allowed : {"ecl/mpi/comm.cpp", "ecl/run/local_run.hpp"})
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
    if (file == "registry.cpp" || contains(names, file.substr(0, file.size() - 4))) continue;
    if (cmake.find(file) == std::string::npos)
      wrong.push_back(folder + "/" + file + " is in neither registry.def nor its room's CMakeLists.txt");
  }
  return wrong;
}

Names top_level_violations(const Names& names) {
  static const Names agreed = {
      "CMakeLists.txt", "README.md",     "CHANGELOG.md", "LICENSE", "CMakePresets.json", "ecl",
      "solvers",        "topologies",    "bench",        "tests",   "scripts",           "runs",
      "data",           "pyproject.toml"};
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

TEST(House, IncludesGoToRoomsThatTheirRoomSees) { expect_none(library(), room_violations); }
TEST(House, RoomsSeeEachOtherOneWay) {
  ASSERT_GT(rooms().size(), 10u);
  EXPECT_TRUE(cycles(rooms()).empty()) << list(cycles(rooms()));
}
TEST(House, TheReadmeTellsWhatEachRoomSees) {
  const Names wrong = table_violations(read(kRoot / "ecl/README.md"), rooms());
  EXPECT_TRUE(wrong.empty()) << list(wrong);
}
TEST(House, OnlyFourRoomsCallMpi) { expect_none(library(), mpi_violations); }
TEST(House, OnlyThePortAndTheRunnersInOneProcessReadAClock) { expect_none(library(), clock_violations); }
TEST(House, HeadersAreIncludedOnce) {
  expect_none(sources({"ecl", "solvers", "topologies", "bench", "tests"}, {".hpp"}), header_violations);
}

TEST(House, LinesFitTheColumns) {
  auto files = sources({"ecl", "solvers", "topologies", "bench", "tests", "scripts"},
                       {".cpp", ".hpp", ".def", "CMakeLists.txt", ".py", ".sh", ".cmake"});
  files.push_back({"CMakeLists.txt", read(kRoot / "CMakeLists.txt")});
  std::erase_if(files,
                [](const Source& file) { return file.path == "ecl/data/datasets/digits_data.cpp"; });  // generated
  expect_none(files, long_lines);
}

TEST(House, EveryPlugInIsRegisteredAndCompiled) {
  for (const std::string& folder : kPlugInFolders) {
    const std::string cmake = read(kRoot / (starts_with(folder, "ecl/data/") ? "ecl/data" : folder) / "CMakeLists.txt");
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
                         testing::Values(".", "ecl", "solvers", "topologies", "ecl/models", "ecl/data/datasets",
                                         "ecl/data/partitions", "bench", "tests", "scripts"),
                         [](const auto& test) {
                           std::string name = test.param == "." ? "root" : test.param;
                           std::replace(name.begin(), name.end(), '/', '_');
                           return name;
                         });

// --- the checkers on bad examples ---

Source source(const std::string& path, const std::string& text) { return {path, text}; }

TEST(Checker, SeesARoomThatIsNotSeen) {
  EXPECT_EQ(room_violations(source("ecl/base/a.hpp", "#include \"ecl/contracts/graph.hpp\"\n")).size(), 1u);
  EXPECT_EQ(room_violations(source("ecl/node/a.cpp", "#include \"ecl/run/spec.hpp\"\n")).size(), 1u);
  EXPECT_EQ(room_violations(source("ecl/node/a.cpp", "#include \"ecl/mpi/comm.hpp\"\n")).size(), 1u);
  EXPECT_EQ(room_violations(source("ecl/mpi/a.cpp", "#include \"ecl/node/node.hpp\"\n")).size(), 1u);
  EXPECT_EQ(room_violations(source("ecl/node/a.cpp", "#include \"solvers/registry.def\"\n")).size(), 1u);
  EXPECT_EQ(room_violations(source("ecl/node/a.cpp", "#include \"node.hpp\"\n")).size(), 1u);
  EXPECT_EQ(room_violations(source("ecl/other/a.cpp", "")).size(), 1u);
  EXPECT_TRUE(room_violations(source("ecl/run/a.cpp", "#include \"ecl/node/node.hpp\"\n")).empty());
}

TEST(Checker, SeesAPlugInThatLooksElsewhere) {
  for (const char* included : {"ecl/mpi/comm.hpp", "ecl/node/node.hpp", "ecl/data/datasets/table.hpp",
                               "ecl/models/network.hpp", "topologies/edges.hpp", "ecl/run/spec.hpp"}) {
    const Names wrong = room_violations(source("solvers/a.cpp", std::string("#include \"") + included + "\"\n"));
    EXPECT_FALSE(wrong.empty()) << included;
  }
  for (const char* included : {"ecl/contracts/solver.hpp", "ecl/base/check.hpp", "solvers/shared.hpp"})
    EXPECT_TRUE(room_violations(source("solvers/a.cpp", std::string("#include \"") + included + "\"\n")).empty());
  const std::string table = "#include \"ecl/data/datasets/table.hpp\"\n";
  EXPECT_EQ(room_violations(source("ecl/data/partitions/a.cpp", table)).size(), 1u);
  EXPECT_TRUE(room_violations(source("ecl/data/datasets/a.cpp", table)).empty());
}

TEST(Checker, ReadsRoomsAndSeesCycles) {
  const Rooms read = rooms_of("ecl_room(a SOURCES x.cpp)\necl_room(b SEES a\n  c SOURCES y.cpp LIBRARIES z)\n");
  ASSERT_EQ(read.size(), 2u);
  EXPECT_TRUE(read.at("a").empty());
  EXPECT_EQ(read.at("b"), (Names{"a", "c"}));
  EXPECT_TRUE(cycles({{"a", {}}, {"b", {"a"}}}).empty());
  EXPECT_EQ(cycles({{"a", {"b"}}, {"b", {"a"}}, {"c", {}}}).size(), 2u);
}

TEST(Checker, SeesATableThatIsNotTrue) {
  const Rooms all = {{"a", {}}, {"b", {"a"}}};
  EXPECT_TRUE(table_violations("| `a/` | x | |\n| `b/` | y | a |\n", all).empty());
  EXPECT_EQ(table_violations("| `a/` | x | |\n", all).size(), 1u);
  EXPECT_EQ(table_violations("| `a/` | x | |\n| `b/` | y | a, c |\n", all).size(), 1u);
}

TEST(Checker, SeesMpi) {
  EXPECT_EQ(mpi_violations(source("ecl/run/a.cpp", "#include <mpi.h>\n")).size(), 1u);
  EXPECT_EQ(mpi_violations(source("solvers/a.cpp", "int n = MPI_Barrier(0);\n")).size(), 1u);
  EXPECT_EQ(mpi_violations(source("ecl/node/optimizer.hpp", "MPI_Request r;\n")).size(), 1u);
  EXPECT_TRUE(mpi_violations(source("ecl/exchange/message_channel.cpp", "#include <mpi.h>\nMPI_Request r;\n")).empty());
  EXPECT_TRUE(mpi_violations(source("ecl/run/a.cpp", "// MPI_Put\nauto s = \"MPI_Get\"; f(OMPI_X);\n")).empty());
}

TEST(Checker, SeesAClock) {
  EXPECT_EQ(clock_violations(source("ecl/node/node.hpp", "std::chrono::steady_clock::now();\n")).size(), 1u);
  EXPECT_EQ(clock_violations(source("ecl/run/run_rma.cpp", "double t = MPI_Wtime();\n")).size(), 1u);
  EXPECT_TRUE(clock_violations(source("ecl/node/node.hpp", "/* steady_clock */\n")).empty());
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
  EXPECT_TRUE(registry_violations("t", registry, {"ring.cpp", "star.cpp"}, "ecl_room(t SOURCES star.cpp)").empty());
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
