// Layers as operators of ONNX. Pictures stay in the order N, C, H, W there, which is also that of the parameters.
#include "ecl/inference/onnx_layers.hpp"

#include <utility>
#include <variant>

#include "ecl/base/check.hpp"
#include "ecl/models/layers/layers.hpp"

namespace ecl::onnx {
namespace {

constexpr float kEpsilon = 1e-5f;  // of group norm, as in training

/// The operators of one layer.
struct Write {
  Graph& graph;
  const Parameters& parameters;
  Value in;
  layers::Shape out;

  std::string constant(const std::string& name) const {
    const auto& [shape, values] = parameters.at(name);
    return graph.constant(name, shape, values);
  }
  /// A value for each channel, to go with pictures.
  std::string by_channel(const std::string& name) const {
    const auto& [shape, values] = parameters.at(name);
    return graph.constant(name, {shape[0], 1, 1}, values);
  }
  std::string flat() const {
    return in.order == Value::Order::rows ? in.name : graph.add("Flatten", {in.name}, {{"axis", std::int64_t{1}}});
  }
  Value rows(std::string name) const { return {std::move(name), out, Value::Order::rows}; }
  Value picture(std::string name) const { return {std::move(name), out, Value::Order::picture}; }
  /// 0: as many samples as there are.
  static Shape sizes(layers::Shape of) { return {0, of.channels, of.height, of.width}; }

  Value operator()(const layers::Linear& it) const {
    ECL_CHECK(in.order != Value::Order::picture || in.shape.pixels() == 1);  // else its weights are in another order
    const std::string weight = constant(it.name + ".weight"), bias = constant(it.name + ".bias");
    return rows(graph.add("Gemm", {flat(), weight, bias}, {{"transB", std::int64_t{1}}}));
  }
  Value operator()(const layers::Conv2d& it) const {
    std::vector<std::string> inputs = {in.name, constant(it.name + ".weight")};
    if (it.bias) inputs.push_back(constant(it.name + ".bias"));
    return picture(graph.add(
        "Conv", inputs,
        {{"kernel_shape", Shape(2, it.kernel)}, {"strides", Shape(2, it.stride)}, {"pads", Shape(4, it.padding)}}));
  }
  /// There is no operator for it yet. Each group becomes a channel, which is normalised by itself.
  Value operator()(const layers::GroupNorm& it) const {
    const Floats one(it.groups, 1.0f), zero(it.groups, 0.0f);
    const std::string groups = graph.constant(it.name + ".groups", Shape{0, it.groups, -1}),
                      whole = graph.constant(it.name + ".whole", sizes(out)),
                      ones = graph.constant(it.name + ".ones", {it.groups}, one),
                      zeros = graph.constant(it.name + ".zeros", {it.groups}, zero);
    std::string value = graph.add("Reshape", {in.name, groups});
    value = graph.add("InstanceNormalization", {value, ones, zeros}, {{"epsilon", kEpsilon}});
    value = graph.add("Reshape", {value, whole});
    value = graph.add("Mul", {value, by_channel(it.name + ".weight")});
    return picture(graph.add("Add", {value, by_channel(it.name + ".bias")}));
  }
  Value operator()(const layers::Relu&) const { return {graph.add("Relu", {in.name}), out, in.order}; }
  Value operator()(const layers::MaxPool& it) const {
    const Shape square(2, it.size);
    return picture(graph.add("MaxPool", {in.name}, {{"kernel_shape", square}, {"strides", square}}));
  }
  Value operator()(const layers::GlobalMeanPool&) const {
    return rows(graph.add("Flatten", {graph.add("GlobalAveragePool", {in.name})}, {{"axis", std::int64_t{1}}}));
  }
  Value operator()(const layers::ChannelsLast&) const {
    if (in.order != Value::Order::rows) return picture(in.name);
    return picture(graph.add("Reshape", {in.name, graph.constant("picture", sizes(in.shape))}));
  }
  Value operator()(const layers::Flatten&) const { return rows(flat()); }
  Value operator()(const layers::Residual& it) const {
    const Value body = through(it.body, in, parameters, graph), shortcut = through(it.shortcut, in, parameters, graph);
    return {graph.add("Add", {body.name, shortcut.name}), out, body.order};
  }
};

}  // namespace

Value through(const layers::Architecture& architecture, Value value, const Parameters& parameters, Graph& graph) {
  for (const layers::Description& layer : architecture) {
    const layers::Shape out = layers::make_layer<float>(layer, value.shape)->out;
    value = std::visit(Write{graph, parameters, value, out}, layer);
  }
  return value;
}

}  // namespace ecl::onnx
