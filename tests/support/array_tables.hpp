#pragma once

#include <cstdint>
#include <filesystem>
#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/base/npy.hpp"
#include "ecl/contracts/dataset.hpp"
#include "tests/support/command.hpp"

/// Tables in arrays, for the tests of npy and hdf5.
namespace ecl::test {

using Row = std::vector<float>;
using Texts = std::vector<std::string>;
using Numbers = std::vector<std::int32_t>;

inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

#define EXPECT_HAS(text, part) EXPECT_NE(std::string(text).find(part), std::string::npos) << (text)

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

inline std::vector<Row> rows(const Dataset& data) {
  std::vector<Row> all;
  for (std::size_t n = 0; n < data.size(); ++n) data.gather(n, 1, all.emplace_back(data.features()).data());
  return all;
}

/// `values` as the bytes of that type.
inline std::string as_type(const std::string& type, const std::vector<double>& values) {
  std::string bytes;
  const auto add = [&]<class T>(T) {
    for (const double value : values) bytes += bytes_of(std::vector<T>{static_cast<T>(value)});
  };
  if (type == "<f4") add(float{});
  if (type == "<f8") add(double{});
  if (type == "|i1") add(std::int8_t{});
  if (type == "|u1" || type == "|b1") add(std::uint8_t{});
  if (type == "<i2") add(std::int16_t{});
  if (type == "<u2") add(std::uint16_t{});
  if (type == "<i4") add(std::int32_t{});
  if (type == "<u4") add(std::uint32_t{});
  if (type == "<i8") add(std::int64_t{});
  if (type == "<u8") add(std::uint64_t{});
  return bytes;
}

class Arrays : public testing::Test {
 protected:
  Arrays() {
    std::filesystem::create_directories(scratch_ / "a");
    features("<f4", {1, 2, 3, 4, 5, 6, 7, 8});
    labels("<i4", {0, 1, 0, 1});
  }
  std::string path(const std::string& name) const { return (scratch_ / name).string(); }
  void write_array(const std::string& name, const std::string& type, std::vector<std::size_t> shape,
                   const std::string& bytes) const {
    write_file(scratch_ / name, npy_header(type, shape) + bytes);
  }
  /// Of a/, two a row.
  void features(const std::string& type, const std::vector<double>& values) const {
    write_array("a/features.npy", type, {values.size() / 2, 2}, as_type(type, values));
  }
  void labels(const std::string& type, const std::vector<double>& values) const {
    write_array("a/labels.npy", type, {values.size()}, as_type(type, values));
  }
  /// The data set, all of whose rows are for training, and for the test too.
  TrainTest load(const std::string& choice, const std::string& name = "a") const {
    DatasetRequest request{path(name), 1, 1};
    request.test = path(name);
    return load_dataset(Choice::parse(choice), request);
  }
  std::string error(const std::string& choice, const std::string& name = "a") const {
    try {
      load(choice, name);
    } catch (const Error& error) {
      return std::to_string(static_cast<int>(error.code())) + ": " + error.what();
    }
    return "";
  }
  std::string says(const std::string& options, int code = 0) const {
    const Outcome outcome = run(tool(options));
    EXPECT_EQ(outcome.exit_code, code) << outcome.out << outcome.err;
    return code == 0 ? outcome.out : outcome.err;
  }

  const Scratch scratch_;
};

}  // namespace ecl::test
