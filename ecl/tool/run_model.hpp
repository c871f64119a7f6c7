#pragma once

#include <optional>
#include <string>

#include "ecl/inference/predictor.hpp"

namespace ecl {

/// The folder model/ of a run's directory `run`; or `run`, where that is such a folder itself. Throws Error if there is
/// none.
std::string model_folder(const std::string& run);

/// The model in it; `node`: with that node's own scaling. Throws Error.
Predictor load_predictor(const std::string& run, std::optional<NodeId> node);

}  // namespace ecl
