#pragma once

#include <mpi.h>

#include "ecl/mpi/comm.hpp"
#include "ecl/mpi/memory.hpp"

namespace ecl::mpi {

/// Memory behind MPI's one-sided calls: one MPI_Win_allocate window, in a passive epoch (MPI_Win_lock_all) from
/// constructor to destructor.
class Window final : public Memory {
 public:
  /// Collective; `bytes` may differ by rank. The memory is zero. Throws mpi::Error if MPI has no component for such a
  /// window here. Whoever calls it has asked require_shared_memory() first.
  Window(const Comm& comm, std::size_t bytes);
  /// Collective, unless an exception is unwinding.
  ~Window() override;
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  std::byte* local() override { return local_; }
  std::byte* of(int) override { return nullptr; }
  void put(int rank, std::size_t at, const void* data, std::size_t bytes) override;
  std::uint64_t exchange(int rank, std::size_t at, std::uint64_t word) override;
  std::uint64_t read(std::size_t at) const override;
  void sync() const override;

 private:
  std::uint64_t fetch(int rank, std::size_t at, std::uint64_t word, MPI_Op operation) const;

  int rank_;
  MPI_Win handle_ = MPI_WIN_NULL;
  std::byte* local_ = nullptr;
};

}  // namespace ecl::mpi
