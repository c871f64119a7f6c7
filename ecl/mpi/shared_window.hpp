#pragma once

#include <mpi.h>
#include <vector>

#include "ecl/mpi/comm.hpp"
#include "ecl/mpi/memory.hpp"

namespace ecl::mpi {

/// Memory that the ranks of one host load from and store to directly: one MPI_Win_allocate_shared window. No call into
/// MPI moves a byte, so that no other rank's program is ever waited for, whatever MPI this is.
class SharedWindow final : public Memory {
 public:
  /// Collective over `here`, the ranks of a host; `bytes` may differ by rank. The memory is zero. Throws mpi::Error if
  /// MPI shares no memory here. Whoever calls it has asked require_shared_memory() first.
  SharedWindow(const Comm& here, std::size_t bytes);
  /// Collective, unless an exception is unwinding.
  ~SharedWindow() override;
  SharedWindow(const SharedWindow&) = delete;
  SharedWindow& operator=(const SharedWindow&) = delete;

  std::byte* local() override { return bases_[rank_]; }
  std::byte* of(int rank) override { return bases_[rank]; }
  void put(int rank, std::size_t at, const void* data, std::size_t bytes) override;
  std::uint64_t exchange(int rank, std::size_t at, std::uint64_t word) override;
  std::uint64_t read(std::size_t at) const override;
  void sync() const override {}  // the atomic words order everything

 private:
  int rank_;
  MPI_Win handle_ = MPI_WIN_NULL;
  std::vector<std::byte*> bases_;  ///< of every rank's part, as this process sees it
};

}  // namespace ecl::mpi
