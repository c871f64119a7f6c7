#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "ecl/base/safetensors.hpp"
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

/// The format safetensors: the header's length, the header, and so many bytes as it says.
inline void expect_safetensors(const std::string& file, const std::string& header) {
  ASSERT_GT(file.size(), 8u);
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  EXPECT_EQ(length % 8, 0u);
  ASSERT_LT(length, file.size());
  const Json expected = Json::parse(header), found = Json::parse(file.substr(8, length));
  EXPECT_EQ(found, expected);
  std::size_t end = 0;
  for (const auto& [name, tensor] : found.items())
    if (tensor.contains("data_offsets")) end = std::max(end, tensor["data_offsets"][1].get<std::size_t>());
  EXPECT_EQ(file.size(), 8 + length + end);
}

/// The average model that a run has left, flat.
inline std::vector<float> parameters_of(const std::filesystem::path& directory) {
  return read_safetensors((directory / "model/model.safetensors").string()).values;
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
  return outcome.exit_code == 0 ? parameters_of(directory) : std::vector<float>();
}

/// The names of all that a directory holds, from it on.
inline std::set<std::string> contents(const std::filesystem::path& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    names.insert(std::filesystem::relative(entry.path(), directory).string());
  return names;
}

}  // namespace ecl::test
