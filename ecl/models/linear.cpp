#include "ecl/models/linear_model.hpp"

namespace ecl {

std::unique_ptr<Model> make_linear(const ModelSetup& setup, Params&) {
  return std::make_unique<LinearModel>("linear", setup);
}

}  // namespace ecl
