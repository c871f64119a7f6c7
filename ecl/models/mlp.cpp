#include "ecl/models/network.hpp"

namespace ecl {

/// Multi-layer perceptron with any hidden widths.
std::unique_ptr<Model> make_mlp(const ModelSetup& setup, Params& params) {
  std::vector<int> widths;
  for (const std::string& width :
       split(params.text("hidden", "128", "hidden widths, from the input side: 256,128"), ',')) {
    const std::int64_t value = to_integer(width, "model mlp: hidden");
    if (value < 1 || value > 1'000'000) throw Error("model mlp: hidden width " + width + " is outside 1 .. 1000000");
    widths.push_back(static_cast<int>(value));
  }
  return std::make_unique<Network>("mlp", setup, widths);
}

}  // namespace ecl
