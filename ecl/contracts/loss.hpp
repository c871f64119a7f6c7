#pragma once

#include <string>
#include <string_view>

namespace ecl {

/// What is minimised: the mean over the samples, each times its weight. y: a sample's number, scaled to mean 0 and
/// deviation 1 over all sites; e = output - y. Names and constants are PyTorch's.
enum class Loss {
  cross_entropy,  ///< of classes: -log softmax(outputs)[class]
  logistic,  ///< of labels that are there (y = 1) or not (0): the sum over them of -log sigmoid(output), or of -output
  mse,       ///< e^2
  mae,       ///< |e|
  huber,     ///< e^2 / 2 where |e| < 1, else |e| - 1/2
};

/// Whether it is of numbers, not of classes.
inline bool is_regression(Loss loss) { return loss != Loss::cross_entropy && loss != Loss::logistic; }

/// "cross-entropy", "logistic", "mse", "mae", "huber". Throws Error for another name.
Loss loss_named(std::string_view name);
std::string name_of(Loss loss);

}  // namespace ecl
