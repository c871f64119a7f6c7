#pragma once

#include <string>
#include <vector>

namespace ecl {

/// `ecl export RUN --format onnx|npz`: the model for programs that are not ecl. Throws Error; nothing is then written.
void export_command(const std::vector<std::string>& arguments);

}  // namespace ecl
