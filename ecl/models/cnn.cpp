#include "ecl/base/check.hpp"
#include "ecl/models/network.hpp"

namespace ecl {
namespace {

std::vector<int> widths(const std::string& key, const std::string& text) {
  std::vector<int> all;
  for (const std::string& width : split(text, '/')) {
    const std::int64_t value = to_integer(width, "model cnn: " + key);
    if (value < 1 || value > 100'000) throw Error("model cnn: " + key + " " + width + " is outside 1 .. 100000");
    all.push_back(static_cast<int>(value));
  }
  return all;
}

}  // namespace

/// LeNet-5 (LeCun et al., Proc. IEEE 1998) with ReLU and max pooling: by default the one with group norm that is used
/// on compressed edge-consensus learning (Takezawa, Niwa and Yamada 2022, arXiv 2205.03779).
std::unique_ptr<Model> make_cnn(const ModelSetup& setup, Params& params) {
  const std::int64_t groups = params.integer("groups", 2, 0, 1024, "groups of each group norm; 0: no group norm");
  const auto channels = widths("channels", params.text("channels", "6/16", "of the convolutions, from the input side"));
  const auto hidden = widths("hidden", params.text("hidden", "120/84", "widths of the linear layers before the last"));
  const auto kernel = static_cast<int>(params.integer("kernel", 5, 1, 31, "height and width of the filters"));
  const auto padding =
      static_cast<int>(params.integer("padding", 0, 0, 15, "rows and columns of zeros around pictures"));

  layers::Architecture list = {layers::ChannelsLast{}};
  for (std::size_t l = 0; l < channels.size(); ++l) {
    const std::string number = std::to_string(l + 1);
    list.emplace_back(
        layers::Conv2d{.name = "conv" + number, .outputs = channels[l], .kernel = kernel, .padding = padding});
    if (groups > 0) list.emplace_back(layers::GroupNorm{"norm" + number, static_cast<int>(groups)});
    list.emplace_back(layers::Relu{});
    list.emplace_back(layers::MaxPool{2});
  }
  list.emplace_back(layers::Flatten{});
  for (std::size_t l = 0; l < hidden.size(); ++l) {
    list.emplace_back(layers::Linear{"fc" + std::to_string(l + 1), hidden[l]});
    list.emplace_back(layers::Relu{});
  }
  list.emplace_back(layers::Linear{"fc" + std::to_string(hidden.size() + 1), outputs_of("cnn", setup)});
  picture("cnn", setup);
  return std::make_unique<Network>("cnn", setup, list);
}

}  // namespace ecl
