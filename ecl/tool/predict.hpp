#pragma once

#include <string>
#include <vector>

/// The commands that use a run's model.
namespace ecl {

/// `ecl predict RUN --data FILE`: class and probabilities of each row. Throws Error; nothing is then written.
void predict_command(const std::vector<std::string>& arguments);

/// `ecl evaluate RUN [--data FILE]`: the measures of the model on labelled samples. Throws Error.
void evaluate_command(const std::vector<std::string>& arguments);

}  // namespace ecl
