#include "ecl/contracts/loss.hpp"

#include <array>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/base/params.hpp"

namespace ecl {
namespace {

constexpr std::array kNames = {"cross-entropy", "logistic", "mse", "mae", "huber"};  // by Loss

}  // namespace

Loss loss_named(std::string_view name) {
  for (std::size_t l = 0; l < kNames.size(); ++l)
    if (name == kNames[l]) return static_cast<Loss>(l);
  const std::vector<std::string> known(kNames.begin(), kNames.end());
  throw Error("unknown loss '" + std::string(name) + "'" + suggestion(name, known) +
              " (known: cross-entropy, logistic, mse, mae, huber)");
}

std::string name_of(Loss loss) { return kNames[static_cast<std::size_t>(loss)]; }

}  // namespace ecl
