#include "ecl/models/layers/architecture.hpp"

#include "ecl/models/layers/layers.hpp"

namespace ecl::layers {
namespace {

template <class T>
struct Make {
  using Made = std::unique_ptr<Layer<T>>;
  Shape in;
  Made operator()(const Linear& it) const { return std::make_unique<LinearLayer<T>>(it, in); }
  Made operator()(const Conv2d& it) const { return std::make_unique<Conv2dLayer<T>>(it, in); }
  Made operator()(const GroupNorm& it) const { return std::make_unique<GroupNormLayer<T>>(it, in); }
  Made operator()(const Relu&) const { return std::make_unique<ReluLayer<T>>(in); }
  Made operator()(const MaxPool& it) const { return std::make_unique<MaxPoolLayer<T>>(it, in); }
  Made operator()(const GlobalMeanPool&) const { return std::make_unique<GlobalMeanPoolLayer<T>>(in); }
  Made operator()(const ChannelsLast&) const {
    return std::make_unique<OrderLayer<T>>(OrderLayer<T>::To::channels_last, in);
  }
  Made operator()(const Flatten&) const {
    return std::make_unique<OrderLayer<T>>(OrderLayer<T>::To::channels_first, in);
  }
  Made operator()(const Residual& it) const { return std::make_unique<ResidualLayer<T>>(it, in); }
};

}  // namespace

template <class T>
std::unique_ptr<Layer<T>> make_layer(const Description& description, Shape in) {
  return std::visit(Make<T>{in}, description);
}

template std::unique_ptr<Layer<float>> make_layer(const Description&, Shape);
template std::unique_ptr<Layer<double>> make_layer(const Description&, Shape);

}  // namespace ecl::layers
