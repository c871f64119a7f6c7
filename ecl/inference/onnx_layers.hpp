#pragma once

#include <map>
#include <span>
#include <string>

#include "ecl/inference/onnx_graph.hpp"
#include "ecl/models/layers/architecture.hpp"

namespace ecl::onnx {

/// What goes from layer to layer.
struct Value {
  enum class Order {
    rows,     ///< N x features
    stored,   ///< N x channels x height x width, and taken for a row in that order
    picture,  ///< the same, once layers::ChannelsLast has made a picture of it
  };
  std::string name;
  layers::Shape shape;
  Order order;
};

/// A part of the parameters.
struct Parameter {
  Shape shape;
  std::span<const float> values;
};
using Parameters = std::map<std::string, Parameter>;

/// Sends a value through the layers; the parameters become constants of their names.
Value through(const layers::Architecture& architecture, Value value, const Parameters& parameters, Graph& graph);

}  // namespace ecl::onnx
