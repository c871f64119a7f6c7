#pragma once

#include <string>
#include <vector>

namespace ecl {

/// ecl convert: a table becomes a folder for --dataset npy, from which a run trains without reading it into memory.
/// Takes a megabyte and 4 bytes a row, whatever the size of the table. Throws Error; then nothing is left.
void convert_command(const std::vector<std::string>& arguments);

}  // namespace ecl
