#include "ecl/mpi/window.hpp"

#include <algorithm>
#include <cstring>
#include <exception>

#include "ecl/base/check.hpp"
#include "ecl/mpi/error.hpp"

namespace ecl::mpi {
namespace {

constexpr std::size_t kLargestPut = std::size_t{1} << 30;  // MPI counts are int

}  // namespace

Window::Window(const Comm& comm, std::size_t bytes) : rank_(comm.rank()) {
  bytes = std::max(bytes, sizeof(std::uint64_t));  // the memory of an empty part may lie anywhere, even astride words
  check(MPI_Win_allocate(static_cast<MPI_Aint>(bytes), 1, MPI_INFO_NULL, comm.handle(), &local_, &handle_),
        "MPI_Win_allocate");
  check(MPI_Win_set_errhandler(handle_, MPI_ERRORS_RETURN), "MPI_Win_set_errhandler");
  check(MPI_Win_lock_all(MPI_MODE_NOCHECK, handle_), "MPI_Win_lock_all");
  ECL_CHECK(reinterpret_cast<std::uintptr_t>(local_) % sizeof(std::uint64_t) == 0);
  std::memset(local_, 0, bytes);
  sync();
}

Window::~Window() {
  if (std::uncaught_exceptions() > 0) return;  // collective: the others may never come
  MPI_Win_unlock_all(handle_);
  MPI_Win_free(&handle_);
}

void Window::put(int rank, std::size_t at, const void* data, std::size_t bytes) {
  const auto* from = static_cast<const std::byte*>(data);
  for (std::size_t done = 0; done < bytes; done += kLargestPut) {
    const int count = static_cast<int>(std::min(kLargestPut, bytes - done));
    check(MPI_Put(from + done, count, MPI_BYTE, rank, static_cast<MPI_Aint>(at + done), count, MPI_BYTE, handle_),
          "MPI_Put");
  }
  check(MPI_Win_flush(rank, handle_), "MPI_Win_flush");
}

std::uint64_t Window::fetch(int rank, std::size_t at, std::uint64_t word, MPI_Op operation) const {
  std::uint64_t old = 0;
  check(MPI_Fetch_and_op(&word, &old, MPI_UINT64_T, rank, static_cast<MPI_Aint>(at), operation, handle_),
        "MPI_Fetch_and_op");
  check(MPI_Win_flush(rank, handle_), "MPI_Win_flush");
  return old;
}

std::uint64_t Window::exchange(int rank, std::size_t at, std::uint64_t word) {
  return fetch(rank, at, word, MPI_REPLACE);
}

std::uint64_t Window::read(std::size_t at) const { return fetch(rank_, at, 0, MPI_NO_OP); }

void Window::sync() const { check(MPI_Win_sync(handle_), "MPI_Win_sync"); }

}  // namespace ecl::mpi
