#include "ecl/base/check.hpp"
#include "ecl/models/linear_model.hpp"

namespace ecl {

std::unique_ptr<Model> make_softmax(const ModelSetup& setup, Params&) {
  if (is_regression(setup.loss)) throw Error("model softmax classifies; to predict numbers use --model linear, or mlp");
  if (setup.loss == Loss::logistic)
    throw Error("model softmax chooses one of the classes; for --loss logistic use --model linear, or mlp");
  return std::make_unique<LinearModel>("softmax", setup);
}

}  // namespace ecl
