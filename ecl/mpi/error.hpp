#pragma once

#include <mpi.h>
#include <source_location>
#include <stdexcept>
#include <string>

namespace ecl::mpi {

/// An MPI call failed: which, where, and MPI's own words.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws mpi::Error unless `code` is MPI_SUCCESS. Needs MPI_ERRORS_RETURN on the handle, else MPI aborts first.
inline void check(int code, const char* call, std::source_location where = std::source_location::current()) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(std::string(call) + " failed at " + where.file_name() + ":" + std::to_string(where.line()) + ": " +
              std::string(text, length));
}

}  // namespace ecl::mpi
