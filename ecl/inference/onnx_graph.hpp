#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

/// Graphs of operators in the format ONNX (onnx.ai). What an operator does: onnx.ai/onnx/operators.
namespace ecl::onnx {

/// Of the operators that a graph may use; that of the file itself follows from it.
constexpr int kOperatorSet = 13;

enum class Type : std::int32_t { number = 1, byte = 2, integer = 7, boolean = 9 };  ///< float, uint8, int64, bool

using Shape = std::vector<std::int64_t>;

struct Attribute {
  std::string name;
  std::variant<std::int64_t, float, Shape> value;
};

/// What is said of a model besides its graph.
struct About {
  std::string version;  ///< of ecl
  std::string text;     ///< for people
  std::vector<std::pair<std::string, std::string>> properties;
};

/// A graph that grows from its inputs to its outputs. Values are known by their names.
class Graph {
 public:
  Graph();

  /// `sample`: the shape without the first dimension, which is the number of samples, any.
  void input(const std::string& name, Type type, const Shape& sample, const std::string& text);
  void output(const std::string& name, Type type, const Shape& sample, const std::string& text);

  /// A value that is the same for all samples; returns its name.
  std::string constant(const std::string& name, const Shape& shape, std::span<const float> values);
  std::string constant(const std::string& name, const Shape& integers);
  std::string constant(const std::string& name, const std::vector<bool>& values);

  /// An operator of that name, on these values; returns the name of its result.
  std::string add(const std::string& name, const std::vector<std::string>& inputs,
                  const std::vector<Attribute>& attributes = {}, std::string result = "");

  /// The file.
  std::string model(const About& about) const;

 private:
  void describe(std::uint32_t tag, const std::string& name, Type type, const Shape& sample, const std::string& text);
  std::string tensor(const std::string& name, Type type, const Shape& shape, const void* values, std::size_t bytes);

  std::string content_;  ///< encoded
  int results_ = 0;
};

}  // namespace ecl::onnx
