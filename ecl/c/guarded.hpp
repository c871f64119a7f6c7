#pragma once

#include <new>
#include <string>

#include "ecl/base/check.hpp"
#include "ecl/c/ecl.h"
#include "ecl/c/helper.hpp"

/// What all functions of ecl.h share: exceptions become codes.
namespace ecl::c {

/// Keeps the line for ecl_error(); returns the code.
int fail(const std::string& what, Exit code);

/// MPI and the open nodes are the caller's, and not the helper's, as long as this is kept: for the length of a function
/// of ecl.h that uses them. Throws Error in a process that was forked off, where both are another's.
[[nodiscard]] Helper::Turn turn();

/// Throws what an earlier call could not go on from: nothing is to move MPI any more. For whoever has the turn.
void require_unbroken();

template <class Call>
int guarded(Call call) {
  try {
    call();
    return ECL_OK;
  } catch (const Error& error) {
    return fail(error.what(), error.code());
  } catch (const std::bad_alloc&) {
    return fail("there is not enough memory", Exit::io);
  } catch (const std::exception& error) {
    return fail(std::string("internal error: ") + error.what(), Exit::internal);
  } catch (...) {
    return fail("internal error: an exception of no known type", Exit::internal);
  }
}

template <class T>
T& given(T* pointer, const char* what) {
  if (!pointer) throw Error(std::string(what) + " is a null pointer");
  return *pointer;
}

}  // namespace ecl::c
