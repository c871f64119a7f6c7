#pragma once

#include <cstdlib>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "ecl/base/random.hpp"
#include "tests/support/command.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/jobs.hpp"
#include "tests/support/run_directory.hpp"

/// Runs of a second on small tables of two classes, and what is looked at in them.
namespace ecl::test {

class SmallRuns : public testing::Test {
 protected:
  static constexpr int kNodes = 3;

  SmallRuns() {
    Random random(1, Purpose::test);
    const auto table = [&](const std::string& name, int rows, double offset) {
      std::string text = "height,width,kind\n";
      for (int n = 0; n < rows; ++n) {
        const double height = random.uniform(), width = random.uniform() + offset;
        const bool tall = height + 0.7 * (width - offset) + 0.4 * random.uniform() > 1;
        text += std::to_string(height) + "," + std::to_string(width) + (tall ? ",tall\n" : ",short\n");
      }
      write_file(scratch_ / name, text);
    };
    table("train.csv", 300, 0), table("test.csv", 90, 0);
    for (int site = 0; site < kNodes; ++site) table("site" + std::to_string(site) + ".csv", 80 + 40 * site, site);
  }

  std::string path(const std::string& name) const { return (scratch_ / name).string(); }
  /// Ten steps an epoch. With a constant rate, and without exchanges after the last step, a run is the beginning of a
  /// longer one.
  std::string dealt() const {
    return " --quiet --batch 10 --local-steps 5 --lr-schedule constant --settle 0 --dataset csv:label=kind --data " +
           path("train.csv") + " --test " + path("test.csv") + " --out ";
  }
  std::string own(const std::string& parameters) const {
    return " --quiet --batch 10 --local-steps 5 --steps 40 --dataset csv:label=kind" + parameters + " --data " +
           path("site{node}.csv") + " --out ";
  }

  /// Standard output of `ecl COMMAND`, which says `note` and no more on standard error.
  static std::string done(const std::string& command, const std::string& note = "") {
    const Outcome outcome = run(tool(command));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, note.empty() ? "" : "ecl: note: " + note + "\n") << command;
    return outcome.out;
  }
  std::string predicted(const std::string& run, const std::string& options = "", const std::string& note = "") const {
    return done("predict " + run + " --data " + path("test.csv") + options, note);
  }
  Json evaluated(const std::string& run, const std::string& options) const {
    const Outcome outcome = ecl::test::run(tool("evaluate " + run + options + " --out " + path("measures.json")));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return Json::parse(read_file(scratch_ / "measures.json"), nullptr, false);
  }
  static int latest(const std::string& run) { return std::atoi(read_file(run + "/checkpoints/latest").c_str()); }
  /// Begins a run and kills it when it has `checkpoints`.
  static void kill_at(const std::vector<std::string>& command, const std::string& out, int checkpoints) {
    const Scratch leftovers;
    Process process(contained(command, leftovers));
    ASSERT_TRUE(process.wait_until([&] { return latest(out) >= checkpoints; }, 60)) << process.err();
    kill_job(process);
    process.wait(30);
  }

  /// The rows of metrics.csv, or sites.csv, by the names of their columns.
  static std::vector<std::map<std::string, std::string>> table_of(const std::string& file) {
    const auto split = [](const std::string& line) {
      std::vector<std::string> cells;
      std::istringstream in(line + ",");
      for (std::string cell; std::getline(in, cell, ',');) cells.push_back(cell);
      return cells;
    };
    const auto lines = lines_of(read_file(file));
    const auto names = split(lines.at(0));
    std::vector<std::map<std::string, std::string>> rows;
    for (std::size_t line = 1; line < lines.size(); ++line) {
      const auto cells = split(lines[line]);
      for (std::size_t c = 0, row = rows.size(); c < std::min(names.size(), cells.size()); ++c)
        rows.resize(row + 1), rows[row][names[c]] = cells[c];
    }
    return rows;
  }
  /// The measures are those of the row of `node` at `step`.
  void expect_row(const Json& measures, const std::string& run, int node, int step) const {
    for (const auto& row : table_of(run + "/metrics.csv")) {
      if (row.at("node") != std::to_string(node) || row.at("step") != std::to_string(step)) continue;
      EXPECT_NEAR(measures["accuracy"].get<double>(), std::stod(row.at("accuracy")), 1e-4);
      EXPECT_NEAR(measures["log_loss"].get<double>(), std::stod(row.at("loss")), 1e-6);
      return;
    }
    ADD_FAILURE() << "no row of node " << node << " at step " << step;
  }

  const Scratch scratch_;
};

}  // namespace ecl::test
