#include "ecl/tool/about.hpp"

#include <ostream>

#include "ecl/base/build.hpp"
#include "ecl/mpi/session.hpp"

void ecl::print_about(std::ostream& out) {
  out << "ecl " << version() << "\ncommit     " << commit() << "\nMPI        " << mpi::library_version()
      << "\nSIMD       " << simd() << "\ncompiler   " << ECL_COMPILER << "\nfeatures   " << ECL_FEATURES << '\n';
}
