// Sparse rows: read, dealt and agreed upon as they are, and trained on as if all their zeros were there.
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

#include "ecl/base/check.hpp"
#include "ecl/base/random.hpp"
#include "ecl/contracts/dataset.hpp"
#include "ecl/contracts/model.hpp"
#include "ecl/node/batches.hpp"
#include "tests/support/command.hpp"
#include "tests/support/run_directory.hpp"

namespace ecl::test {
namespace {

constexpr int kFeatures = 60, kRows = 120;

/// Rows of three values among sixty features, the same in both formats; every row of `nodes` belongs to one of 3.
struct Table {
  std::string libsvm, csv = "label";
  std::string nodes;
  std::string of_node[3];
};

Table make_table() {
  Table table;
  for (int f = 0; f < kFeatures; ++f) table.csv += ",f" + std::to_string(f);
  table.csv += '\n';
  Random random(5, Purpose::test);
  for (int row = 0; row < kRows; ++row) {
    std::vector<int> at;
    // Node 2 has the last features alone.
    const int node = row % 3, reach = node == 2 ? kFeatures : kFeatures - 20;
    while (at.size() < 3) {
      const int f = static_cast<int>(random.uniform() * reach);
      if (std::find(at.begin(), at.end(), f) == at.end()) at.push_back(f);
    }
    std::sort(at.begin(), at.end());
    std::vector<std::string> cells(kFeatures, "0");
    const std::string label = at[0] < 10 ? "1" : "2";
    std::string line = label;
    for (const int f : at) {
      cells[f] = std::to_string(random.uniform());
      line += ' ' + std::to_string(f + 1) + ':' + cells[f];
    }
    line += '\n';
    table.libsvm += line, table.of_node[node] += line, table.nodes += std::to_string(node) + '\n';
    table.csv += label;
    for (const std::string& cell : cells) table.csv += ',' + cell;
    table.csv += '\n';
  }
  return table;
}

class Sparse : public testing::Test {
 protected:
  Sparse() {
    const Table table = make_table();
    write_file(scratch_ / "a.svm", table.libsvm), write_file(scratch_ / "a.csv", table.csv);
    write_file(scratch_ / "nodes.txt", table.nodes);
    const char* names[] = {"site0.svm", "site1.svm", "site2.svm"};
    for (int node = 0; node < 3; ++node) write_file(scratch_ / names[node], table.of_node[node]);
  }

  std::string path(const std::string& name) const { return (scratch_ / name).string(); }
  TrainTest load(const std::string& dataset, const std::string& name) const {
    return load_dataset(Choice::parse(dataset), {path(name), 3, 1});
  }
  std::vector<float> model_of(const std::vector<std::string>& command, const std::string& name) const {
    return ecl::test::model_of(command, path(name));
  }

  const Scratch scratch_;
};

std::vector<float> values_of(const Dataset& data) {
  std::vector<float> values(data.size() * data.features());
  data.gather(0, data.size(), values.data());
  return values;
}

TEST_F(Sparse, RowsStaySoUnlessScalingIsWanted) {
  const TrainTest sparse = load("libsvm", "a.svm"), dense = load("csv:label=label,standardise=0", "a.csv");
  ASSERT_TRUE(sparse.train.sparse() && sparse.test.sparse());
  EXPECT_EQ(values_of(sparse.train), values_of(dense.train));
  EXPECT_EQ(values_of(sparse.test), values_of(dense.test));
  EXPECT_EQ(sparse.train.labels(), dense.train.labels());
  EXPECT_EQ(sparse.train.bytes_per_sample(), 3 * 8u + 8 + 4);
  const TrainTest scaled = load("libsvm:standardise=1", "a.svm");
  EXPECT_FALSE(scaled.train.sparse());
  EXPECT_EQ(values_of(scaled.train), values_of(load("csv:label=label", "a.csv").train));
  write_file(scratch_ / "full.svm", "1 1:1 2:2\n2 1:2\n1 2:3\n");
  EXPECT_FALSE(load("libsvm:standardise=0", "full.svm").train.sparse()) << "more than a tenth of the values is there";
}

TEST_F(Sparse, SubsetsAndBothFormsHoldTheSame) {
  Dataset data = load("libsvm", "a.svm").train;
  const std::vector<std::int32_t> rows = {7, 3, 3, 90};
  const Dataset part = data.subset(rows);
  ASSERT_TRUE(part.sparse());
  std::vector<float> expected(rows.size() * kFeatures);
  data.gather(rows, expected.data());
  EXPECT_EQ(values_of(part), expected);
  Dataset dense = data;
  dense.make_dense();
  EXPECT_FALSE(dense.sparse());
  EXPECT_EQ(values_of(dense), values_of(data));
  EXPECT_NE(dense.checksum(), data.checksum());
  dense.make_sparse();
  EXPECT_EQ(dense.checksum(), data.checksum());
  data.widen(kFeatures + 5);
  EXPECT_EQ(data.features(), kFeatures + 5);
  EXPECT_EQ(values_of(data.subset(rows)).size(), rows.size() * (kFeatures + 5));
}

TEST_F(Sparse, BatchesHoldTheSameSamples) {
  const auto sparse = std::make_shared<const Dataset>(load("libsvm", "a.svm").train);
  Dataset copy = *sparse;
  copy.make_dense();
  const auto dense = std::make_shared<const Dataset>(std::move(copy));
  std::vector<std::int32_t> rows;
  for (int row = 0; row < 50; ++row) rows.push_back(row);
  Batches of_sparse({sparse, rows, 1}, 16, 9, 0), of_dense({dense, rows, 1}, 16, 9, 0);
  Batch sparse_batch, dense_batch;
  for (int n = 0; n < 10; ++n) {  // over the ends of epochs
    of_sparse.next(sparse_batch), of_dense.next(dense_batch);
    ASSERT_EQ(sparse_batch.rows.size(), 16u);
    ASSERT_TRUE(sparse_batch.features.empty());
    EXPECT_EQ(sparse_batch.labels, dense_batch.labels);
    for (int r = 0; r < 16; ++r) {
      std::vector<float> row(kFeatures);
      sparse_batch.rows.gather(r, row.data());
      EXPECT_TRUE(std::equal(row.begin(), row.end(), dense_batch.features.begin() + r * kFeatures));
    }
  }
}

TEST_F(Sparse, ModelsLearnTheSame) {
  Dataset sparse = load("libsvm", "a.svm").train, dense = sparse;
  dense.make_dense();
  Batch sparse_batch, dense_batch{Floats(dense.size() * kFeatures), dense.labels()};
  sparse.gather(0, sparse.size(), sparse_batch.rows);
  sparse_batch.labels = sparse.labels();
  dense.gather(0, dense.size(), dense_batch.features.data());
  for (const char* name : {"softmax", "mlp:7,5", "mlp:3"}) {
    const Choice choice = Choice::parse(name);
    Params params = models().params(choice);
    const auto model = models().find(choice.name).make({kFeatures, 2}, params);
    ASSERT_TRUE(model->takes_sparse());
    Floats x(model->dim()), g(model->dim()), expected(model->dim());
    Random random(2, Purpose::test);
    for (float& value : x) value = static_cast<float>(2 * random.uniform() - 1);
    const double loss = model->gradient(x, sparse_batch, g);
    EXPECT_NEAR(loss, model->gradient(x, dense_batch, expected), 1e-6 * loss) << name;
    for (std::size_t d = 0; d < g.size(); ++d) ASSERT_NEAR(g[d], expected[d], 1e-6) << name << " " << d;
    const Score mine = model->score(x, sparse), theirs = model->score(x, dense);
    EXPECT_NEAR(mine.loss, theirs.loss, 1e-6 * theirs.loss) << name;
    EXPECT_EQ(mine.accuracy, theirs.accuracy) << name;
  }
  Params params = models().params(Choice::parse("cnn"));
  const auto cnn = models().find("cnn").make({784, 2, {1, 28, 28}}, params);
  EXPECT_FALSE(cnn->takes_sparse());
}

TEST_F(Sparse, SitesAgreeOnTheWidestAndGiveWhatOneFileGives) {
  const std::string common = "--quiet --mode lock-step --epochs 2 --batch 4 --test " + path("a.svm");
  const auto dealt = model_of(tool("simulate --nodes 3 --dataset libsvm --data " + path("a.svm") +
                                   " --partition file:" + path("nodes.txt") + " " + common),
                              "dealt");
  ASSERT_EQ(dealt.size(), 2u * (kFeatures + 1));
  const std::string own = "--dataset libsvm --data " + path("site{node}.svm") + " " + common;
  EXPECT_EQ(model_of(tool("simulate --nodes 3 " + own), "own"), dealt);
  EXPECT_EQ(model_of(tool_on(3, "train " + own), "ranks"), dealt);
  EXPECT_EQ(model_of(tool_on(3, "train --dataset libsvm --data " + path("a.svm") +
                                    " --partition file:" + path("nodes.txt") + " " + common),
                     "ranks dealt"),
            dealt);
  // Dense, of a csv file with the same rows in the same order: the same but for rounding.
  const auto dense =
      model_of(tool("simulate --nodes 3 --quiet --mode lock-step --epochs 2 --batch 4 --dataset "
                    "csv:label=label,standardise=0 --data " +
                    path("a.csv") + " --test " + path("a.csv") + " --partition file:" + path("nodes.txt")),
               "dense");
  ASSERT_EQ(dense.size(), dealt.size());
  for (std::size_t d = 0; d < dense.size(); ++d) EXPECT_NEAR(dense[d], dealt[d], 1e-5);
}

TEST_F(Sparse, ASiteMayBeDenserThanTheOthers) {
  std::string full = "1";
  for (int f = 1; f <= 12; ++f) full += ' ' + std::to_string(f) + ":1";
  write_file(scratch_ / "site1.svm", full + "\n2 3:1\n");
  const Outcome outcome = run(tool("simulate --nodes 3 --quiet --verbose --epochs 1 --test " + path("a.svm") +
                                   " --dataset libsvm --data " + path("site{node}.svm")));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("sparse"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace ecl::test
