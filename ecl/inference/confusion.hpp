#pragma once

#include <string>
#include <vector>

#include "ecl/inference/measures.hpp"

namespace ecl {

/// The confusion matrix as text of a csv file: a row for each label, a column for each prediction, with the classes'
/// names (their numbers, if there are none): samples, or the sums of their weights. Empty where there are too many
/// classes to have counted it.
std::string confusion_csv(const ClassifierMeasures& measures, const std::vector<std::string>& names);

}  // namespace ecl
