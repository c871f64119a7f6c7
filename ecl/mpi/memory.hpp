#pragma once

#include <cstddef>
#include <cstdint>

namespace ecl::mpi {

/// Memory of this rank that the other ranks of a communicator write, and exchange words in. Displacements are bytes.
/// Two kinds: Window (MPI's one-sided calls) and SharedWindow (plain loads and stores between the ranks of a host).
class Memory {
 public:
  virtual ~Memory() = default;

  virtual std::byte* local() = 0;
  /// The memory of `rank`, if this rank's loads and stores reach it; else null.
  virtual std::byte* of(int rank) = 0;

  /// Copies to `rank`; complete there on return.
  virtual void put(int rank, std::size_t at, const void* data, std::size_t bytes) = 0;
  /// Atomically replaces the word at `at` (a multiple of 8) on `rank`, returns the old one; complete on return. What
  /// this rank put before is complete for whoever sees the new word.
  virtual std::uint64_t exchange(int rank, std::size_t at, std::uint64_t word) = 0;
  /// Atomically reads one of this rank's own words.
  virtual std::uint64_t read(std::size_t at) const = 0;
  /// Orders this rank's plain loads and stores of local() against what others did.
  virtual void sync() const = 0;
};

}  // namespace ecl::mpi
