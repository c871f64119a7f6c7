#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/support/command.hpp"

/// What the tool promises about --out, whichever command wrote it.
namespace ecl::test {

using Json = nlohmann::json;

inline Json summary_of(const std::filesystem::path& directory) {
  const std::string text = read_file(directory / "summary.json");
  EXPECT_FALSE(text.empty()) << directory << " has no summary.json";
  const Json json = Json::parse(text, nullptr, false);
  return json.is_object() ? json : Json::object();
}

/// Every key that users may rely on is there, null or of its type.
inline void expect_complete(const Json& summary) {
  ASSERT_TRUE(summary.is_object());
  for (const char* key : {"verdict", "command", "placement", "solver", "topology", "mode", "model", "version"}) {
    ASSERT_TRUE(summary.contains(key)) << key;
    EXPECT_TRUE(summary[key].is_string()) << key << " = " << summary[key];
  }
  for (const char* key :
       {"nodes", "dimension", "train_samples", "steps", "bytes_sent", "messages_sent", "messages_taken",
        "messages_torn", "messages_overwritten", "seed", "devices", "samples_moved", "raw_bytes_moved"}) {
    ASSERT_TRUE(summary.contains(key)) << key;
    EXPECT_TRUE(summary[key].is_number_unsigned()) << key << " = " << summary[key];
  }
  for (const char* key : {"seconds", "cpu_seconds", "gradient_samples", "gradient_seconds", "exchange_seconds"}) {
    ASSERT_TRUE(summary.contains(key)) << key;
    EXPECT_TRUE(summary[key].is_number()) << key << " = " << summary[key];
  }
  for (const char* key : {"test_accuracy_mean", "test_accuracy_min", "test_accuracy_consensus", "test_loss_consensus",
                          "consensus_error", "staleness_p50", "staleness_p99"}) {
    ASSERT_TRUE(summary.contains(key)) << key;
    EXPECT_TRUE(summary[key].is_number() || summary[key].is_null()) << key << " = " << summary[key];
  }
}

inline void expect_within_per_cent(const Json& value) {
  ASSERT_TRUE(value.is_number()) << value;
  EXPECT_GE(value.get<double>(), 0);
  EXPECT_LE(value.get<double>(), 100);
}

/// NumPy's format, version 1, with `dimension` little-endian floats.
inline void expect_npy(const std::string& file, std::size_t dimension) {
  ASSERT_GT(file.size(), 10u);
  EXPECT_EQ(file.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  const std::size_t header = static_cast<unsigned char>(file[8]) + 256 * static_cast<unsigned char>(file[9]);
  EXPECT_EQ((10 + header) % 64, 0u);
  ASSERT_EQ(file.size(), 10 + header + 4 * dimension);
  const std::string text = file.substr(10, header);
  EXPECT_NE(text.find("'descr': '<f4'"), std::string::npos) << text;
  EXPECT_NE(text.find("'fortran_order': False"), std::string::npos) << text;
  EXPECT_NE(text.find("'shape': (" + std::to_string(dimension) + ",)"), std::string::npos) << text;
  EXPECT_EQ(text.back(), '\n');
}

/// The promised columns first, then one row per node and evaluation, in this order.
inline void expect_metrics(const std::string& csv, std::size_t nodes, std::size_t evaluations) {
  const auto lines = lines_of(csv);
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines[0].rfind("time_s,node,step,epoch,loss,accuracy,consensus_error,bytes_sent,messages_sent,"
                           "messages_taken,stale_p50,stale_p99",
                           0),
            0u)
      << lines[0];
  ASSERT_EQ(lines.size(), 1 + nodes * evaluations);
  const auto columns = count(lines[0], ",");
  for (std::size_t row = 0; row + 1 < lines.size(); ++row) {
    const std::string& line = lines[row + 1];
    EXPECT_EQ(count(line, ","), columns) << line;
    const std::size_t comma = line.find(',');
    EXPECT_EQ(line.substr(comma + 1, line.find(',', comma + 1) - comma - 1), std::to_string(row % nodes)) << line;
  }
}

/// The model that `command` ends with, in its new run directory; empty, and a failure, if it fails.
inline std::vector<float> model_of(std::vector<std::string> command, const std::string& directory) {
  command.insert(command.end(), {"--out", directory});
  const Outcome outcome = run(command);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  constexpr std::size_t kHeader = 128;
  const std::string file = read_file(directory + "/model/consensus.npy");
  std::vector<float> model(file.size() < kHeader ? 0 : (file.size() - kHeader) / sizeof(float));
  if (!model.empty()) std::memcpy(model.data(), file.data() + kHeader, model.size() * sizeof(float));
  return model;
}

/// The names of all that a directory holds, from it on.
inline std::set<std::string> contents(const std::filesystem::path& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    names.insert(std::filesystem::relative(entry.path(), directory).string());
  return names;
}

}  // namespace ecl::test
