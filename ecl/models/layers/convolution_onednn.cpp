#include <algorithm>
#include <dlfcn.h>
#include <dnnl.hpp>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ecl/models/layers/convolution.hpp"

namespace ecl::layers {
namespace {

using dnnl::memory;
using Arguments = std::unordered_map<int, memory>;

/// A rank has one core. Debian's oneDNN splits its work by OpenMP; whichever OpenMP it brought along is told.
const dnnl::engine& one_core() {
  static const dnnl::engine engine = [] {
    using SetThreads = void (*)(int);
    if (const auto set_threads = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "omp_set_num_threads")))
      set_threads(1);
    return dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return engine;
}

memory::desc floats(const memory::dims& extents, memory::format_tag order) {
  return {extents, memory::data_type::f32, order};
}

memory as_memory(const memory::desc& description, const float* values) {
  return {description, one_core(), const_cast<float*>(values)};  // oneDNN reads inputs only
}

}  // namespace

struct Convolution<float>::State {
  /// The three convolutions of a batch of so many samples, and what they want the weights to look like.
  struct Passes {
    memory::desc x, y, forward_weights, to_x_weights, to_w_weights;
    dnnl::convolution_forward forward;
    dnnl::convolution_backward_data to_x;
    dnnl::convolution_backward_weights to_w;
  };
  /// Weights, or their gradient, in an order that a pass wants.
  struct Ordered {
    memory values;
    bool current;  ///< since load
  };

  explicit State(const ConvolutionSizes& of) : sizes(of), stream(one_core()), bias(of.bias ? of.out.channels : 0) {}

  Passes& passes(int rows);
  const memory& weights(const memory::desc& wanted);
  Ordered& sum(const memory::desc& wanted);
  memory bias_memory(const float* values) const {
    return as_memory(floats({sizes.out.channels}, memory::format_tag::x), values);
  }

  ConvolutionSizes sizes;
  dnnl::stream stream;
  /// Outputs x inputs x kernel x kernel, row-major: the parameters' order.
  const memory::desc given =
      floats({sizes.out.channels, sizes.in.channels, sizes.kernel, sizes.kernel}, memory::format_tag::oihw);
  const float* w = nullptr;  ///< the caller's
  std::map<int, Passes> by_rows;
  std::vector<Ordered> orders, sums;
  Floats part;             ///< of a sum: what one pass gives
  Floats bias, bias_part;  ///< the gradient's sum, what one pass gives
};

Convolution<float>::State::Passes& Convolution<float>::State::passes(int rows) {
  if (const auto found = by_rows.find(rows); found != by_rows.end()) return found->second;
  const memory::dims strides = {sizes.stride, sizes.stride}, padding = {sizes.padding, sizes.padding};
  const auto samples = [rows](const Shape& shape) {
    return floats({rows, shape.channels, shape.height, shape.width}, memory::format_tag::nhwc);
  };
  const memory::desc x = samples(sizes.in), y = samples(sizes.out);
  const memory::desc any = floats(given.dims(), memory::format_tag::any);
  const memory::desc biases = sizes.bias ? bias_memory(nullptr).get_desc() : memory::desc();
  constexpr auto kDirect = dnnl::algorithm::convolution_direct;
  const dnnl::convolution_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, kDirect, x, any, biases, y, strides, padding, padding}, one_core());
  const dnnl::convolution_backward_data::primitive_desc to_x({kDirect, x, any, y, strides, padding, padding},
                                                             one_core(), forward);
  const dnnl::convolution_backward_weights::primitive_desc to_w({kDirect, x, any, biases, y, strides, padding, padding},
                                                                one_core(), forward);
  Passes made{x,
              y,
              forward.weights_desc(),
              to_x.weights_desc(),
              to_w.diff_weights_desc(),
              dnnl::convolution_forward(forward),
              dnnl::convolution_backward_data(to_x),
              dnnl::convolution_backward_weights(to_w)};
  return by_rows.emplace(rows, std::move(made)).first->second;
}

/// The parameters in the wanted order; put so at the first use after load.
const memory& Convolution<float>::State::weights(const memory::desc& wanted) {
  auto found = std::ranges::find_if(orders, [&](const Ordered& o) { return o.values.get_desc() == wanted; });
  if (found == orders.end()) found = orders.insert(found, {memory(wanted, one_core()), false});
  if (!found->current) {
    memory from = as_memory(given, w);
    dnnl::reorder(from, found->values).execute(stream, from, found->values);
    found->current = true;
  }
  return found->values;
}

Convolution<float>::State::Ordered& Convolution<float>::State::sum(const memory::desc& wanted) {
  auto found = std::ranges::find_if(sums, [&](const Ordered& o) { return o.values.get_desc() == wanted; });
  if (found == sums.end()) found = sums.insert(found, {memory(wanted, one_core()), false});
  return *found;
}

Convolution<float>::Convolution(const ConvolutionSizes& sizes) : state_(std::make_unique<State>(sizes)) {}
Convolution<float>::~Convolution() = default;

void Convolution<float>::load(const float* w) {
  state_->w = w;
  for (State::Ordered& order : state_->orders) order.current = false;
  for (State::Ordered& sum : state_->sums) sum.current = false;
  std::ranges::fill(state_->bias, 0.0f);
}

void Convolution<float>::forward(int rows, const float* x, float* y) {
  State& s = *state_;
  const State::Passes& passes = s.passes(rows);
  Arguments arguments = {{DNNL_ARG_SRC, as_memory(passes.x, x)},
                         {DNNL_ARG_WEIGHTS, s.weights(passes.forward_weights)},
                         {DNNL_ARG_DST, as_memory(passes.y, y)}};
  if (s.sizes.bias) arguments.emplace(DNNL_ARG_BIAS, s.bias_memory(s.w + s.sizes.weights()));
  passes.forward.execute(s.stream, arguments);
}

void Convolution<float>::backward(int rows, const float* x, const float* dy, float* dx) {
  State& s = *state_;
  const State::Passes& passes = s.passes(rows);
  if (dx)
    passes.to_x.execute(s.stream, {{DNNL_ARG_DIFF_DST, as_memory(passes.y, dy)},
                                   {DNNL_ARG_WEIGHTS, s.weights(passes.to_x_weights)},
                                   {DNNL_ARG_DIFF_SRC, as_memory(passes.x, dx)}});

  State::Ordered& sum = s.sum(passes.to_w_weights);
  const std::size_t count = passes.to_w_weights.get_size() / sizeof(float);
  s.part.resize(count), s.bias_part.resize(s.bias.size());
  const memory part = sum.current ? as_memory(passes.to_w_weights, s.part.data()) : sum.values;
  Arguments arguments = {{DNNL_ARG_SRC, as_memory(passes.x, x)},
                         {DNNL_ARG_DIFF_DST, as_memory(passes.y, dy)},
                         {DNNL_ARG_DIFF_WEIGHTS, part}};
  if (s.sizes.bias) arguments.emplace(DNNL_ARG_DIFF_BIAS, s.bias_memory(s.bias_part.data()));
  passes.to_w.execute(s.stream, arguments);
  if (sum.current) add(s.part.data(), count, static_cast<float*>(sum.values.get_data_handle()));
  add(s.bias_part.data(), s.bias.size(), s.bias.data());
  sum.current = true;
}

void Convolution<float>::store(float* dw) {
  State& s = *state_;
  for (State::Ordered& sum : s.sums) {
    if (!sum.current) continue;
    s.part.resize(s.sizes.weights());
    memory plain = as_memory(s.given, s.part.data());
    dnnl::reorder(sum.values, plain).execute(s.stream, sum.values, plain);
    add(s.part.data(), s.sizes.weights(), dw);
  }
  add(s.bias.data(), s.bias.size(), dw + s.sizes.weights());
}

std::size_t Convolution<float>::bytes() const {
  std::size_t sum = (state_->part.size() + state_->bias.size() + state_->bias_part.size()) * sizeof(float);
  for (const auto* list : {&state_->orders, &state_->sums})
    for (const State::Ordered& ordered : *list) sum += ordered.values.get_desc().get_size();
  return sum;
}

}  // namespace ecl::layers
