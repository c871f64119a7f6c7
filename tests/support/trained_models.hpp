#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>

#include "ecl/base/random.hpp"
#include "tests/support/command.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/run_directory.hpp"

/// Small data of every kind in files, and models that the tool trains on them.
namespace ecl::test {

class TrainedModels : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (scratch_ / name).string(); }

  /// About standard normal.
  double noise() { return 3.5 * (random_.uniform() - random_.uniform() + random_.uniform() - random_.uniform()) / 2; }
  static std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4f", value);
    return text;
  }

  /// Patients: numbers alone.
  void write_table(const std::string& name, int rows) {
    std::string text = "weight,\"blood, mg\",site,outcome\n";
    for (int n = 0; n < rows; ++n) {
      const double weight = 60 + 20 * noise(), blood = noise() + 0.02 * weight;
      text += number(weight) + "," + number(blood) + "," + std::to_string(n % 3);
      text += blood + noise() > 1.2 ? ",ill\n" : ",well\n";
    }
    write_file(scratch_ / name, text);
  }
  std::string tables(const std::string& parameters = "") const {
    return "--dataset csv:label=outcome,group=site" + parameters + " --data " + path("train.csv") + " --test " +
           path("test.csv");
  }

  /// Text, and gaps in it.
  void write_text_table(const std::string& name, int rows) {
    std::string text = "age,colour,kind\n";
    for (int n = 0; n < rows; ++n) {
      const bool dark = random_.uniform() < 0.5, gap = n % 5 == 0, untold = n % 7 == 0;
      text += gap ? "?" : number(40 + 20 * noise() + 10 * dark);
      text += untold ? "," : dark ? ",black" : n % 2 == 0 ? ",red" : ",white";
      text += dark ? ",night\n" : ",day\n";
    }
    write_file(scratch_ / name, text);
  }

  /// Rows in LIBSVM's format, of 29 features.
  void write_sparse_rows(const std::string& name) {
    std::string rows;
    for (int n = 0; n < 200; ++n) {
      rows += n % 2 == 0 ? "-1" : "+1";
      for (int f = 1; f < 30; ++f)
        if (random_.uniform() < 0.2) (rows += " ") += std::to_string(f) + ":" + number(noise() + 0.6 * (n % 2));
      rows += "\n";
    }
    write_file(scratch_ / name, rows);
  }

  /// Pictures of squares and crosses in noise, as IDX files for training and test; their folder.
  std::string write_pictures() {
    std::filesystem::create_directory(scratch_ / "pictures");
    write_pictures("pictures/train", 240), write_pictures("pictures/t10k", 60);
    return path("pictures");
  }

  /// Trains on a data set of that kind; the directory of the run.
  std::string trained(const std::string& options, const std::string& name = "run", int steps = 60,
                      int nodes = 3) const {
    const Outcome outcome = run(tool("simulate --quiet --nodes " + std::to_string(nodes) + " --steps " +
                                     std::to_string(steps) + " " + options + " --out " + path(name)));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return path(name);
  }
  std::string predicted(const std::string& directory, const std::string& file) const {
    const Outcome outcome = run(tool("predict " + directory + " --data " + path(file)));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  }
  /// What a script of tests/, without ecl's code, says.
  static Json told_by(const std::string& script, const std::string& arguments) {
    const Outcome outcome = run(words_of(ECL_PYTHON " " ECL_SOURCE_DIR "/tests/" + script + " " + arguments));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return Json::parse(outcome.out, nullptr, false);
  }

  Random random_{1, Purpose::test};
  const Scratch scratch_;

 private:
  void write_pictures(const std::string& name, int count) {
    constexpr int kSide = 28;
    const auto big_endian = [](std::uint32_t value) {
      std::string bytes;
      for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFF);
      return bytes;
    };
    std::string pixels = big_endian(0x803) + big_endian(count) + big_endian(kSide) + big_endian(kSide),
                labels = big_endian(0x801) + big_endian(count);
    for (int n = 0; n < count; ++n) {
      labels += static_cast<char>(n % 10);
      for (int p = 0; p < kSide * kSide; ++p) {
        const bool drawn = (p / kSide + (n % 10) * (p % kSide)) % 10 < 3;
        pixels += static_cast<char>(static_cast<int>(180 * drawn + 70 * random_.uniform()));
      }
    }
    write_file(scratch_ / (name + "-images-idx3-ubyte"), pixels);
    write_file(scratch_ / (name + "-labels-idx1-ubyte"), labels);
  }
};

}  // namespace ecl::test
