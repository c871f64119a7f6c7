#pragma once

#include <iosfwd>
#include <string>

namespace ecl {

/// The commit that was built, with a word if files were changed since; "unknown" where git knows of none.
std::string commit();

/// What `ecl --version` prints: "ecl MAJOR.MINOR.PATCH", then a line each on how it was built.
void print_about(std::ostream& out);

}  // namespace ecl
