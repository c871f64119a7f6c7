#include "ecl/base/check.hpp"
#include "ecl/models/network.hpp"

namespace ecl {

/// Multi-layer perceptron with any hidden widths.
std::unique_ptr<Model> make_mlp(const ModelSetup& setup, Params& params) {
  layers::Architecture list;
  for (const std::string& width :
       split(params.text("hidden", "128", "hidden widths, from the input side: 256,128"), ',')) {
    const std::int64_t value = to_integer(width, "model mlp: hidden");
    if (value < 1 || value > 1'000'000) throw Error("model mlp: hidden width " + width + " is outside 1 .. 1000000");
    list.emplace_back(layers::Linear{"fc" + std::to_string(list.size() / 2 + 1), static_cast<int>(value)});
    list.emplace_back(layers::Relu{});
  }
  list.emplace_back(layers::Linear{"fc" + std::to_string(list.size() / 2 + 1), outputs_of("mlp", setup)});
  return std::make_unique<Network>("mlp", setup, list);
}

}  // namespace ecl
