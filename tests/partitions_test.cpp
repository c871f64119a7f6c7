// Every partition, through the registry: disjoint, complete, ascending, no node empty, a function of the seed.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <numeric>
#include <set>
#include <unistd.h>

#include "ecl/base/check.hpp"
#include "ecl/contracts/dataset.hpp"

namespace ecl {
namespace {

constexpr int kSamples = 1000;
constexpr int kClasses = 10;

/// 1,000 samples of 10 classes, and a column of 40 groups of unlike size.
Dataset sample_data() {
  std::vector<std::int32_t> labels(kSamples), school(kSamples);
  for (int n = 0; n < kSamples; ++n) labels[n] = n * 7 % kClasses, school[n] = n * n % 83 % 40;
  Dataset data(1, kClasses, std::vector<float>(kSamples, 0.0f), std::move(labels));
  data.columns["school"] = std::move(school);
  return data;
}

/// A text file that is removed at the end.
class TextFile {
 public:
  explicit TextFile(const std::string& content) {
    std::string pattern = (std::filesystem::temp_directory_path() / "ecl_partition_XXXXXX").string();
    const int handle = mkstemp(pattern.data());
    if (handle < 0) throw std::runtime_error("no temporary file");
    close(handle);
    path = pattern;
    std::ofstream(path) << content;
  }
  ~TextFile() { std::filesystem::remove(path); }
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;

  std::string path;
};

std::string lines_for(NodeId nodes, int samples = kSamples) {
  std::string text;
  for (int n = 0; n < samples; ++n) text += std::to_string(n % nodes) + "\n";
  return text;
}

Partition split_by(const std::string& choice, NodeId nodes, std::uint64_t seed = 1,
                   const Dataset& data = sample_data()) {
  return make_partition(Choice::parse(choice), data, nodes, seed);
}

std::string error_of(const std::string& choice, NodeId nodes, const Dataset& data = sample_data()) {
  try {
    split_by(choice, nodes, 1, data);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

#define EXPECT_HAS(text, part) EXPECT_NE(std::string(text).find(part), std::string::npos) << (text)

struct Case {
  std::string name, choice;  ///< registry name; a choice that works for every number of nodes below
  bool random;
};

const std::vector<Case> kCases = {
    {"iid", "iid", true},
    {"classes", "classes:10", true},
    {"dirichlet", "dirichlet:0.1", true},
    {"dirichlet", "dirichlet:0.001", true},
    {"dirichlet", "dirichlet:100", true},
    {"quantity", "quantity:0.001", true},
    {"quantity", "quantity:1", true},
    {"by-column", "by-column:school", false},
    {"file", "file", false},
};

TEST(Partitions, EachOneOfTheRegistryIsTestedHere) {
  for (const auto& entry : partitions().entries())
    EXPECT_TRUE(entry.name == "own" ||  // deals nothing: sites_test
                std::any_of(kCases.begin(), kCases.end(), [&](const Case& c) { return c.name == entry.name; }))
        << entry.name << " is in registry.def and not in kCases";
}

class EveryPartition : public testing::TestWithParam<std::tuple<Case, NodeId>> {};

TEST_P(EveryPartition, KeepsThePromises) {
  const auto& [tried, nodes] = GetParam();
  const TextFile file(lines_for(nodes));
  const std::string choice = tried.name == "file" ? "file:" + file.path : tried.choice;
  const Partition partition = split_by(choice, nodes);
  ASSERT_EQ(partition.size(), static_cast<std::size_t>(nodes));
  std::vector<int> holders(kSamples, 0);
  for (const auto& rows : partition) {
    EXPECT_FALSE(rows.empty());
    EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end()));
    for (const std::int32_t row : rows) ++holders.at(row);
  }
  EXPECT_EQ(std::count(holders.begin(), holders.end(), 1), kSamples);
  EXPECT_EQ(partition, split_by(choice, nodes));
  if (nodes == 1) return;
  if (tried.random)
    EXPECT_NE(partition, split_by(choice, nodes, 2));
  else
    EXPECT_EQ(partition, split_by(choice, nodes, 2));
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryPartition,
                         testing::Combine(testing::ValuesIn(kCases), testing::Values(1, 2, 5, 8, 16)),
                         [](const auto& tried) {
                           std::string name =
                               std::get<0>(tried.param).choice + "_on_" + std::to_string(std::get<1>(tried.param));
                           for (char& letter : name)
                             if (!std::isalnum(static_cast<unsigned char>(letter))) letter = '_';
                           return name;
                         });

std::set<int> classes_of(const Dataset& data, const std::vector<std::int32_t>& rows) {
  std::set<int> found;
  for (const std::int32_t row : rows) found.insert(data.labels()[row]);
  return found;
}

TEST(Iid, SharesDifferByAtMostOne) {
  for (const NodeId nodes : {3, 7, 16})
    for (const auto& rows : split_by("iid", nodes))
      EXPECT_TRUE(rows.size() == kSamples / nodes || rows.size() == kSamples / nodes + 1u);
}

TEST(Classes, EachNodeHoldsExactlyKConsecutiveOnes) {
  const Dataset data = sample_data();
  for (const auto& [held, nodes] : {std::pair<int, NodeId>{2, 8}, {2, 5}, {8, 8}, {1, 10}, {3, 20}, {10, 3}}) {
    const Partition partition = split_by("classes:" + std::to_string(held), nodes);
    for (NodeId i = 0; i < nodes; ++i) {
      std::set<int> expected;
      for (int t = 0; t < held; ++t) expected.insert((kClasses * i / nodes + t) % kClasses);
      EXPECT_EQ(classes_of(data, partition[i]), expected) << held << " on " << nodes << ", node " << i;
    }
  }
}

TEST(Classes, HoldersShareEqually) {
  const Partition partition = split_by("classes:2", 10);  // each class has two holders
  for (const auto& rows : partition) EXPECT_EQ(rows.size(), 100u);
}

TEST(Classes, RefusesWhatCannotWork) {
  EXPECT_HAS(error_of("classes:11", 8), "partition classes: K = 11 is outside 1 .. 10");
  EXPECT_HAS(error_of("classes:0", 8), "K = 0 is outside 1 .. 10");
  EXPECT_HAS(error_of("classes", 8), "needs K");
  EXPECT_HAS(error_of("classes:2", 4), "use K = 3 or more, or at least 5 nodes");
  EXPECT_EQ(error_of("classes:3", 4), "");
  EXPECT_EQ(error_of("classes:2", 5), "");
  const Dataset rare(1, 2, std::vector<float>(10, 0.0f), {0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  EXPECT_HAS(error_of("classes:1", 4, rare), "would hold no sample");  // two holders of a single sample
}

TEST(Classes, NeedsClasses) {
  const Dataset none(1, 0, std::vector<float>(20, 0.0f), std::vector<std::int32_t>(20, 0));
  EXPECT_HAS(error_of("classes:1", 2, none), "has no classes");
  EXPECT_HAS(error_of("dirichlet:1", 2, none), "has no classes");
  EXPECT_EQ(error_of("quantity:1", 2, none), "");
  EXPECT_EQ(error_of("iid", 2, none), "");
}

TEST(Dirichlet, ASmallConcentrationIsUnevenAndALargeOneIsNot) {
  const Dataset data = sample_data();
  std::size_t few = 0, many = 0;
  for (const auto& rows : split_by("dirichlet:0.05", 8)) few += classes_of(data, rows).size();
  for (const auto& rows : split_by("dirichlet:1000", 8)) many += classes_of(data, rows).size();
  EXPECT_LT(few, 40u);
  EXPECT_EQ(many, 80u);
}

TEST(Dirichlet, LeavesNoNodeEmptyEvenWithAsManyNodesAsSamples) {
  for (const auto& rows : split_by("dirichlet:0.001", kSamples)) EXPECT_EQ(rows.size(), 1u);
  for (const auto& rows : split_by("quantity:0.001", kSamples)) EXPECT_EQ(rows.size(), 1u);
  EXPECT_HAS(error_of("dirichlet:0.1", kSamples + 1), "use at most 1000 nodes");
  EXPECT_HAS(error_of("dirichlet:0", 4), "A = 0 is outside");
}

TEST(Quantity, SizesFollowTheConcentration) {
  const auto largest = [](const Partition& partition) {
    std::size_t size = 0;
    for (const auto& rows : partition) size = std::max(size, rows.size());
    return size;
  };
  EXPECT_GT(largest(split_by("quantity:0.05", 8)), 400u);
  EXPECT_LT(largest(split_by("quantity:100000", 8)), 135u);
}

TEST(ByColumn, KeepsGroupsWholeAndSizesBalanced) {
  const Dataset data = sample_data();
  const Partition partition = split_by("by-column:school", 4);
  std::map<int, int> node_of;
  for (int i = 0; i < 4; ++i) {
    EXPECT_NEAR(static_cast<double>(partition[i].size()), kSamples / 4.0, 40);
    for (const std::int32_t row : partition[i])
      EXPECT_EQ(node_of.emplace(data.columns.at("school")[row], i).first->second, i);
  }
  for (const auto& rows : split_by("by-column:label", 10)) EXPECT_EQ(classes_of(data, rows).size(), 1u);
}

TEST(ByColumn, DealsTheLargestGroupFirst) {
  Dataset data(1, 0, std::vector<float>(18, 0.0f), std::vector<std::int32_t>(18, 0));
  data.columns["g"] = {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4};  // sizes 3 3 3 4 5: 5+3 and 4+3+3
  const Partition partition = split_by("by-column:g", 2, 1, data);
  EXPECT_EQ(partition[0].size(), 8u);
  EXPECT_EQ(partition[1].size(), 10u);
}

TEST(ByColumn, RefusesWhatCannotWork) {
  EXPECT_HAS(error_of("by-column:label", 11), "has 10 groups for 11 nodes; use at most 10 nodes");
  EXPECT_HAS(error_of("by-column:scool", 2), "did you mean 'school'?");
  EXPECT_HAS(error_of("by-column", 2), "needs column");
}

TEST(File, GivesEachSampleToItsNode) {
  const TextFile file(lines_for(3));
  const Partition partition = split_by("file:" + file.path, 3);
  for (NodeId i = 0; i < 3; ++i)
    for (const std::int32_t row : partition[i]) EXPECT_EQ(row % 3, i);
}

TEST(File, ErrorsNameTheLine) {
  const auto says = [](const std::string& content, NodeId nodes = 2) {
    const TextFile file(content);
    std::string text = error_of("file:" + file.path, nodes);
    if (const auto at = text.find(file.path); at != std::string::npos) text.replace(at, file.path.size(), "FILE");
    return text;
  };
  EXPECT_HAS(error_of("file:/nowhere/at/all", 2), "there is no file '/nowhere/at/all'");
  EXPECT_HAS(error_of("file", 2), "needs path");
  EXPECT_HAS(says("0\n1\nx\n"), "FILE:3:1: 'x' is not a whole number");
  EXPECT_HAS(says("0\n1,1\n"), "FILE:2:1: a line holds one node number");
  EXPECT_HAS(says("0\n\n1.5\n"), "FILE:3:1: '1.5' is not a whole number");
  EXPECT_HAS(says("0\n2\n"), "FILE:2:1: node 2 is outside 0 .. 1");
  EXPECT_HAS(says("-1\n"), "FILE:1:1: node -1 is outside 0 .. 1");
  EXPECT_HAS(says(lines_for(2, kSamples - 1)), "'FILE' has 999 node numbers for 1000 training samples");
  EXPECT_HAS(says(lines_for(2, kSamples + 1)), "FILE:1001:1: one line too many for the 1000 training samples");
  EXPECT_HAS(says(lines_for(2), 3), "gives no sample to node 2 of 0 .. 2");
  EXPECT_HAS(says(""), "has 0 node numbers");
}

}  // namespace
}  // namespace ecl
