#pragma once

#include <cstddef>
#include <cstdint>
#include <mpi.h>

#include "ecl/mpi/comm.hpp"

namespace ecl::mpi {

/// Memory of this rank that others write and exchange words in: one MPI_Win_allocate window, in a passive epoch
/// (MPI_Win_lock_all) from constructor to destructor. Displacements are bytes.
class Window {
 public:
  /// Collective; `bytes` may differ by rank. The memory is zero. Throws ecl::Error on every rank if the host's shared
  /// memory is too small for the windows of its ranks (MPI would hang there instead).
  Window(const Comm& comm, std::size_t bytes);
  /// Collective, unless an exception is unwinding.
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  std::byte* local() { return local_; }
  const std::byte* local() const { return local_; }

  /// Copies to `rank`; complete there on return.
  void put(int rank, std::size_t at, const void* data, std::size_t bytes);
  /// Atomically replaces the word at `at` (a multiple of 8) on `rank`, returns the old one; complete on return.
  std::uint64_t exchange(int rank, std::size_t at, std::uint64_t word);
  /// Atomically reads it.
  std::uint64_t read(int rank, std::size_t at) const;
  /// Orders this rank's plain loads and stores of local() against what others did.
  void sync() const;

 private:
  std::uint64_t fetch(int rank, std::size_t at, std::uint64_t word, MPI_Op operation) const;

  MPI_Win handle_ = MPI_WIN_NULL;
  std::byte* local_ = nullptr;
};

}  // namespace ecl::mpi
