#include "ecl/base/check.hpp"
#include "ecl/models/network.hpp"

namespace ecl {
namespace {

using namespace layers;

/// Two 3x3 convolutions and what goes around them; a 1x1 convolution goes around where the shape changes. The block
/// begins as what goes around it (scale 0: Goyal et al., arXiv 1706.02677, section 5.1): ResNet-20 then learns from the
/// first step with a learning rate of 0.1, where it otherwise stands at the loss of a guess for more than an epoch.
Residual block(const std::string& name, int inputs, int outputs, int stride, int groups) {
  const auto conv3x3 = [&](const std::string& conv, int step) {
    return Conv2d{.name = name + conv, .outputs = outputs, .kernel = 3, .stride = step, .padding = 1, .bias = false};
  };
  Residual it;
  it.body = {conv3x3(".conv1", stride), GroupNorm{name + ".norm1", groups}, Relu{}, conv3x3(".conv2", 1),
             GroupNorm{name + ".norm2", groups, 0}};
  if (inputs != outputs)
    it.shortcut = {
        Conv2d{.name = name + ".shortcut.0", .outputs = outputs, .kernel = 1, .stride = stride, .bias = false},
        GroupNorm{name + ".shortcut.1", groups}};
  return it;
}

}  // namespace

/// The residual networks for small pictures of He et al., CVPR 2016, section 4.2 (16, 32, 64 channels; depth 6n + 2),
/// with group norm in place of batch norm, whose statistics do not survive shards that differ, and 1x1 convolutions as
/// shortcuts where the shape changes.
std::unique_ptr<Model> make_resnet(const ModelSetup& setup, Params& params) {
  const auto depth = static_cast<int>(params.integer("depth", 20, 8, 1202, "layers: 6n + 2, as 8, 20, 32"));
  const auto groups = static_cast<int>(params.integer("groups", 8, 1, 16, "groups of each group norm"));
  const auto width = static_cast<int>(params.integer("width", 16, 1, 1024, "channels of the first stage"));
  if (depth % 6 != 2)
    throw Error("model resnet: depth " + std::to_string(depth) + " is not 6n + 2; use 8, 14, 20, ...");
  picture("resnet", setup);

  Architecture list = {ChannelsLast{},
                       Conv2d{.name = "conv1", .outputs = width, .kernel = 3, .padding = 1, .bias = false},
                       GroupNorm{"norm1", groups}, Relu{}};
  int inputs = width;
  for (int stage = 0; stage < 3; ++stage) {
    const int outputs = width << stage;
    for (int b = 0; b < (depth - 2) / 6; ++b) {
      const std::string name = "layer" + std::to_string(stage + 1) + "." + std::to_string(b);
      list.emplace_back(block(name, inputs, outputs, stage > 0 && b == 0 ? 2 : 1, groups));
      list.emplace_back(Relu{});
      inputs = outputs;
    }
  }
  list.emplace_back(GlobalMeanPool{});
  list.emplace_back(Linear{"fc", outputs_of("resnet", setup)});
  return std::make_unique<Network>("resnet", setup, list);
}

}  // namespace ecl
