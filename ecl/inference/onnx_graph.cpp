#include "ecl/inference/onnx_graph.hpp"

#include <protozero/pbf_builder.hpp>

namespace ecl::onnx {
namespace {

// The fields of the format's messages, by the numbers that onnx.proto gives them.
using Tag = protozero::pbf_tag_type;
enum class ModelField : Tag { ir_version = 1, producer, producer_version, doc = 6, graph, operator_set, property = 14 };
enum class OperatorSetField : Tag { version = 2 };
enum class PropertyField : Tag { key = 1, value };
enum class GraphField : Tag { node = 1, name, constant = 5, input = 11, output };
enum class NodeField : Tag { input = 1, output, name, op, attribute };
enum class AttributeField : Tag { name = 1, number, integer, integers = 8, type = 20 };
enum class TensorField : Tag { extent = 1, type, name = 8, raw };
enum class ValueField : Tag { name = 1, type, doc };
enum class TypeField : Tag { tensor = 1 };
enum class TensorTypeField : Tag { element = 1, shape };
enum class ShapeField : Tag { dimension = 1 };
enum class DimensionField : Tag { extent = 1, parameter };

template <class Field>
using Message = protozero::pbf_builder<Field>;

constexpr int kFormat = 7;  // of files with this operator set

/// The value, and which kind of value it is.
struct PutAttribute {
  Message<AttributeField>& to;
  void operator()(float number) const {
    to.add_float(AttributeField::number, number);
    to.add_enum(AttributeField::type, 1);
  }
  void operator()(std::int64_t integer) const {
    to.add_int64(AttributeField::integer, integer);
    to.add_enum(AttributeField::type, 2);
  }
  void operator()(const Shape& integers) const {
    for (const std::int64_t integer : integers) to.add_int64(AttributeField::integers, integer);
    to.add_enum(AttributeField::type, 7);
  }
};

}  // namespace

Graph::Graph() { Message<GraphField>(content_).add_string(GraphField::name, "classifier"); }

void Graph::describe(Tag tag, const std::string& name, Type type, const Shape& sample, const std::string& text) {
  Message<GraphField> graph(content_);
  Message<ValueField> value(graph, tag);
  value.add_string(ValueField::name, name);
  value.add_string(ValueField::doc, text);
  Message<TypeField> kind(value, ValueField::type);
  Message<TensorTypeField> tensor(kind, TypeField::tensor);
  tensor.add_enum(TensorTypeField::element, static_cast<std::int32_t>(type));
  Message<ShapeField> shape(tensor, TensorTypeField::shape);
  Message<DimensionField>(shape, ShapeField::dimension).add_string(DimensionField::parameter, "N");
  for (const std::int64_t extent : sample)
    Message<DimensionField>(shape, ShapeField::dimension).add_int64(DimensionField::extent, extent);
}

void Graph::input(const std::string& name, Type type, const Shape& sample, const std::string& text) {
  describe(static_cast<Tag>(GraphField::input), name, type, sample, text);
}

void Graph::output(const std::string& name, Type type, const Shape& sample, const std::string& text) {
  describe(static_cast<Tag>(GraphField::output), name, type, sample, text);
}

std::string Graph::tensor(const std::string& name, Type type, const Shape& shape, const void* values,
                          std::size_t bytes) {
  Message<GraphField> graph(content_);
  Message<TensorField> tensor(graph, GraphField::constant);
  for (const std::int64_t extent : shape) tensor.add_int64(TensorField::extent, extent);
  tensor.add_int32(TensorField::type, static_cast<std::int32_t>(type));
  tensor.add_string(TensorField::name, name);
  tensor.add_bytes(TensorField::raw, static_cast<const char*>(values), bytes);
  return name;
}

std::string Graph::constant(const std::string& name, const Shape& shape, std::span<const float> values) {
  return tensor(name, Type::number, shape, values.data(), values.size_bytes());
}

std::string Graph::constant(const std::string& name, const Shape& integers) {
  const auto count = static_cast<std::int64_t>(integers.size());
  return tensor(name, Type::integer, {count}, integers.data(), integers.size() * sizeof integers[0]);
}

std::string Graph::constant(const std::string& name, const std::vector<bool>& values) {
  const std::string bytes(values.begin(), values.end());  // 0 and 1
  return tensor(name, Type::boolean, {static_cast<std::int64_t>(bytes.size())}, bytes.data(), bytes.size());
}

std::string Graph::add(const std::string& name, const std::vector<std::string>& inputs,
                       const std::vector<Attribute>& attributes, std::string result) {
  const std::string number = std::to_string(++results_);
  if (result.empty()) result = name + "_" + number;
  Message<GraphField> graph(content_);
  Message<NodeField> node(graph, GraphField::node);
  for (const std::string& input : inputs) node.add_string(NodeField::input, input);
  node.add_string(NodeField::output, result);
  node.add_string(NodeField::name, number + "_" + name);
  node.add_string(NodeField::op, name);
  for (const auto& [key, value] : attributes) {
    Message<AttributeField> attribute(node, NodeField::attribute);
    attribute.add_string(AttributeField::name, key);
    std::visit(PutAttribute{attribute}, value);
  }
  return result;
}

std::string Graph::model(const About& about) const {
  std::string file;
  Message<ModelField> model(file);
  model.add_int64(ModelField::ir_version, kFormat);
  model.add_string(ModelField::producer, "ecl");
  model.add_string(ModelField::producer_version, about.version);
  model.add_string(ModelField::doc, about.text);
  Message<OperatorSetField>(model, ModelField::operator_set).add_int64(OperatorSetField::version, kOperatorSet);
  for (const auto& [key, value] : about.properties) {
    Message<PropertyField> property(model, ModelField::property);
    property.add_string(PropertyField::key, key);
    property.add_string(PropertyField::value, value);
  }
  model.add_message(ModelField::graph, content_);
  return file;
}

}  // namespace ecl::onnx
