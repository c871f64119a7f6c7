#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace ecl {

/// Allocates on cache-line boundaries.
template <class T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};

  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) {}

  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kLine)); }
  void deallocate(T* memory, std::size_t) { ::operator delete(memory, kLine); }
  bool operator==(const LineAllocator&) const { return true; }
};

/// Floats that are computed with. Where vectorised code cuts an array into packets and rest depends on its alignment,
/// and sums and exponentials round differently there; always starting on a line makes the same inputs give the same
/// bits, wherever the memory came from.
template <class T>
using Values = std::vector<T, LineAllocator<T>>;
using Floats = Values<float>;

}  // namespace ecl
