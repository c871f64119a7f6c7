#include "ecl/node/first_gradients.hpp"

#include <algorithm>
#include <cstring>

#include "ecl/base/check.hpp"
#include "ecl/node/step_rule.hpp"

namespace ecl {

void FirstGradients::mean_squares(std::size_t first, Vec values) const {
  const float share = count_ == 0 ? 0.0f : 1 / static_cast<float>(count_);
  for (std::size_t d = 0; d < values.size(); ++d) values[d] = sums_.empty() ? 0.0f : sums_[first + d] * share;
}

std::vector<float> agreed_scale(std::size_t dim, std::span<const FirstGradients> mine,
                                const std::function<std::vector<std::string>(std::vector<std::string>)>& gather) {
  constexpr std::size_t kStretch = 1 << 16;  // what all nodes say of it is in memory at a time
  std::vector<double> means(dim);
  for (std::size_t first = 0; first < dim; first += kStretch) {
    std::vector<float> squares(std::min(kStretch, dim - first));
    const std::size_t bytes = squares.size() * sizeof(float);
    std::vector<std::string> said;
    for (const FirstGradients& gradients : mine) {
      gradients.mean_squares(first, squares);
      said.emplace_back(reinterpret_cast<const char*>(squares.data()), bytes);
    }
    const std::vector<std::string> all = gather(std::move(said));
    for (const std::string& node : all) {
      ECL_CHECK(node.size() == bytes);
      std::memcpy(squares.data(), node.data(), bytes);
      for (std::size_t d = 0; d < squares.size(); ++d) means[first + d] += squares[d];
    }
    for (std::size_t d = 0; d < squares.size(); ++d) means[first + d] /= static_cast<double>(all.size());
  }
  return step_scale(means);
}

}  // namespace ecl
