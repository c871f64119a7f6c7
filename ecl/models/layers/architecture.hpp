#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "ecl/models/layers/layer.hpp"

/// Models as lists of layers: what a model's file says, and what Sequential makes layers of.
///
/// `name` is the prefix of the parameters' names: "conv1" has "conv1.weight" and "conv1.bias".
namespace ecl::layers {

/// y = W x + b. Weight: outputs x inputs.
struct Linear {
  std::string name;
  int outputs;
};

/// Cross-correlation with zero padding. Weight: outputs x input channels x kernel x kernel.
struct Conv2d {
  std::string name;
  int outputs, kernel;
  int stride = 1, padding = 0;
  bool bias = true;
};

/// Normalises each sample's groups of channels, then scales and shifts every channel (Wu and He, ECCV 2018). At first
/// `scale` is 1, or what is given.
struct GroupNorm {
  std::string name;
  int groups;
  float scale = 1;
};

struct Relu {};

/// The largest of each size x size square, size at most 16; what does not fill a square is left out, as in PyTorch.
struct MaxPool {
  int size;
};

/// Each channel's mean over all pixels.
struct GlobalMeanPool {};

/// Samples as data sets store them, channel after channel, become pixel after pixel; Flatten undoes it.
struct ChannelsLast {};
struct Flatten {};

struct Residual;
using Description =
    std::variant<Linear, Conv2d, GroupNorm, Relu, MaxPool, GlobalMeanPool, ChannelsLast, Flatten, Residual>;
using Architecture = std::vector<Description>;

/// body(x) + shortcut(x); an empty shortcut is x itself (He et al., CVPR 2016).
struct Residual {
  Architecture body, shortcut;
};

/// The layer that is described, for samples of this shape. Throws Error where the shape does not fit.
template <class T>
std::unique_ptr<Layer<T>> make_layer(const Description& description, Shape in);

}  // namespace ecl::layers
