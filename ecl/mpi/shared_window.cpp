#include "ecl/mpi/shared_window.hpp"

#include <atomic>
#include <cstring>
#include <exception>

#include "ecl/mpi/error.hpp"

namespace ecl::mpi {
namespace {

constexpr std::size_t kLine = 64;

std::byte* whole_line(void* base) {
  const std::size_t past = reinterpret_cast<std::uintptr_t>(base) % kLine;
  return static_cast<std::byte*>(base) + (kLine - past) % kLine;
}

std::atomic_ref<std::uint64_t> word_at(std::byte* base, std::size_t at) {
  return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(base + at));
}

// Address-free: the same word is exchanged by processes that see it at different addresses.
static_assert(std::atomic_ref<std::uint64_t>::is_always_lock_free);

}  // namespace

SharedWindow::SharedWindow(const Comm& here, std::size_t bytes) : rank_(here.rank()), bases_(here.size()) {
  MPI_Info info = MPI_INFO_NULL;
  check(MPI_Info_create(&info), "MPI_Info_create");
  check(MPI_Info_set(info, "alloc_shared_noncontig", "true"), "MPI_Info_set");  // each rank's part on pages of its own
  void* base = nullptr;
  const int made =
      MPI_Win_allocate_shared(static_cast<MPI_Aint>(bytes + kLine), 1, info, here.handle(), &base, &handle_);
  MPI_Info_free(&info);
  check(made, "MPI_Win_allocate_shared");
  check(MPI_Win_set_errhandler(handle_, MPI_ERRORS_RETURN), "MPI_Win_set_errhandler");
  for (int rank = 0; rank < here.size(); ++rank) {
    MPI_Aint size = 0;
    int unit = 0;
    check(MPI_Win_shared_query(handle_, rank, &size, &unit, &base), "MPI_Win_shared_query");
    bases_[rank] = whole_line(base);
  }
  std::memset(local(), 0, bytes);
}

SharedWindow::~SharedWindow() {
  if (std::uncaught_exceptions() > 0) return;  // collective: the others may never come
  MPI_Win_free(&handle_);
}

void SharedWindow::put(int rank, std::size_t at, const void* data, std::size_t bytes) {
  std::memcpy(bases_[rank] + at, data, bytes);
}

std::uint64_t SharedWindow::exchange(int rank, std::size_t at, std::uint64_t word) {
  return word_at(bases_[rank], at).exchange(word, std::memory_order_acq_rel);
}

std::uint64_t SharedWindow::read(std::size_t at) const {
  return word_at(bases_[rank_], at).load(std::memory_order_acquire);
}

}  // namespace ecl::mpi
